from __future__ import annotations

import contextlib
import functools
import http.server
import re
import shutil
import subprocess
import threading
from collections import Counter
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.made_runs import MadeRun, make_run

import imgflow_steps
from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.row import Published, Status
from imgflow_steps.report import markup, pages, report
from imgflow_steps.report.markup import tag
from imgflow_steps.report.remedies import HINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
POLICY = "sandbox; base-uri 'none'; default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'"
MAGENTA = (255, 0, 255)
NASTY = [
    "<script>alert(1)</script>.jpg",
    '" onerror="alert(1)" \'.jpg',
    "</title></style><img src=x>.jpg",
    "new\nline\ttab\x1b[31m.jpg",
    "\u202egpj.exe",
    "&lt;&amp;😀 e\u0301.jpg",
    "javascript:alert(1)",
    "long" * 200,
    r"\udcff.jpg",
]
ALLOWED = set(
    re.findall(
        r"\w+",
        "a bdi body br code dd details div dl dt figcaption figure h1 h2 h3 head header html img li link main meta nav"
        " ol p rect section span strong style summary svg table tbody td tfoot th thead title tr ul",
    )
)


class Page(HTMLParser):
    """A page as a browser reads it; refuses what a report must not hold."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file, self.open, self.ids, self.links, self.text = file, [""], list[str](), list[str](), ""
        self.images: list[dict[str, str | None]] = []
        self.feed(file.read_text(encoding="utf-8"))
        assert self.open == [""]
        assert [id_ for id_, n in Counter(self.ids).items() if n > 1] == []

    def handle_starttag(self, element: str, given: list[tuple[str, str | None]]) -> None:
        attributes = dict(given)
        assert element in ALLOWED, element
        assert len(attributes) == len(given)
        assert not [name for name in attributes if name.startswith("on")]
        if element not in markup.VOID:
            self.open.append(element)
        self.ids += [id_ for id_ in [attributes.get("id")] if id_]
        self.links += [link for link in (attributes.get("href"), attributes.get("src")) if link]
        if element == "img":
            assert attributes["alt"]
            self.images.append(attributes)
        if element == "th":
            assert attributes["scope"] in {"row", "col"}
        if element == "svg":
            assert attributes["aria-label"]

    def handle_endtag(self, element: str) -> None:
        assert self.open.pop() == element

    def handle_data(self, data: str) -> None:
        self.text += data


def lint(folder: Path) -> dict[str, Page]:
    """All pages of a report, each of which is whole, and points only to what is there."""
    read = {file.name: Page(file) for file in folder.glob("*.html")}
    for page in read.values():
        for link in page.links:
            file, _, fragment = link.partition("#")
            assert re.fullmatch(r"([a-z]+(-\d+)?\.(html|css)|thumbs/\d+\.(jpg|png|webp))?", file), link
            assert not file or (folder / file).is_file(), link
            assert not fragment or fragment in read[file or page.file.name].ids, link
    style = (folder / "style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    return read


def jpeg() -> bytes:
    out = BytesIO()
    Image.new("RGB", (240, 180), MAGENTA).save(out, "JPEG", quality=95, subsampling=0)
    return out.getvalue()


def full(folder: Path, images: list[str]) -> MadeRun:
    """A run with something for every section, untrusted text wherever text can be."""
    made = make_run(folder / "store", municipality="{{=1+1}}'; rm -rf / # <b>")
    made.list([*images, "lost.jpg"], other=2)
    for n, image in enumerate(images):
        sides = [keys.thumb(made.run.municipality, made.run.digest, image, "v1", side) for side in ("before", "after")]
        for side in sides:
            made.store.write(side, jpeg())
        found = {"label": image, "score": n / 7, image: {"<b>": n}, "sure": n % 2 == 0}
        output = Published(key=f"out/{n}", sha256="0" * 64, width=512, height=384, found=found)
        status = (Status.PROCESSED, Status.PROCESSED, Status.REJECTED, Status.FAILED)[n % 4]
        text = {"code": image, "message": image} if n % 4 > 1 else {}
        ended = {"ended": 1.7e9 + n, "ms": {"decode": 1.0 + n, "<step>": 0.5}, "run": "utrecht-1" if n % 5 else "old"}
        made.add(made.row(image, status, outputs=[output], thumbs=sides[: 1 + (n % 4 < 2)], **ended, **text))
    return made


def written(made: MadeRun, folder: Path) -> Path:
    collect(made.store, made.run, output=folder)
    return folder


def test_every_page_is_whole_points_only_to_what_is_there_and_runs_nothing(tmp_path: Path) -> None:
    images = [f"{n}-{NASTY[n % len(NASTY)]}" for n in range(36)]
    read = lint(written(full(tmp_path, images), tmp_path / "report"))
    assert {"index.html", "images.html", "images-0001.html"} == set(read)
    assert len(read["index.html"].images) > 36
    text = " ".join(read["images-0001.html"].text.split())
    for image in images:
        shown = image.translate({10: r"\n", 9: r"\t", 27: r"\x1b", 0x202E: r"\u202e"})
        assert " ".join(shown.split()) in text


def test_rejected_images_are_asked_again_by_the_run_whatever_its_source_and_pipeline(tmp_path: Path) -> None:
    read = lint(written(full(tmp_path, ["a", "b", "c"]), tmp_path / "report"))

    assert "imgflow retry utrecht-1 --rejected" in read["index.html"].text


def test_what_went_wrong_stands_right_below_the_counts(tmp_path: Path) -> None:
    folder = written(full(tmp_path, ["a", "b", "c", "d"]), tmp_path / "report")
    order = re.findall(r'<section id="([a-z]+)"', (folder / "index.html").read_text())
    assert order[:3] == ["sum", "rejected", "failed"]
    assert "pictures" in order[3:]


@given(st.text(st.characters()))
def test_text_is_text_wherever_it_stands(text: str) -> None:
    class Reader(HTMLParser):
        def handle_starttag(self, element: str, given: list[tuple[str, str | None]]) -> None:
            seen.append((element, given))

        def handle_data(self, data: str) -> None:
            read.append(data)

    seen: list[tuple[str, list[tuple[str, str | None]]]] = []
    read: list[str] = []
    reader = Reader()
    reader.feed(tag("p", text, title=text).encode().decode())
    reader.close()
    [(element, [(name, value)])] = seen
    assert (element, name, value or "") == ("p", "title", "".join(read))
    assert re.sub(r"\\(x..|u....|[nrt])", "", "".join(read)) == re.sub(
        r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]|\\(x..|u....|[nrt])", "", text
    )


def test_a_report_says_the_sum_and_every_part_of_it(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store")
    made.list([f"{n}.jpg" for n in range(10)])
    made.add(*(made.row(f"{n}.jpg") for n in range(4)), *(made.row(f"{n}.jpg", run="old") for n in range(4, 7)))
    made.add(made.row("7.jpg", Status.REJECTED, code="truncated"), made.row("8.jpg", Status.FAILED))
    page = Page(written(made, tmp_path / "report") / "index.html")
    words = re.findall(r"([\d,]+)(listed|processed|cached|rejected|failed)", page.text)
    assert words == [("10", "listed"), ("4", "processed"), ("3", "cached"), ("1", "rejected"), ("2", "failed")]
    for said in ("Utrecht", "utrecht-1", made.run.digest, "width 512", HINTS["truncated"], HINTS["shard-lost"]):
        assert said in page.text, said


def test_images_are_on_pages_with_links_to_their_neighbours(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store", page=10)
    made.list([f"{n:03d}.jpg" for n in range(95)])
    made.add(*(made.row(f"{n:03d}.jpg") for n in range(95)))
    read = lint(written(made, tmp_path / "report"))
    assert len([name for name in read if name.startswith("images-")]) == 10
    for n in range(1, 11):
        page = read[pages.file_name(n)]
        around = {pages.file_name(m) for m in (1, *range(max(1, n - 3), min(10, n + 3) + 1), 10) if m != n}
        assert {link for link in page.links if link.startswith("images-")} == around
        assert f"{(n - 1) * 10:03d}.jpg" in page.text
    assert "094.jpg" in read["images.html"].text


def test_images_on_the_first_page_lead_to_their_places_which_show_the_same_picture(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store", page=10)
    images = [f"{n:03d}.jpg" for n in range(25)]
    made.list(images)
    made.store.write("thumb.jpg", jpeg())
    made.add(*(made.row(image, thumbs=["thumb.jpg"] if n == 17 else []) for n, image in enumerate(images)))

    read = lint(written(made, tmp_path / "report"))

    assert "images-0002.html#image-8" in read["index.html"].links
    assert [image["alt"] for image in read["images-0002.html"].images] == ["before: 017.jpg"]
    row = re.search(r'<tr id="image-8">.*?</tr>', (tmp_path / "report/images-0002.html").read_text())
    assert row
    assert "017.jpg" in row[0]


def test_beside_a_name_stands_nothing_of_an_original_that_has_something_to_be_covered(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store")
    made.list(["a.jpg"])
    made.store.write("covered.jpg", jpeg())
    made.add(made.row("a.jpg", thumbs=["", "covered.jpg"]))

    read = lint(written(made, tmp_path / "report"))

    assert [image["alt"] for image in read["images-0001.html"].images] == ["after: a.jpg"]


def test_beyond_a_number_of_images_pages_end_and_say_where_the_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST", 50)
    made = make_run(tmp_path / "store", page=20)
    made.list([f"{n:03d}.jpg" for n in range(70)])
    read = lint(written(made, tmp_path / "report"))
    assert sorted(name for name in read if name.startswith("images-")) == [pages.file_name(n) for n in (1, 2, 3)]
    assert "070.jpg" not in read["images-0003.html"].text
    assert "results.csv has all" in read["images.html"].text


def test_a_report_of_nothing_says_so_and_what_to_do(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store", municipality="Östra Göinge")
    made.list([], other=2)
    read = lint(written(made, tmp_path / "report"))
    assert "imgflow ingest DIRECTORY --municipality 'Östra Göinge'" in read["index.html"].text
    assert "Skipped: 2 .txt" in read["index.html"].text


def test_a_picture_that_is_gone_leaves_a_place_that_says_so(tmp_path: Path) -> None:
    made = full(tmp_path, ["a.jpg"])
    made.store.delete([keys.thumb(made.run.municipality, made.run.digest, "a.jpg", "v1", "after")])
    page = lint(written(made, tmp_path / "report"))["index.html"]
    assert "no picture" in page.text
    assert {image["alt"] for image in page.images} == {"before: a.jpg"}


def test_pictures_are_bounded_and_evenly_chosen(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store")
    images = [f"{n:04d}.jpg" for n in range(700)]
    made.list(images)
    made.store.write("thumb.jpg", jpeg())
    made.add(*(made.row(image, thumbs=["thumb.jpg"]) for image in images))
    shown = [
        int(re.sub(r"\D", "", image["alt"] or ""))
        for image in lint(written(made, tmp_path / "report"))["index.html"].images
        if image["class"] == "thumb"
    ][: 700 // 4]
    assert shown == list(range(0, 700, 4))


def test_the_single_file_holds_its_style_and_pictures_and_points_nowhere(tmp_path: Path) -> None:
    folder = written(full(tmp_path, NASTY), tmp_path / "report")
    whole = report.single_file(lambda name: (folder / name).read_bytes()).decode()
    alone = tmp_path / "one.html"
    alone.write_text(whole, encoding="utf-8")
    page = Page(alone)
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in page.links)
    assert len(page.images) == len(Page(folder / "index.html").images) > 0
    assert (folder / "style.css").read_text() in whole


def test_every_code_that_the_steps_give_has_its_advice() -> None:
    sources = "".join(file.read_text() for file in Path(imgflow_steps.__file__).parent.rglob("*.py"))
    given = set(re.findall(r'Rejected\(\s*"([a-z-]+)"|_fail\(row, "([a-z-]+)"', sources))
    assert {code for pair in given for code in pair if code} <= set(HINTS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", report.STYLE.read_text(), re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[scheme == "dark"]))
    for text in ("ink", "quiet", "accent", "listed", "processed", "cached", "rejected", "failed"):
        for behind in ("card", "page"):
            assert contrast(colours[text], colours[behind]) >= 4.5, (text, behind)


def contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on loopback, with the header that the Argo server sends."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            self.send_header("Content-Security-Policy", POLICY)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1400), ("dark", 500)])
def test_a_browser_shows_style_and_pictures_under_the_policy_of_the_argo_server(
    tmp_path: Path, scheme: str, width: int
) -> None:
    folder = written(full(tmp_path, [f"{n}.jpg" for n in range(8)]), tmp_path / "report")
    shot = tmp_path / "shot.png"
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        f"--blink-settings=preferredColorScheme={1 if scheme == 'light' else 0}",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--window-size={width},3000",
        f"--screenshot={shot}",
    ]
    with served(folder) as address:
        subprocess.run([str(CHROMIUM), *flags, address], check=True, capture_output=True, timeout=120)
    blocks = re.findall(r":root \{(.*?)--page: #(\w{6})", report.STYLE.read_text(), re.DOTALL)
    behind = tuple(bytes.fromhex(blocks[scheme == "dark"][1]))
    picture = Image.open(shot).convert("RGB")
    red, green, blue = (np.asarray(channel) for channel in picture.split())
    assert picture.getpixel((2, 1000)) == behind
    assert np.count_nonzero((red > 240) & (green < 20) & (blue > 240)) > 20_000
