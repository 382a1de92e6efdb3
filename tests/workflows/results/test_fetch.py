"""A run's pictures in a folder: each one checked, once, at a path that no other picture could have."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.made_runs import Meddled

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.row import Published, Row
from imgflow_steps.records.run import Run
from imgflow_steps.store import NotFoundError, Store, UnavailableError
from imgflow_workflows.results.fetch import FetchProgress, FetchSummary, fetch
from imgflow_workflows.results.file_names import pictures, places
from imgflow_workflows.results.skips import SkipReason

RUN = Run(id="utrecht-1", municipality="Utrecht", pipeline=parse({"steps": ["grayscale"]}))
PREFIX = keys.results(RUN.municipality, RUN.digest) + "images/"
NAMES = ("1.jpg", "2022/\u00d6stra/\u00e5 %2F.JPG", "2022/x.png", "no suffix", "-/+.webp")


def row(image: str, *pieces: str, **changes: Any) -> Row:
    outputs = [
        Published(
            key=keys.published(RUN.municipality, RUN.digest, image, piece, "jpg"),
            sha256=hashlib.sha256(data(image, piece)).hexdigest(),
            width=1,
            height=1,
            piece=piece,
        ).model_copy(update=changes)
        for piece in pieces or [""]
    ]
    return Row(image=image, version="v1", outputs=outputs)


def data(image: str, piece: str = "") -> bytes:
    return f"{image}~{piece}".encode()


def made(store: Store, *rows: Row) -> None:
    """A run that has ended so, and its pictures."""
    for one in rows:
        for output in one.outputs:
            if output.key.startswith(PREFIX):
                store.write(output.key, data(one.image, output.piece))
    ordered = sorted(rows, key=lambda one: one.image.encode())
    store.write(keys.results_jsonl(RUN.id), b"".join(one.model_dump_json().encode() + b"\n" for one in ordered))
    store.write(keys.results_csv(RUN.id), b"image\n")


def run(store: Store, folder: Path, *, overwrite: bool = False) -> FetchSummary:
    return fetch(store, RUN, folder, workers=4, tell=lambda progress: None, overwrite=overwrite)


def on_disk(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    files.pop("utrecht-1.csv", None)
    return files


def test_every_picture_comes_under_its_image_s_path_and_the_table_beside_them(store: Store, tmp_path: Path) -> None:
    made(store, *map(row, NAMES), Row(image="broken.jpg", version="v1"))
    told: list[int] = []

    def tell(progress: FetchProgress) -> None:
        told.append(progress.copied)

    summary = fetch(store, RUN, tmp_path / "out/deep", workers=3, tell=tell)

    assert on_disk(tmp_path / "out/deep") == {
        "1.jpg": data("1.jpg"),
        "2022/\u00d6stra/\u00e5 %2F.jpg": data("2022/\u00d6stra/\u00e5 %2F.JPG"),
        "2022/x.jpg": data("2022/x.png"),
        "no suffix.jpg": data("no suffix"),
        "-/+.jpg": data("-/+.webp"),
    }
    assert (summary.total, summary.copied, summary.present, summary.renamed, summary.refusals) == (5, 5, 0, 0, [])
    assert summary.bytes == sum(map(len, on_disk(tmp_path / "out/deep").values()))
    assert summary.table.read_bytes() == b"image\n"
    assert told == [1, 2, 3, 4, 5]


def test_what_is_there_with_the_right_hash_is_not_asked_for_again(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, *map(row, NAMES))
    run(directory_store, tmp_path / "out")
    (tmp_path / "out/1.jpg").unlink()
    directory_store.delete([f.key for f in directory_store.entries(PREFIX) if not f.key.endswith("/1.jpg.jpg")])

    again = run(directory_store, tmp_path / "out")

    assert (again.copied, again.present, again.refusals) == (1, 4, [])


def test_another_file_stays_unless_it_is_to_be_replaced(store: Store, tmp_path: Path) -> None:
    made(store, row("1.jpg"), row("2.jpg"))
    (tmp_path / "1.jpg").write_bytes(b"somebody's photograph")

    first = run(store, tmp_path)

    assert first.refused == {SkipReason.THERE: 1}
    assert (tmp_path / "1.jpg").read_bytes() == b"somebody's photograph"
    assert run(store, tmp_path, overwrite=True).copied == 1
    assert (tmp_path / "1.jpg").read_bytes() == data("1.jpg")


def test_a_picture_that_is_not_what_the_run_made_never_takes_its_place(store: Store, tmp_path: Path) -> None:
    made(store, row("1.jpg"), row("2.jpg"), row("3.jpg"))
    store.write(PREFIX + "1.jpg.jpg", b"damaged")
    store.delete([PREFIX + "2.jpg.jpg"])

    summary = run(store, tmp_path / "out")

    assert summary.refused == {SkipReason.DAMAGED: 1, SkipReason.GONE: 1}
    assert on_disk(tmp_path / "out") == {"3.jpg": data("3.jpg")}


def test_what_a_killed_process_left_unfinished_is_removed(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, row("a/1.jpg"))
    (tmp_path / "out/a").mkdir(parents=True)
    kill = "import os, sys; from imgflow_steps.store.arriving import replacing; from pathlib import Path\n"
    kill += "with replacing(Path(sys.argv[1])) as part: part.write_bytes(b'half of it'); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", kill, str(tmp_path / "out/a/1.jpg")], check=False)
    assert len(list((tmp_path / "out/a").iterdir())) == 1

    run(directory_store, tmp_path / "out")

    assert on_disk(tmp_path / "out") == {"a/1.jpg": data("a/1.jpg")}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (["x.jpg", "x.png", "y.jpg"], ["x.jpg.jpg", "x.png.jpg", "y.jpg"]),
        (["x.jpg", "x.png", "x.jpg.png"], ["x.jpg.png.jpg", "x.png.jpg"]),  # the first one's are both somebody's, too
        (["x.jpg", "X.png"], ["X.png.jpg", "x.jpg.jpg"]),
        (["x.png", "x.jpg/1.png"], ["x.jpg/1.jpg", "x.png.jpg"]),
        (["\u00e5.jpg", "a\u030a.png"], ["a\u030a.png.jpg", "\u00e5.jpg.jpg"]),
    ],
)
def test_pictures_that_could_meet_keep_their_sources_whole_names(
    directory_store: Store, tmp_path: Path, images: list[str], expected: list[str]
) -> None:
    made(directory_store, *map(row, images))

    summary = run(directory_store, tmp_path / "out")

    assert set(expected) <= set(on_disk(tmp_path / "out"))
    assert sorted(on_disk(tmp_path / "out").values()) == sorted(map(data, images))
    assert summary.renamed == len(summary.longer) >= 1
    assert "could be called" in summary.longer[0][2]


def test_names_that_differ_in_case_alone_do_not_meet_where_case_means_nothing(
    directory_store: Store, tmp_path: Path
) -> None:
    made(directory_store, row("x.jpg"), row("X.jpg"))

    run(directory_store, tmp_path / "out")

    assert len({name.casefold() for name in on_disk(tmp_path / "out")}) == 2


def test_a_name_that_grows_too_long_is_cut_and_told(directory_store: Store, tmp_path: Path) -> None:
    image = "n" * 255
    made(directory_store, row(image))

    summary = run(directory_store, tmp_path / "out")

    assert list(on_disk(tmp_path / "out").values()) == [data(image)]
    assert "255 bytes" in summary.longer[0][2]


def test_pieces_of_one_image_stand_beside_each_other(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, row("a/x.jpg", "r1c1", "r1c2"))

    run(directory_store, tmp_path / "out")

    assert set(on_disk(tmp_path / "out")) == {"a/x~r1c1.jpg", "a/x~r1c2.jpg"}


@pytest.mark.parametrize(
    "hostile",
    [
        row("../x.jpg"),
        row("/etc/x.jpg"),
        row("a/../../x.jpg"),
        row("x.jpg", piece="/../../../y"),
        row("x.jpg", key="datasets/Utrecht/images/x.jpg"),
        row("x.jpg", key=PREFIX + "../../../../x"),
    ],
)
def test_no_row_leads_out_of_the_folder(directory_store: Store, tmp_path: Path, hostile: Row) -> None:
    store = Path(directory_store.url)
    lines = [hostile.model_dump_json().encode() + b"\n"]
    made(directory_store)
    directory_store.write(keys.results_jsonl(RUN.id), b"".join(lines))
    directory_store.write(keys.images("Utrecht") + "x.jpg", b"a photograph")
    outside = {path for path in tmp_path.rglob("*") if store not in path.parents}

    summary = run(directory_store, tmp_path / "deep/er/out")

    assert (summary.copied, summary.refused.total()) == (0, 1)
    assert {path.name for path in tmp_path.rglob("*") if store not in path.parents} <= {
        *(path.name for path in outside),
        *("deep", "er", "out", "utrecht-1.csv"),
    }


def test_a_link_that_leads_out_of_the_folder_is_not_followed(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, row("a/b/1.jpg"), row("2.jpg"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a").symlink_to(tmp_path / "elsewhere")

    summary = run(directory_store, tmp_path / "out")

    assert (summary.copied, summary.refused) == (1, {SkipReason.NAME: 1})
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_cannot_be_one_is_refused_by_name(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, row("1.jpg"))
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(BadParametersError, match="file is a file"):
        run(directory_store, tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told_once(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, row("1.jpg"), row("2.jpg"))
    (tmp_path / "out").mkdir(mode=0o500)

    with pytest.raises(UnavailableError, match="give this user the right to write"):
        run(directory_store, tmp_path / "out")


def test_a_run_without_results_is_not_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        run(store, tmp_path / "out")

    assert not (tmp_path / "out").exists()


def test_a_store_that_fails_stops_it(directory_store: Store, tmp_path: Path) -> None:
    made(directory_store, row("1.jpg"))

    def fail() -> None:
        raise UnavailableError("the store is away")

    with pytest.raises(UnavailableError, match="the store is away"):
        run(Meddled(directory_store, read=fail), tmp_path / "out")  # type: ignore[arg-type]  # it stands for the store


parts = st.lists(st.sampled_from(["a", "A", "x", "~", ".", "jpg", ".jpg", ".png", "/"]), min_size=1, max_size=6)
possible = parts.map("".join).filter(lambda name: not keys.problem(name))


# A machine that does much else is no fault of the property's.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(names=st.lists(possible, min_size=1, max_size=8, unique=True), pieces=st.booleans())
def test_no_two_pictures_ever_share_a_path_and_none_is_a_folder(names: list[str], pieces: bool) -> None:
    rows = [row(name, *(["a", "jpg"] if pieces else [])) for name in names]
    with places(pictures(rows, PREFIX)) as placed:
        chosen = [placed.of(number, picture) for number, picture in enumerate(pictures(rows, PREFIX))]
    with places(pictures(reversed(rows), PREFIX)) as placed:
        backwards = {p.key: placed.of(n, p) for n, p in enumerate(pictures(reversed(rows), PREFIX))}

    assert {p.key: path for p, path in zip(pictures(rows, PREFIX), chosen, strict=True)} == backwards
    folded = [unicodedata.normalize("NFC", path).casefold() for path in chosen]
    folders = {"/".join(path.split("/")[:depth]) for path in folded for depth in range(1, path.count("/") + 1)}
    assert len(set(folded)) == len(folded)
    assert "" not in folded
    assert not folders & set(folded)
