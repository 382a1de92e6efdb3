"""submit --once: each picture once, by what runs have seen before."""

from __future__ import annotations

import csv
import io
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.records.run import load

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

QUICK = ("submit", "-m", "Demo", "--steps", "scale:16x16", "--workers", "1", "-o", "json")
COPIES = {"a.jpg": "0.jpg", "b.webp": "1.jpg"}  # copy and original; by name the copies come later


def copy(seed: int, form: str = "JPEG") -> bytes:
    out = BytesIO()
    photographs.pixels(seed, 192, 128).resize((96, 64)).save(out, form, quality=60)
    return out.getvalue()


@pytest.fixture
def album(store: Store) -> Store:
    """Four photographs, copies of two of them, and a letter."""
    for n in range(4):
        store.write(keys.images("Demo") + f"{n}.jpg", photographs.jpeg(n, 192, 128))
    store.write(keys.images("Demo") + "a.jpg", copy(0))
    store.write(keys.images("Demo") + "b.webp", copy(1, "WEBP"))
    store.write(keys.images("Demo") + "letter.jpg", b"Dear Sir or Madam")
    return store


def left_out(store: Store, run: str) -> dict[str, str]:
    lines = csv.DictReader(io.StringIO(store.read(keys.left_out(run)).decode(), newline=""))
    return {line["image"]: line["duplicate_of"] for line in lines}


def runs(store: Store) -> int:
    return len(list(store.folders("runs/")))


def test_near_duplicates_are_left_out_and_named_and_what_cannot_be_read_stays(imgflow: Cli, album: Store) -> None:
    done = imgflow(*QUICK, "--once")

    run = done.json["run"]
    assert done.code == 0
    assert left_out(album, run) == COPIES
    assert done.json["counts"] == {"listed": 5, "processed": 4, "cached": 0, "rejected": 1, "failed": 0}
    assert done.json["left_out"] == load(album, run).left_out == 2
    assert "no run has seen 7 of the images yet" in done.err
    assert f"skipped: 2 near-duplicates of other images; which: {album.url}/runs/{run}/left-out.csv" in done.err
    report = album.read(keys.report(run) + "index.html").decode()
    assert "Skipped in this run by --once: 2\xa0near-duplicates of other images" in report
    assert report.count(" looks like ") == 2


def test_what_a_run_of_any_pipeline_has_seen_is_not_looked_at_again(imgflow: Cli, album: Store) -> None:
    imgflow("submit", "-m", "Demo", "--steps", "rotate:90", "--workers", "1")
    album.write(keys.images("Demo") + "new.jpg", photographs.jpeg(9, 192, 128))

    first, second = imgflow(*QUICK, "--once"), imgflow(*QUICK, "--once")

    assert "no run has seen 1 of the images yet" in first.err
    assert "no run has seen" not in second.err
    assert (runs(album), second.json["counts"]["cached"]) == (4, 5)


def test_the_newest_run_is_the_one_that_was_asked_for(imgflow: Cli, album: Store) -> None:
    done = imgflow(*QUICK, "--once")

    assert imgflow("get", "@latest", "-o", "name").out.strip() == done.json["run"]
    assert imgflow("query", "SELECT count(*) AS n FROM results", "-o", "json").json == [{"n": 5}]


def test_a_sample_is_drawn_first_and_then_each_picture_of_it_taken_once(imgflow: Cli, album: Store) -> None:
    done = imgflow(*QUICK, "--once", "--sample", "7")

    assert (done.json["counts"]["listed"], done.json["left_out"]) == (5, 2)


def test_photographs_that_lie_elsewhere_are_taken_once_too(imgflow: Cli, album: Store) -> None:
    done = imgflow(*QUICK, "--once", "--source", ".imgflow/datasets/Demo/images")

    assert (done.json["counts"]["listed"], left_out(album, done.json["run"])) == (5, COPIES)


def test_how_near_is_what_collect_says(imgflow: Cli, album: Store) -> None:
    done = imgflow(*QUICK, "--once", "--set", "collect.near=0")

    assert done.json["left_out"] < 2


def test_retry_goes_on_with_what_was_chosen_then(imgflow: Cli, album: Store) -> None:
    done = imgflow(*QUICK, "--once").json
    album.write(keys.images("Demo") + "new.jpg", photographs.jpeg(9, 192, 128))

    again = imgflow("retry", done["run"], "-o", "json").json

    assert (again["counts"]["listed"], again["left_out"]) == (5, 2)


def test_plan_says_what_is_known_and_writes_nothing(imgflow: Cli, album: Store) -> None:
    before = list(album.entries())
    unseen = imgflow("plan", "-m", "Demo", "--once", "-o", "json").json
    assert (unseen["left_out"], unseen["unseen"], list(album.entries())) == (0, 7, before)

    imgflow("submit", "-m", "Demo", "--steps", "rotate:90", "--workers", "1")
    words = imgflow("plan", "-m", "Demo", "--once").out

    assert "2 near-duplicates of other images" in words
    assert "no run has seen" not in words


def test_process_takes_each_picture_of_a_folder_once(imgflow: Cli, album: Store) -> None:
    folder = Path(".imgflow/datasets/Demo/images")

    done = imgflow("process", str(folder), "out", "--steps", "scale:16x16", "--workers", "1", "--once")

    assert "skipped: 2 near-duplicates of other images" in done.err
    assert {path.name for path in Path("out").glob("*.jpg")} == {f"{n}.jpg" for n in range(4)}


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--engine", "argo", "--cron", "0 3 * * *"), "--once choose now"),
        (("--where", "true"), "Demo has no catalog"),
    ],
)
def test_what_cannot_be_gives_one_error_and_starts_nothing(
    imgflow: Cli, album: Store, flags: tuple[str, ...], error: str
) -> None:
    done = imgflow(*QUICK, "--once", *flags, "--store", str(Path(".imgflow").resolve()))

    assert done.code == 2
    assert error in done.out + done.err
    assert runs(album) == 0


def test_where_looking_fails_the_run_does_not_begin(
    imgflow: Cli, album: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgflow_workflows.engines.local.LocalEngine._shards", lambda *_: None)  # its images are lost

    done = imgflow(*QUICK, "--once")

    assert done.code == 1
    assert "which looks for near-duplicates, ended as failed" in done.err + done.out
    assert runs(album) == 1


def test_an_image_of_one_colour_is_like_no_other(imgflow: Cli, store: Store) -> None:
    for n in range(3):
        out = BytesIO()
        Image.new("RGB", (64, 48), (n, n, n)).save(out, "PNG")
        store.write(keys.images("Demo") + f"{n}.png", out.getvalue())

    done = imgflow(*QUICK, "--once")

    assert (done.json["counts"]["listed"], done.json["left_out"]) == (3, 0)
