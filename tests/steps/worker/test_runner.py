"""A container's work: from flags, from JSON on standard input, and what it says at its end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests import photographs
from tests.conftest import KINDS_IN_SHORT

from imgflow_steps import __version__
from imgflow_steps.contract.job import Exit, Job, Result
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import read_listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.rows import merged, write_part
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import Store, open_store
from imgflow_steps.worker.runner import run_job

PIPELINE = parse({"steps": [{"scale": {"width": 40, "height": 40}}, "grayscale", "infer"]})


def container(store: Store, *flags: str, job: Job | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "imgflow_steps", *flags],
        input=job.model_dump_json() if job else "",
        env={**os.environ, "IMGFLOW_STORE": store.url, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(str(tmp_path / "store"))
    for i in range(5):
        store.write(keys.images("Demo") + f"{i}.jpg", photographs.jpeg(i))
    store.write(keys.images("Demo") + "zz.jpg", b"no photograph at all")
    return store


def submit(store: Store, run_id: str, shard_size: int = 4) -> Run:
    listing = List(shard_size=shard_size, layout="steps")
    run = Run(id=run_id, municipality="Demo", pipeline=PIPELINE, list=listing, created=time.time())
    save(store, run)
    return run


def bytes_of(store: Store, run: Run) -> dict[str, str]:
    prefix = keys.results(run.municipality, run.digest) + "images/"
    return {f.key: hashlib.sha256(store.read(f.key)).hexdigest() for f in store.entries(prefix)}


def done(store: Store, run: Run, step: str, position: int = 0, **job: Any) -> Result:
    """A container's work without a container."""
    return run_job(Job(step=step, run=run.id, position=position, **job), store)


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_a_serial_coordinator_needs_nothing_but_json_jobs(store: Store) -> None:
    run = submit(store, "serial", shard_size=9)
    jobs = [Job(step=step, run=run.id) for step in ("list", "fused", "collect")]

    ended = [container(store, job=job.model_copy(update={"store": store.url})) for job in jobs]
    results = [Result.model_validate_json(one.stdout) for one in ended]
    summary = read_summary(store, run.id)

    assert [one.returncode for one in ended] == [0] * 3
    assert results[0].shards == 1
    assert results[1].counts.listed == 6
    assert summary
    assert (summary.counts.processed, summary.counts.rejected) == (5, 1)


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_flags_with_files_between_steps_give_the_same_bytes_as_one_fused_process(store: Store, tmp_path: Path) -> None:
    run = submit(store, "flags")
    out = tmp_path / "out"
    assert container(store, "list", "--run", run.id, "--output", str(out)).returncode == 0
    assert (out / "steps-count").read_text() == "2"
    assert (out / "fused-count").read_text() == "0"
    where = ["--run", run.id, "--shard", "1"]
    one, two = str(tmp_path / "1.tar"), str(tmp_path / "2.tar")
    container(store, "scale", *where, "--position", "1", "--output", one)
    container(store, "grayscale", *where, "--position", "2", "--input", one, "--output", two)
    assert container(store, "infer", *where, "--position", "3", "--input", two).returncode == 0
    by_steps = bytes_of(store, run)
    store.delete([found.key for found in store.entries(keys.results(run.municipality, run.digest))])

    container(store, "fused", *where)

    assert len(by_steps) == 1
    assert bytes_of(store, run) == by_steps


GREETS = """
import imgflow_steps.list.work as module
module.run = lambda *_, run=module.run: print("a library that greets") or run(*_)
"""


def test_standard_output_carries_the_result_and_nothing_else(store: Store, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(GREETS)
    run = submit(store, "noisy")

    ended = container(store, job=Job(step="list", run=run.id, store=store.url), PYTHONPATH=str(tmp_path))

    assert "a library that greets" in ended.stderr
    assert json.loads(ended.stdout)["exit"] == 0


@pytest.mark.parametrize(
    ("job", "says"),
    [
        (Job(step="scale", run="nobody", position=1), "there is no run 'nobody'"),
        (Job(step="blur", run="known", position=1), "no step 'blur' at position 1; it has: 1 scale"),
        (Job(step="scale", run="known", position=2), "no step 'scale' at position 2"),
        (Job(step="scale", run="../etc", position=1), "cannot name a run"),
    ],
)
def test_a_job_that_can_never_work_says_why_and_is_not_retried(store: Store, job: Job, says: str) -> None:
    submit(store, "known")

    ended = run_job(job, store)

    assert ended.exit == Exit.BAD_PARAMETERS
    assert says in ended.error


@pytest.mark.parametrize("step", ["list", "fused", "collect"])
def test_a_run_of_another_imgflow_is_named_and_not_retried(store: Store, step: str) -> None:
    run = submit(store, "newer")
    known = json.loads(store.read(keys.run_json(run.id)))
    store.write(keys.run_json(run.id), json.dumps({**known, "colour_of_the_sky": "blue"}).encode())

    ended = done(store, run, step)

    assert ended.exit == Exit.BAD_PARAMETERS
    assert re.search(
        rf"run newer in .* cannot be read: {keys.run_json('newer')}: colour_of_the_sky.* than this {__version__}\?",
        ended.error,
    )


def test_what_the_store_does_not_have_is_not_asked_for_as_often_as_a_store_that_is_away(store: Store) -> None:
    run = submit(store, "lost")

    ended = done(store, run, "fused")

    assert ended.exit == Exit.REFUSED
    assert keys.manifest(run.id, 0) in ended.error


def test_standard_input_that_is_no_job_is_named(store: Store) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "imgflow_steps"], input='{"step": 1}', capture_output=True, text=True, check=False
    )

    assert ended.returncode == Exit.BAD_PARAMETERS
    assert "job: run" in Result.model_validate_json(ended.stdout).error


