"""What a store holds, in a browser: found by SQL and by clicks, tagged, and safe from what other sites do."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uvicorn
from tests import browsers, exifs, local_runs, photographs
from tests.browsers import Browser
from tests.services import SECONDS

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.explorer import pictures
from imgflow_workflows.explorer.app import create
from imgflow_workflows.explorer.choice import Choice
from imgflow_workflows.explorer.facets import facets
from imgflow_workflows.explorer.index import Index

NAMES = [f"north/{i}.jpg" for i in range(5)] + [f"south/{i}.jpg" for i in range(3)]
LOOKS = parse({"steps": [{"scale": {"width": 48, "height": 48}}, "infer"]})
HOSTILE = '"><script>alert(1)</script>.jpg'


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Eight photographs of May 2026, one that is cut, one that nobody would call so; two runs of them."""
    store = open_store(str(tmp_path_factory.mktemp("explorer") / "store"))
    for i, name in enumerate([*NAMES, HOSTILE]):
        exif = exifs.block(f"2026:05:{i + 1:02d} 12:00:00", where=(52 + i / 100, 5.1))
        store.write(keys.images("Demo") + name, exifs.photograph(exif=exif, seed=i))
    store.write(keys.images("Demo") + "south/again.jpg", exifs.photograph(seed=0))  # looks like north/0.jpg
    store.write(keys.images("Demo") + "south/cut.jpg", photographs.jpeg(1)[:900])
    local_runs.submit(store, "grey")
    local_runs.submit(store, "looks", LOOKS)
    return store


@pytest.fixture(scope="module")
def index(store: Store) -> Iterator[Index]:
    index = Index(store)
    yield index
    index.close()


@contextmanager
def serving(index: Index, *hosts: str) -> Iterator[str]:
    """Where an explorer of its own answers."""
    server = uvicorn.Server(uvicorn.Config(create(index, hosts), port=0, log_level="warning"))
    socket = server.config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    socket.close()


@pytest.fixture(scope="module")
def served(index: Index) -> Iterator[str]:
    with serving(index, "desk.example") as address:
        yield address


@pytest.fixture
def page(served: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served, trust_env=False, timeout=SECONDS) as client:
        yield client


def shown(text: str) -> list[str]:
    """The images in a grid, in order."""
    return [unescape(name) for name in re.findall(r'class="tile" title="([^"]*)"', text)]


def link(text: str, word: str) -> str:
    """Where the first link leads that holds a word."""
    links: list[tuple[str, str]] = re.findall(r'<a href="([^"]*)"[^>]*>((?:(?!</a>).)*)</a>', text, re.DOTALL)
    return next(unescape(href) for href, inner in links if word in inner)


def test_all_images_are_there_each_with_its_picture(page: httpx.Client) -> None:
    text = page.get("/").text

    assert set(shown(text)) == {*NAMES, HOSTILE, "south/again.jpg", "south/cut.jpg"}
    for address in re.findall(r'src="(picture[^"]*)"', text):
        answer = page.get(unescape(address))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("where=taken >= '2026-05-08'", ["south/2.jpg", HOSTILE]),
        ("folder=north", NAMES[:5]),
        ("folder=nor", []),
        ("is.status=rejected", ["south/cut.jpg"]),
        ("from.taken=2026-05-02&below.taken=2026-05-04", NAMES[1:3]),
        ("is.status=processed&folder=south&where=image LIKE '%.jpg'", [*NAMES[5:], "south/again.jpg"]),
        ("from.width=abc", []),
        ("where=true) OR (true", None),
        ("sort=taken&desc=1&folder=north", NAMES[4::-1]),
    ],
)
def test_an_address_chooses_and_orders(page: httpx.Client, asked: str, names: list[str] | None) -> None:
    found = shown(page.get(f"/?{asked}").text)

    if names is None:
        assert len(found) == 11  # what SQL makes of it is no more than all images
    else:
        assert (found if "sort" in asked else sorted(found)) == (names if "sort" in asked else sorted(names))


def test_a_click_on_a_folder_a_word_and_a_bar_chooses(page: httpx.Client) -> None:
    text = page.get("/").text
    folder = page.get("/" + link(text, "<span>north</span>")).text
    word = page.get("/" + link(text, "<bdi>rejected</bdi>")).text
    bars = re.findall(r'href="([^"]*from\.taken[^"]*)"><title>[^<]*: ([1-9]\d*)<', text)

    assert sorted(shown(folder)) == NAMES[:5]
    assert shown(word) == ["south/cut.jpg"]
    for address, number in bars:
        assert len(shown(page.get("/" + unescape(address)).text)) == int(number)
    assert sum(int(number) for _, number in bars) == 10


