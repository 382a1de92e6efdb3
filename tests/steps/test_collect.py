from __future__ import annotations

import csv
import io
import tempfile
import threading
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made_runs import MadeRun, Meddled, make_run
from tests.thorough import examples

from imgflow_steps.collect.work import judge_run
from imgflow_steps.collect.work import run as collect
from imgflow_steps.contract.job import Counts, Exit
from imgflow_steps.records import keys, rows
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.results import harmless
from imgflow_steps.records.row import Published, Row, Status
from imgflow_steps.records.rows import merged
from imgflow_steps.records.summary import Phase, read_summary
from imgflow_steps.store import StoreError, UnavailableError


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return make_run(tmp_path / "store")


def verdicts(made: MadeRun) -> list[Row]:
    return [Row.model_validate_json(line) for line in made.store.read(keys.results_jsonl("utrecht-1")).splitlines()]


def table(made: MadeRun) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.read(keys.results_csv("utrecht-1")), newline="")))


OWN, OTHER, FINAL = "utrecht-1", "utrecht-0", ("processed", "rejected", "failed")


@examples(60)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
        st.lists(st.tuples(st.sampled_from(FINAL), st.sampled_from([OWN, OTHER]), st.sampled_from(["v0", "v1"]))),
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_every_listed_image_gets_exactly_one_verdict_and_the_counts_add_up(
    images: dict[str, list[tuple[str, str, str]]], parts: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = make_run(Path(folder))
        made.list(images)
        known = [
            made.row(image, Status(status), run=run, version=version, ended=1.7e9 + n)
            for image, history in images.items()
            for n, (status, run, version) in enumerate(history)
        ]
        for n in range(parts):
            made.add(*known[n::parts], made.row("not listed"))
        summary = collect(made.store, made.run, output=None)
        found = verdicts(made)

    def expected(history: list[tuple[str, str, str]]) -> str:
        status, run, version = history[-1] if history else ("", "", "")
        if version != "v1":
            return "failed"
        return "cached" if (status, run) == ("processed", OTHER) else status

    assert {row.image: row.status.value for row in found} == {i: expected(history) for i, history in images.items()}
    assert [row.image for row in found] == sorted(images, key=str.encode)
    assert summary.counts.add_up
    assert summary.counts.listed == len(images)
    assert summary.missing == sum(row.code == "shard-lost" for row in found)


def test_an_image_whose_shard_was_lost_fails_and_says_what_to_do(made: MadeRun) -> None:
    made.list(["a.jpg", "b.jpg"])
    made.add(made.row("a.jpg"))
    summary = collect(made.store, made.run, output=None)
    lost = verdicts(made)[1]
    assert (lost.status, lost.code, summary.missing) == (Status.FAILED, "shard-lost", 1)
    assert "imgflow retry utrecht-1" in lost.message
    assert "imgflow retry utrecht-1" in summary.message


@pytest.mark.parametrize(
    ("rejected", "failed", "limit", "code"),
    [
        (0, 0, "0", Exit.DONE),
        (9, 0, "100%", Exit.DONE),
        (10, 0, "100%", Exit.TOO_MANY_REJECTED),  # nothing came of it
        (1, 0, "0", Exit.TOO_MANY_REJECTED),
        (2, 0, "2", Exit.DONE),
        (3, 0, "2", Exit.TOO_MANY_REJECTED),
        (2, 0, "20%", Exit.DONE),
        (2, 0, "19.9%", Exit.TOO_MANY_REJECTED),
        (0, 1, "100%", Exit.IMAGES_FAILED),
        (9, 1, "0", Exit.IMAGES_FAILED),
    ],
)
def test_a_run_of_ten_images_ends_with_the_code_of_the_table(
    tmp_path: Path, rejected: int, failed: int, limit: str, code: Exit
) -> None:
    made = make_run(tmp_path, max_rejected=limit)
    statuses = [Status.REJECTED] * rejected + [Status.FAILED] * failed
    statuses += [Status.PROCESSED] * (10 - len(statuses))
    made.list(f"{n}.jpg" for n in range(10))
    made.add(*(made.row(f"{n}.jpg", status) for n, status in enumerate(statuses)))
    summary = collect(made.store, made.run, output=None)
    assert summary.exit == code
    assert summary.status == (Phase.FAILED if code else Phase.SUCCEEDED)
    assert bool(summary.message) == bool(code)
    assert read_summary(made.store, "utrecht-1") == summary


@pytest.mark.parametrize(("limit", "listed", "rejected"), [("32.3%", 1000, 323), ("0.57%", 10_000, 57)])
def test_as_many_as_a_percentage_says_may_be_rejected_and_not_one_less(
    tmp_path: Path, limit: str, listed: int, rejected: int
) -> None:
    run = make_run(tmp_path, max_rejected=limit).run
    counts = Counts(listed=listed, processed=listed - rejected, rejected=rejected)
    assert judge_run(counts, run, Listing(listed=listed)) == (Exit.DONE, "")
    more = Counts(listed=listed, processed=listed - rejected - 1, rejected=rejected + 1)
    assert judge_run(more, run, Listing(listed=listed))[0] == Exit.TOO_MANY_REJECTED


def test_a_run_that_was_stopped_is_interrupted_and_not_failed(made: MadeRun) -> None:
    made.list(["a.jpg", "b.jpg"])
    made.add(made.row("a.jpg"))
    made.store.write(keys.stopped("utrecht-1"), b"")

    summary = collect(made.store, made.run, output=None)

    assert (summary.status, summary.counts.processed, summary.missing) == (Phase.INTERRUPTED, 1, 1)
    assert "imgflow retry utrecht-1" in summary.message

    made.add(made.row("b.jpg"))
    assert collect(made.store, made.run, output=None).status is Phase.SUCCEEDED


def test_what_images_ended_with_is_counted_by_code(made: MadeRun) -> None:
    made.list(["a.jpg", "b.jpg", "c.jpg"])
    made.add(made.row("a.jpg", Status.REJECTED), made.row("b.jpg", Status.REJECTED))

    summary = collect(made.store, made.run, output=None)

    assert (summary.rejected, summary.failed) == ({"some-rejected": 2}, {"shard-lost": 1})


def test_a_listing_that_is_not_what_list_counted_fails_the_run(made: MadeRun) -> None:
    made.list(["a.jpg"], counted=2)
    made.add(made.row("a.jpg"))
    summary = collect(made.store, made.run, output=None)
    assert summary.exit == Exit.IMAGES_FAILED
    assert "imgflow retry" in summary.message


def test_a_run_that_was_never_listed_has_failed_and_says_the_way_on(made: MadeRun) -> None:
    summary = collect(made.store, made.run, output=None)
    assert (summary.status, summary.exit, summary.counts) == (Phase.FAILED, Exit.IMAGES_FAILED, Counts())
    assert "imgflow retry utrecht-1" in summary.message
    assert read_summary(made.store, made.run.id) == summary


def test_an_empty_dataset_is_a_run_that_succeeded(made: MadeRun) -> None:
    made.list([], other=3)
    summary = collect(made.store, made.run, output=None)
    assert (summary.exit, summary.counts, summary.other) == (0, Counts(), 3)


def test_the_summary_is_written_when_everything_else_is_in_place_and_tidying_comes_after_it(made: MadeRun) -> None:
    made.list(["a.jpg", "b.jpg"])
    made.add(made.row("a.jpg"))
    made.add(made.row("b.jpg"))
    made.store.write("scratch/utrecht-1/1/00000.tar", b"pixels")
    made.store.write("scratch/utrecht-10/1/00000.tar", b"of another run")
    written: list[str] = []

    class Watched(Meddled):
        def write(self, key: str, data: bytes, media: str) -> None:
            assert key == keys.summary_json("utrecht-1") or (written and key.startswith(keys.costs()))
            if not written:
                written.extend(found.key for found in made.store.entries())
            made.store.write(key, data, media)

    collect(Watched(made.store), made.run, output=None)  # type: ignore[arg-type]
    before = set(written)
    after = {found.key for found in made.store.entries()}
    assert {keys.results_jsonl("utrecht-1"), keys.results_csv("utrecht-1"), "runs/utrecht-1/report/index.html"} < before
    assert len([key for key in before if key.startswith(made.run.rows)]) == 2
    assert len([key for key in after if key.startswith(made.run.rows)]) == 1
    assert {key for key in after if key.startswith("scratch/")} == {"scratch/utrecht-10/1/00000.tar"}


def test_what_lies_between_steps_stays_while_images_failed(made: MadeRun) -> None:
    made.list(["a.jpg", "b.jpg"])
    made.add(made.row("a.jpg"))
    made.store.write("scratch/utrecht-1/1/00000.tar", b"pixels")

    collect(made.store, made.run, output=None)

    assert made.store.stat("scratch/utrecht-1/1/00000.tar")


def test_without_the_report_in_place_there_is_no_summary_and_no_row_is_touched(made: MadeRun) -> None:
    def fail() -> None:
        raise UnavailableError("the store is away")

    made.list(["a.jpg"])
    made.add(made.row("a.jpg"))
    with pytest.raises(StoreError):
        collect(Meddled(made.store, upload=fail), made.run, output=None)  # type: ignore[arg-type]
    assert read_summary(made.store, "utrecht-1") is None
    assert collect(made.store, made.run, output=None).exit == 0


def test_two_collectors_at_once_both_end_and_no_row_is_lost(made: MadeRun) -> None:
    names = [f"{n:03d}.jpg" for n in range(200)]
    made.list(names)
    for n in range(0, 200, 5):
        made.add(*(made.row(name) for name in names[n : n + 5]))
    ended: list[Counts] = []
    collectors = [
        threading.Thread(target=lambda: ended.append(collect(made.store, made.run, output=None).counts))
        for _ in range(2)
    ]
    for collector in collectors:
        collector.start()
    for collector in collectors:
        collector.join()
    assert ended == [Counts(listed=200, processed=200)] * 2
    with merged(made.store, made.run.rows) as kept:
        assert [row.image for row in kept] == names


def test_collecting_again_gives_the_same_results_and_leaves_no_page_of_a_longer_report(made: MadeRun) -> None:
    made.list(f"{n:04d}.jpg" for n in range(600))
    made.add(*(made.row(f"{n:04d}.jpg") for n in range(600)))
    collect(made.store, made.run, output=None)
    first = made.read(keys.results_csv("utrecht-1"))
    collect(made.store, made.run, output=None)
    assert made.read(keys.results_csv("utrecht-1")) == first
    made.list(["0001.jpg"])
    collect(made.store, made.run, output=None)
    pages = [found.key for found in made.store.entries("runs/utrecht-1/report/images-")]
    assert pages == ["runs/utrecht-1/report/images-0001.html"]


def test_a_first_page_comes_when_all_that_it_points_to_is_there(made: MadeRun) -> None:
    made.list(["a.jpg"])
    made.add(made.row("a.jpg", thumbs=["small.jpg"]))
    made.store.write("small.jpg", b"a picture")
    there: list[str] = []

    def look() -> None:
        there.extend(found.key for found in made.store.entries(keys.report("utrecht-1")))

    class Watched(Meddled):
        def upload(self, path: Path, key: str, content_type: str) -> None:
            if path.name == "index.html":
                look()
            made.store.upload(path, key, content_type)

    collect(Watched(made.store), made.run, output=None)  # type: ignore[arg-type]

    names = {key.rpartition("report/")[2] for key in there}
    assert names == {"images-0001.html", "images.html", "style.css", "thumbs/0000.jpg"}


def test_a_report_that_something_else_carries_is_not_written_to_the_store(made: MadeRun, tmp_path: Path) -> None:
    made.list(["a.jpg"])
    made.add(made.row("a.jpg"))
    summary = collect(made.store, made.run, output=tmp_path / "out" / "report")
    assert (tmp_path / "out" / "report" / "index.html").exists()
    assert list(made.store.entries(keys.report("utrecht-1"))) == []
    assert summary.report.endswith("/runs/utrecht-1/report/index.html")


def test_results_hold_every_verdict_whole(made: MadeRun) -> None:
    pieces = [
        Published(key=f"out/{n}.jpg", sha256="0" * 64, width=8, height=8, piece=f"p{n}", found={"label": {"top": [n]}})
        for n in range(3)
    ]
    row = made.row("a.jpg", run=OTHER, outputs=pieces)
    made.list(["a.jpg"])
    made.add(row)
    collect(made.store, made.run, output=None)
    assert verdicts(made) == [row.model_copy(update={"status": Status.CACHED})]


def test_the_table_has_a_line_per_picture_where_several_came_of_an_image(made: MadeRun) -> None:
    pieces = [
        Published(key=f"out/{n}.jpg", sha256="0" * 64, width=8, height=8, piece=f"r1c{n}", found={"score": n / 2})
        for n in (1, 2)
    ]
    made.list(["a.jpg", "b.jpg"])
    made.add(made.row("a.jpg", outputs=pieces), made.row("b.jpg"))
    collect(made.store, made.run, output=None)
    names = ("image", "outputs", "piece", "output_key", "found_score")
    assert [[line[name] for name in names] for line in table(made)][:2] == [
        ["a.jpg", "2", "r1c1", "out/1.jpg", "0.5"],
        ["a.jpg", "2", "r1c2", "out/2.jpg", "1.0"],
    ]
    assert len(table(made)) == 3


def test_the_table_has_a_line_per_image_and_a_column_per_finding(made: MadeRun) -> None:
    found = {"sharpness": -0.25, "quality": {"label": "good", "score": 0.5, "top": [["good", 0.5]]}, "night": True}
    output = Published(key="out/a.jpg", sha256="0" * 64, width=512, height=384, found=found)
    made.list(["a.jpg", "b.jpg", 'new\nline, "quoted".jpg'])
    made.add(made.row("a.jpg", outputs=[output]), made.row("b.jpg", Status.REJECTED))
    collect(made.store, made.run, output=None)
    first, second, third = table(made)
    names = ("status", "width", "output_key", "found_sharpness", "found_quality.label", "found_quality.score")
    assert [first[name] for name in names] == ["processed", "4000", "out/a.jpg", "-0.25", "good", "0.5"]
    assert first["found_night"] == "True"
    assert (second["status"], second["code"], second["found_sharpness"]) == ("rejected", "some-rejected", "")
    assert (third["image"], third["code"]) == ('new\nline, "quoted".jpg', "shard-lost")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])  # noqa: RUF001 - as spreadsheets read them