def test_a_step_whose_input_is_not_whole_asks_to_be_tried_again(store: Store, tmp_path: Path) -> None:
    run = submit(store, "cut")
    done(store, run, "list")
    first = tmp_path / "1.tar"
    done(store, run, "scale", 1, output=str(first))
    first.write_bytes(first.read_bytes()[: first.stat().st_size // 2])

    ended = container(store, "grayscale", "--run", run.id, "--position", "2", "--input", str(first))

    assert ended.returncode == Exit.TEMPORARY
    assert "the step before it has to run again" in ended.stderr
    assert "Error:" not in ended.stderr  # the message alone is for people


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_an_attempt_does_only_what_the_one_before_it_has_not_finished(
    store: Store, tmp_path: Path, layout: str
) -> None:
    run = submit(store, "killed")
    done(store, run, "list")
    calls = [("fused", 0)]
    if layout == "steps":
        calls = [(call.name, at) for at, call in enumerate(PIPELINE.steps, 1)]
    for call in calls:
        assert done(store, run, *call).exit == 0
    whole, pictures = bytes_of(store, run), keys.results(run.municipality, run.digest) + "images/"
    with merged(store, run.rows) as known:
        unfinished, failed, *finished = known
    store.delete([found.key for found in store.entries(run.rows)])
    write_part(store, run.rows, [*finished, failed.model_copy(update={"status": Status.FAILED})])
    lost = {output.key for row in (unfinished, failed) for output in row.outputs}
    store.delete(lost)
    left = {found.key: found.version for found in store.entries(pictures)}

    told: list[ShardProgress] = []
    again = run_job(Job(step=calls[-1][0], run=run.id, position=calls[-1][1]), store, tell=told.append)

    assert again.exit == 0, again.error
    assert bytes_of(store, run) == whole
    assert {found.key: found.version for found in store.entries(pictures) if found.key not in lost} == left
    assert (told[-1].done, told[-1].total) == (4, 4)
    assert again.counts.listed == 4


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_no_row_ever_speaks_of_a_picture_that_is_not_in_the_store(store: Store, layout: str) -> None:
    run = submit(store, "refused")
    done(store, run, "list")
    taken = keys.published(run.municipality, run.digest, "3.jpg", "", "jpg")
    store.write(f"{taken}/a file", b"where this picture would lie: it cannot be written")
    calls = [("fused", 0)] if layout == "fused" else [(one.name, at) for at, one in enumerate(PIPELINE.steps, 1)]

    for call in calls:
        assert done(store, run, *call).exit == 0
    lines = [line for found in store.entries(run.rows) for line in store.read(found.key).splitlines()]
    told = [Row.model_validate_json(line) for line in lines]  # every row there ever was: nobody has compacted them

    assert sorted(row.image for row in told if row.status is Status.PROCESSED) == ["0.jpg", "1.jpg", "2.jpg"]
    assert [output.key for row in told for output in row.outputs if not store.stat(output.key)] == []


def test_what_was_asked_for_again_is_not_taken_for_finished(store: Store) -> None:
    run = submit(store, "again")
    done(store, run, "list")
    done(store, run, "fused", shard=1)
    save(store, run.model_copy(update={"created": time.time()}))
    pictures = keys.results(run.municipality, run.digest) + "images/"
    before = {found.key: found.version for found in store.entries(pictures)}

    done(store, run, "fused", shard=1)

    assert {found.key: found.version for found in store.entries(pictures)} != before


def test_without_run_json_list_writes_it_from_its_flags(store: Store) -> None:
    pipeline = PIPELINE.model_dump_json()
    flags = ["--run", "door-2", "--municipality", "%44emo", "--shard-size", "3", "--max-rejected", "0"]

    ended = container(store, "list", *flags, IMGFLOW_PIPELINE=pipeline)
    listing = read_listing(store, "door-2")

    assert ended.returncode == 0
    assert listing
    assert (listing.listed, listing.shards, listing.shard_size) == (6, 2, 3)
    assert load(store, "door-2").version == __version__


def test_a_source_from_the_other_door_keeps_its_name_letter_by_letter(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "Me\N{COMBINING ACUTE ACCENT}nil"  # in one character more than as it is usually typed
    source.mkdir()
    (source / "1.jpg").write_bytes(photographs.jpeg(1))
    flags = ["--run", "door-3", "--municipality", "Demo", "--source", quote(f"{source}", safe="")]

    container(store, "list", *flags, IMGFLOW_PIPELINE=PIPELINE.model_dump_json())
    listing = read_listing(store, "door-3")

    assert listing
    assert listing.listed == 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--municipality", "Demo", "--max-rejected", "lots"], "collect.max_rejected"),
        (["--municipality", "%20"], "municipality"),
    ],
)
def test_wrong_parameters_from_the_other_door_are_named(store: Store, flags: list[str], says: str) -> None:
    ended = container(store, "list", "--run", "wrong", *flags, IMGFLOW_PIPELINE=PIPELINE.model_dump_json())

    assert ended.returncode == Exit.BAD_PARAMETERS
    assert says in ended.stderr


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_argo_hears_the_progress_in_images(store: Store, tmp_path: Path) -> None:
    run = submit(store, "heard")
    done(store, run, "list")
    progress = tmp_path / "progress"

    container(store, "fused", "--run", run.id, ARGO_PROGRESS_FILE=str(progress))

    assert progress.read_text() == "4/4\n"