@pytest.mark.parametrize(
    "where",
    [
        "widht > 1",
        "1; DROP TABLE images",
        "1) ; DELETE FROM images; SELECT (1",
        "image IN (SELECT content FROM read_text('/etc/passwd'))",
        "image IN (SELECT filename FROM read_csv('/etc/passwd'))",
        "(SELECT count(*) FROM glob('/*')) > 0",
        "getenv('HOME') != ''",
        "<b>",
    ],
)
def test_a_condition_that_cannot_be_asked_is_said_beside_all_images(page: httpx.Client, where: str) -> None:
    text = page.get("/", params={"where": where}).text

    assert 'class="oops"' in text
    assert len(shown(text)) == 11
    assert "root:" not in text
    assert "<b>" not in text


def test_a_question_that_takes_too_long_is_ended(
    index: Index, page: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgflow_workflows.explorer.index.PATIENCE", 0.3)

    text = page.get("/", params={"where": "(SELECT count(*) FROM range(100000000) a, range(100000) b) > 1"}).text

    assert "took longer than" in text


def test_an_image_tells_its_story_and_what_looks_like_it(page: httpx.Client) -> None:
    text = page.get("/image", params={"municipality": "Demo", "image": "north/0.jpg"}).text

    assert "Canon EOS 5D" in text
    assert "looks" in text
    assert "grey" in text
    assert "south/again.jpg" in text
    assert 'class="slider"' in text
    assert page.get("/image", params={"municipality": "Demo", "image": "no"}).status_code == 404


def test_what_is_known_of_an_image_is_told_exactly_and_what_to_do_about_a_rejected_one(page: httpx.Client) -> None:
    fine, cut = (
        page.get("/image", params={"municipality": "Demo", "image": name}).text
        for name in ("north/3.jpg", "south/cut.jpg")
    )

    assert "<dt>latitude</dt><dd>52.03</dd>" in fine
    assert re.search(r"<dt>ended</dt><dd>20\d\d-\d\d-\d\d", fine)
    assert "Copy it again." in cut


def test_near_duplicates_and_two_runs_stand_beside_each_other(page: httpx.Client) -> None:
    alike = page.get("/alike").text
    runs = page.get("/runs?a=grey&b=looks").text

    assert "north/0.jpg" in alike
    assert "south/again.jpg" in alike
    assert "10\N{NO-BREAK SPACE} that differ" in runs or "10 that differ" in runs
    pictures = [unescape(address) for address in re.findall(r'src="(picture[^"]*run=[^"]*)"', runs)]
    assert len(pictures) == 20
    assert page.get(pictures[0]).content != page.get(pictures[1]).content
    assert "no results yet" in page.get("/runs?a=grey&b=none").text
    assert "cannot name a run" in page.get("/runs?a=grey&b=../x").text


def test_the_map_has_a_dot_for_each_place_that_leads_to_its_image(page: httpx.Client) -> None:
    text = page.get("/?view=map&folder=north").text

    assert len(re.findall("<circle", text)) == 5
    assert page.get("/" + unescape(re.findall(r'<a href="(image[^"]*)"><circle', text)[0])).status_code == 200


def test_names_of_others_are_text_on_every_page(page: httpx.Client) -> None:
    for address in ("/", "/alike", "/runs?a=grey&b=looks", "/?view=map", "/?where=<script>alert(1)</script>"):
        assert "<script>alert" not in page.get(address).text


def token(page: httpx.Client) -> str:
    text = page.get("/image", params={"municipality": "Demo", "image": "south/1.jpg"}).text
    return re.findall(r'name="token" value="([^"]*)"', text)[0]


def test_tags_go_to_the_catalog_and_choose_at_once(page: httpx.Client, store: Store) -> None:
    form = {"token": token(page), "municipality": "Demo", "image": "south/1.jpg", "tags": " flood,  bridge ,flood"}

    saved = page.post("/tags", data=form)
    all_north = {"token": token(page), "chosen": "?folder=north", "tags": "north"}
    several = page.post("/tags", data=all_north)
    index = Index(store)
    told = index.ask("SELECT image, tags FROM images WHERE tags IS NOT NULL ORDER BY image")
    index.close()

    assert (saved.status_code, several.status_code) == (303, 303)
    assert shown(page.get("/", params={"is.tags": "flood, bridge"}).text) == ["south/1.jpg"]
    assert told == [*((name, "north") for name in NAMES[:5]), ("south/1.jpg", "flood, bridge")]


@pytest.mark.parametrize("given", [{}, {"token": "guess"}, {"token": ""}])
def test_another_site_cannot_tag(page: httpx.Client, given: dict[str, str]) -> None:
    done = page.post("/tags", data={"municipality": "Demo", "image": "north/1.jpg", "tags": "theirs"} | given)

    assert done.status_code == 400
    assert page.get("/", params={"is.tags": "theirs"}).text.count('class="tile"') == 0
    assert page.get("/tags").status_code == 405


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8765", ""])
def test_a_name_that_is_not_this_machine_s_is_not_answered(page: httpx.Client, host: str) -> None:
    assert page.get("/", headers={"Host": host}).status_code == 400


def test_a_name_that_is_allowed_is(page: httpx.Client) -> None:
    assert page.get("/alike", headers={"Host": "desk.example:80"}).status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        {"municipality": "Demo", "image": "../catalog.parquet", "side": "original"},
        {"municipality": "Demo", "image": "/etc/passwd", "side": "original"},
        {"municipality": "..", "image": "x", "side": "original"},
        {"municipality": "Demo", "image": "north/0.jpg", "side": "run.json"},
        {"run": "grey", "image": "../../run.json"},
        {"run": "../grey", "image": "north/0.jpg"},
        {},
    ],
)
def test_only_pictures_of_known_images_are_given(page: httpx.Client, asked: dict[str, str]) -> None:
    assert page.get("/picture", params=asked).status_code == 404
    assert page.get("/../../etc/passwd").status_code == 404