def test_no_name_label_or_message_is_a_formula_in_the_table(made: MadeRun, start: str) -> None:
    evil = f'{start}HYPERLINK("http://x","y").jpg'
    output = Published(key=evil, sha256=evil, width=8, height=8, found={"label": evil, evil: 1, "negative": -1})
    made.list([evil, "b.jpg"])
    made.add(made.row(evil, outputs=[output]), made.row("b.jpg", Status.FAILED, code=evil, message=evil))
    collect(made.store, made.run, output=None)
    lines = csv.reader(io.StringIO(made.read(keys.results_csv("utrecht-1")), newline=""))
    cells = [cell for line in lines for cell in line]
    assert not [cell for cell in cells if cell.startswith(start) and cell != "-1"]
    assert f"'{evil}" in cells
    assert "-1" in cells


def test_numbers_stay_numbers_in_the_table() -> None:
    assert [harmless(value) for value in (-1, -0.5, "-1", "a-1", None)] == [-1, -0.5, "'-1", "a-1", None]
    assert [harmless(zone) for zone in ("+02:00", "-11:30", "+02:00+1")] == ["+02:00", "-11:30", "'+02:00+1"]


def test_the_report_tells_why_shards_were_given_up(made: MadeRun) -> None:
    made.list(["a.jpg"])
    ended = ShardProgress(label="scale", shard=3, total=10, error="UnavailableError: <the store> does not answer")
    made.store.write(keys.shard_progress("utrecht-1", 1, 3), ended.model_dump_json().encode())
    collect(made.store, made.run, output=None)
    index = made.read("runs/utrecht-1/report/index.html")
    assert "scale, shard 3" in index
    assert "UnavailableError: &#60;the store&#62; does not answer" in index


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FETCHES", 1)  # a buffer of the store's per fetch would drown what is measured
    peaks = []
    for count in (1000, 3000):
        made = make_run(tmp_path / str(count))
        made.list(f"{n:05d}.jpg" for n in range(count))
        for start in range(5):
            made.add(*(made.row(f"{n:05d}.jpg", ms={"decode": float(n)}) for n in range(start, count, 5)))
        tracemalloc.start()
        collect(made.store, made.run, output=None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.4
