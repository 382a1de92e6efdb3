"""An outcome never hides a loss: nothing came of it, some were rejected, or a shard was given up, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.made_runs import MadeRun, make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.contract.job import Exit
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.summary import Phase


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return make_run(tmp_path / "store", max_rejected="100%")


@pytest.mark.parametrize(("images", "says"), [(1, "the only image was rejected"), (3, "all images were rejected")])
def test_a_run_of_which_nothing_came_fails_whatever_may_be_rejected(made: MadeRun, images: int, says: str) -> None:
    names = [f"{n}.jpg" for n in range(images)]
    made.list(names)
    made.add(*(made.row(name, Status.REJECTED) for name in names))

    summary = collect(made.store, made.run, output=None)

    assert summary.exit == Exit.TOO_MANY_REJECTED
    assert summary.status is Phase.FAILED
    assert says in summary.message


@pytest.mark.parametrize("status", [Status.PROCESSED, Status.CACHED])
def test_one_result_is_enough(made: MadeRun, status: Status) -> None:
    made.list(["a.jpg", "b.jpg"])
    other = {"run": "another"} if status is Status.CACHED else {}
    made.add(made.row("a.jpg", **other), made.row("b.jpg", Status.REJECTED))

    assert collect(made.store, made.run, output=None).exit == Exit.DONE


def test_a_run_without_images_is_no_loss(made: MadeRun) -> None:
    made.list([])

    assert collect(made.store, made.run, output=None).exit == Exit.DONE


def test_ten_images_without_a_result_are_named_with_their_reasons_failed_ones_first(made: MadeRun) -> None:
    names = [f"{n:02d}.jpg" for n in range(15)]
    made.list(["a.jpg", *names])
    states = [Status.FAILED if n % 5 == 4 else Status.REJECTED for n in range(15)]
    made.add(made.row("a.jpg"), *(made.row(name, one) for name, one in zip(names, states, strict=True)))

    found = collect(made.store, made.run, output=None).examples

    assert [one.status for one in found] == [Status.FAILED] * 3 + [Status.REJECTED] * 7
    assert [one.image for one in found][:4] == ["04.jpg", "09.jpg", "14.jpg", "00.jpg"]
    assert (found[0].code, found[0].message) == ("some-failed", "as the message says")


def test_images_of_a_shard_that_was_given_up_say_why(made: MadeRun) -> None:
    shards = [["a.jpg", "b.jpg"], ["c.jpg", "ö.jpg"], ["ü.jpg"]]
    made.list([name for shard in shards for name in shard])
    for number, shard in enumerate(shards):
        lines = [Entry(image=name, version="v1", bytes=1000).model_dump_json().encode() + b"\n" for name in shard]
        made.store.write(keys.manifest(made.run.id, number), b"".join(lines))
    for number, error in ((1, "DeniedError: the store says no"), (2, "")):
        progress = ShardProgress(label="infer", shard=number, total=2, error=error)
        key = keys.shard_progress(made.run.id, 3, number)
        made.store.write(key, progress.model_dump_json().encode())
    made.add(made.row("a.jpg"), made.row("c.jpg"))

    summary = collect(made.store, made.run, output=None)
    lines = made.store.read(keys.results_jsonl(made.run.id)).splitlines()
    messages = {row.image: row.message for row in map(Row.model_validate_json, lines) if row.status is Status.FAILED}

    assert summary.exit == Exit.IMAGES_FAILED
    assert {image: "the store says no" in message for image, message in messages.items()} == {
        "b.jpg": False,
        "ö.jpg": True,
        "ü.jpg": False,
    }
    assert any("the store says no" in one.message for one in summary.examples)
