"""What a run without results shows of itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.made_runs import MadeRun, make_run
from tests.steps.report.test_report import Page, jpeg, lint

from imgflow_steps.collect.so_far import SoFar
from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.row import Status

if TYPE_CHECKING:
    from pathlib import Path


def going(folder: Path, *, listed: int = 10, shards: int = 3, **listing: int) -> MadeRun:
    """A run that has been listed, in which nothing was computed yet."""
    made = make_run(folder / "store")
    made.list([f"{n}.jpg" for n in range(listed)])
    told = Listing(listed=listed, todo=listed, shards=shards, **listing)
    made.store.write(keys.listing_json(made.run.id), told.model_dump_json().encode())
    return made


def say(made: MadeRun, shard: int, done: int, total: int, **changes: object) -> None:
    progress = ShardProgress(label="infer", shard=shard, total=total, done=done, began=1.7e9, updated=1.7e9 + 9)
    text = progress.model_copy(update=changes).model_dump_json().encode()
    made.store.write(keys.shard_progress(made.run.id, 3, shard), text)


def look(so_far: SoFar, folder: Path) -> Page:
    folder.mkdir(exist_ok=True)
    assert so_far.write(folder)
    return Page(folder / "index.html")


def text(page: Page) -> str:
    return page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_counts_are_those_of_the_containers_and_say_what_is_not_computed_yet(tmp_path: Path) -> None:
    made = going(tmp_path, cached=2)
    say(made, 0, 4, 4, rejected=1)
    made.add(made.row("0.jpg"), made.row("1.jpg", Status.REJECTED))

    page = look(SoFar(made.store, made.run), tmp_path / "page")

    words = re.findall(r"(\d+)(listed|processed|cached|rejected|failed|waiting)", text(page))
    assert words == [
        *(("10", "listed"), ("3", "processed"), ("2", "cached"), ("1", "rejected"), ("0", "failed")),
        ("4", "waiting"),
    ]
    assert "This run is not finished" in text(page)
    assert "those of the 2 images that this attempt has computed so far" in text(page)


def test_shards_that_are_done_are_told_from_those_under_way_and_those_not_begun(tmp_path: Path) -> None:
    made = going(tmp_path, shards=9)
    for shard in (0, 1, 2, 4):
        say(made, shard, 5, 5)
    say(made, 3, 2, 5, error="OSError: gone")
    say(made, 5, 2, 5)

    said = text(look(SoFar(made.store, made.run), tmp_path / "page"))

    assert "4 of 9 shards done" in said
    assert "Doneshards 0 to 2, 4" in said
    assert "Ended earlyshard 3" in said
    assert "shard 52 of 5 images" in said
    assert "Not begunshards 6 to 8" in said


def test_a_page_is_whole_and_keeps_to_what_a_report_may_hold(tmp_path: Path) -> None:
    made = going(tmp_path)
    made.store.write("thumb.jpg", jpeg())
    made.add(*(made.row(f"{n}.jpg", thumbs=["thumb.jpg"]) for n in range(4)))

    page = look(SoFar(made.store, made.run), tmp_path / "page")

    lint(tmp_path / "page")
    assert len(page.images) >= 4
    assert "All images" not in page.text
    assert 'id="alike"' not in (tmp_path / "page/index.html").read_text()


def test_nothing_is_shown_before_there_is_a_listing(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store")

    assert not SoFar(made.store, made.run).write(tmp_path)
    assert not (tmp_path / "index.html").exists()


def test_rows_are_read_once(tmp_path: Path) -> None:
    made = going(tmp_path)
    made.add(made.row("0.jpg"))
    so_far = SoFar(made.store, made.run)
    look(so_far, tmp_path / "page")
    for found in made.store.entries(made.run.rows):
        made.store.write(found.key, b"damaged, which nobody finds out who has read it before")
    made.add(made.row("1.jpg"))

    assert "those of the 2 images" in text(look(so_far, tmp_path / "page"))


def test_an_image_that_failed_and_was_computed_then_is_one_image(tmp_path: Path) -> None:
    made = going(tmp_path)
    so_far = SoFar(made.store, made.run)
    made.add(made.row("0.jpg", Status.FAILED, code="gone"), made.row("1.jpg", Status.FAILED, code="gone"))
    say(made, 0, 2, 4, failed=2)
    assert re.search(r"gone\s*2 images", text(look(so_far, tmp_path / "page")))

    made.add(made.row("0.jpg"), made.row("1.jpg", Status.FAILED, code="gone"))
    say(made, 0, 2, 4, failed=1)
    said = text(look(so_far, tmp_path / "page"))

    assert re.search(r"gone\s*1 image(?!s)", said)
    assert "those of the 1 image that" in said


@pytest.mark.parametrize("other", [{"run": "utrecht-1-2"}, {"ended": 1.6e9}], ids=["another run", "an earlier attempt"])
def test_rows_of_others_are_not_counted(tmp_path: Path, other: dict[str, object]) -> None:
    made = going(tmp_path)
    made.add(made.row("0.jpg"))
    made.add(made.row("1.jpg", **other))

    assert "those of the 1 image that" in text(look(SoFar(made.store, made.run), tmp_path / "page"))


def test_a_picture_keeps_its_name_and_is_copied_once_and_never_has_one_of_the_finished_report(tmp_path: Path) -> None:
    made = going(tmp_path)
    so_far = SoFar(made.store, made.run)
    made.store.write("b.jpg", jpeg())
    made.add(made.row("1.jpg", thumbs=["b.jpg"]))
    first = {image["src"] for image in look(so_far, tmp_path / "one").images}
    made.store.write("a.jpg", jpeg())
    made.add(made.row("0.jpg", thumbs=["a.jpg"]))

    both = {image["src"] for image in look(so_far, tmp_path / "two").images}

    assert first < both
    assert {f"thumbs/{path.name}" for path in (tmp_path / "two/thumbs").iterdir()} == both - first
    collect(made.store, made.run, output=tmp_path / "report")
    assert not {image["src"] for image in Page(tmp_path / "report/index.html").images} & both