def test_answers_forbid_what_they_do_not_need(page: httpx.Client) -> None:
    answer = page.get("/")
    picture = page.get("/picture", params={"municipality": "Demo", "image": "north/0.jpg", "side": "original"})

    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "http" not in re.sub(r"xmlns\S+", "", " ".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text)))
    assert "sandbox" in picture.headers["content-security-policy"]
    assert picture.headers["x-content-type-options"] == "nosniff"


def test_an_original_that_a_step_covers_is_never_shown(
    page: httpx.Client, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"municipality": "Demo", "image": "north/0.jpg"}
    assert page.get("/picture", params=asked | {"side": "original"}).status_code == 200
    monkeypatch.setattr(index, "covered", frozenset({"Demo"}))

    assert page.get("/picture", params=asked | {"side": "original"}).status_code == 404
    assert page.get("/picture", params=asked | {"side": "result"}).status_code == 200


def test_a_run_that_has_not_finished_is_named_above_its_images(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    store.write(keys.images("Demo") + "a.jpg", photographs.jpeg(1))
    local_runs.submit(store, "broke-off")
    store.delete([keys.summary_json("broke-off")])
    index = Index(store)

    with serving(index) as address:
        shown = httpx.get(address, trust_env=False, timeout=SECONDS).text
    index.close()

    assert "Run broke-off of Demo has not finished" in shown


def test_an_original_that_is_larger_than_a_browser_is_given_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, store = tmp_path / "photographs", open_store(str(tmp_path / "store"))
    folder.mkdir()
    (folder / "a.jpg").write_bytes(photographs.jpeg(1))
    run = Run(id="outside", municipality="Demo", pipeline=LOOKS, source=folder.as_uri(), created=time.time())
    save(store, run)
    LocalEngine(store, workers=1).submit(run)
    index = Index(store)
    asked = (index, "Demo", "a.jpg", "original")
    assert pictures.picture(*asked)

    monkeypatch.setattr(pictures, "LARGEST", 100)
    assert pictures.picture(*asked) is None
    index.close()


@pytest.mark.parametrize("values", [[[1.5, 2.0], [2.5]], [[1], []], [["a"], ["b"]], [{"x": 1}, {"x": 2}], [b"1", b"2"]])
def test_a_column_of_a_catalog_may_hold_more_than_one_value(tmp_path: Path, values: list[Any]) -> None:
    store = open_store(str(tmp_path))
    table = pa.table({"image": ["0.jpg", "1.jpg"], "scores": values, "height_m": [1.5, 2.5]})
    pq.write_table(table, written := BytesIO())
    store.write(keys.catalog("Demo"), written.getvalue())
    index = Index(store)

    found = facets(index, Choice())

    assert "height_m" in {one.column for one in found}
    assert "scores" not in {one.column for one in found}
    index.close()


@pytest.fixture(scope="module")
def driver() -> Iterator[str]:
    with browsers.driver() as address:
        yield address


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)], ids=["wide", "narrow"])
def test_a_person_scrolls_chooses_and_compares(
    served: str, driver: str, width: int, dark: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("app", "pages"):
        monkeypatch.setattr(f"imgflow_workflows.explorer.{module}.PER_PAGE", 3)
    browser = Browser(driver, width, dark)
    try:
        browser.open(served)
        browser.until("document.querySelectorAll('.page').length === 4")
        browser.run("document.querySelector('.page:last-child').scrollIntoView()")
        browser.until("document.querySelectorAll('.tile').length === 11")  # near enough to be filled by the script
        browser.until("[...document.querySelectorAll('.tile img')].every(one => one.complete && one.naturalWidth)")
        assert browser.run("return getComputedStyle(document.querySelector('main')).display") != "none"
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        browser.run("document.querySelector('.bars-svg a').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        browser.until("location.search.includes('from.')")
        browser.run("document.querySelector('.tile').click()")
        browser.until("document.querySelector('.slider input')")
        browser.run(
            "const one = document.querySelector('.slider input'); one.value = 80; one.dispatchEvent(new Event('input'))"
        )
        browser.until("document.querySelector('.slider').style.getPropertyValue('--at') === '80%'")
    finally:
        browser.close()
