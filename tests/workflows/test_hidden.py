"""What redact covers is seen nowhere else: the finder looks at everything that a run leaves behind."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests import leaks, local_runs
from tests.processes import children

from imgflow_cli.demo_faces import finder
from imgflow_steps.contract.job import Job
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys, sharding
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Summary, read_summary
from imgflow_steps.store import Store, open_store
from imgflow_steps.worker.runner import run_job
from imgflow_workflows.engines.docker import DockerEngine
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.records.row import Row

pytestmark = pytest.mark.faces
WELL = 5  # photographs that come through; one is broken
MORE = 4  # further ones of a run that is to be killed


def new_run(store: Store, name: str, pipeline: Pipeline, **listing: Any) -> Run:
    asked = List.model_validate({"samples": 100, **listing})
    run = Run(id=name, municipality="Demo", pipeline=pipeline, list=asked, created=time.time())
    save(store, run)
    return run


def summary_of(store: Store, name: str) -> Summary:
    found = read_summary(store, name)
    assert found
    assert found.counts.add_up
    return found


@pytest.mark.parametrize("output", ["png", pytest.param("webp", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("layout", ["auto", pytest.param("fused", marks=pytest.mark.thorough)])
def test_nothing_of_a_run_but_the_originals_shows_a_face(
    directory_store: Store, tmp_path: Path, output: str, layout: str
) -> None:
    leaks.dataset(directory_store)
    pipeline = leaks.covering(directory_store, tmp_path, output)
    summary = local_runs.submit(directory_store, "hidden", pipeline, samples=100, layout=layout)

    assert (summary.counts.processed, summary.counts.rejected) == (WELL, 1)
    thumbs = [entry.key for entry in directory_store.entries("runs/hidden/report/thumbs/")]
    assert len(thumbs) == WELL, "the report shows what was covered"
    page = directory_store.read("runs/hidden/report/index.html").decode()
    assert "What was covered" in page
    shown, looked = leaks.showing(leaks.in_store(directory_store), tmp_path)
    assert shown == []
    assert looked >= 2 * WELL, "pictures, and small ones of them"


def test_the_look_finds_a_face_wherever_one_is_hidden(directory_store: Store, tmp_path: Path) -> None:
    picture = leaks.astronaut("JPEG", preview=True)
    directory_store.write("runs/a/logs/main.log", b"a line\n" + picture + b"\n")
    directory_store.write("runs/a/report/index.html", b"<img src='data:image/jpeg;base64,%s'>" % b64encode(picture))
    directory_store.write("results/a/b/images/cut.jpg", picture[: len(picture) * 3 // 4])
    for name, content in leaks.in_store(directory_store):
        assert leaks.showing([(name, content)], tmp_path)[0], name


@pytest.mark.thorough
def test_images_with_more_things_than_are_kept_are_rejected_and_shown_nowhere(
    directory_store: Store, tmp_path: Path
) -> None:
    many = leaks.dataset(directory_store)
    asked = leaks.covering(directory_store, tmp_path, most=1, score=0.02, overlap=1.0)
    summary = local_runs.submit(directory_store, "many", asked, samples=100)
    assert summary.counts.rejected == many - 1  # all but the cat
    shown, looked = leaks.showing(leaks.in_store(directory_store), tmp_path)
    assert (shown, looked) == ([], 2), "the cat, and a small picture of it"


@pytest.mark.thorough
def test_images_that_failed_are_shown_nowhere_nor_when_they_are_tried_again(
    directory_store: Store, tmp_path: Path
) -> None:
    leaks.dataset(directory_store)
    run = new_run(directory_store, "again", leaks.covering(directory_store, tmp_path), shard_size=100)
    run_job(Job(step="list", run=run.id), directory_store)
    for name in ("plain.jpg", "over.jpg"):  # replaced since they were listed
        directory_store.write(keys.images("Demo") + name, leaks.astronaut("JPEG", 8))
    assert run_job(Job(step="fused", run=run.id), directory_store).exit == 0
    run_job(Job(step="collect", run=run.id), directory_store)
    assert summary_of(directory_store, run.id).failed == {"changed": 2}
    assert leaks.showing(leaks.in_store(directory_store), tmp_path)[0] == []

    LocalEngine(directory_store, workers=1).submit(new_run(directory_store, "again", run.pipeline))
    assert summary_of(directory_store, run.id).counts.failed == 0
    shown, looked = leaks.showing(leaks.in_store(directory_store), tmp_path)
    assert (shown, looked >= WELL) == ([], True)


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill below /proc")
@pytest.mark.parametrize("whose", ["coordinator", "worker"])
def test_a_run_that_is_killed_leaves_no_face_in_its_store_nor_in_temporary_files(tmp_path: Path, whose: str) -> None:
    here = tmp_path / "here"
    (here / "temporary").mkdir(parents=True)
    store = open_store(str(here / ".imgflow"))
    leaks.dataset(store)
    for copy in range(MORE):  # enough that it is under way when it is killed
        store.write(keys.images("Demo") + f"{copy}.jpg", leaks.astronaut("JPEG"))
    steps = [{"infer": {"model": str(finder(tmp_path))}}, "redact", "scale:400x400"]
    (here / "covers.yaml").write_text(yaml.safe_dump({"steps": steps}))

    def submit() -> subprocess.Popen[bytes]:
        asked = ("submit", "--steps", "@covers.yaml", "-m", "Demo", "--run", "mine", "--workers", "2", "-q")
        environment = {**os.environ, "TMPDIR": str(here / "temporary")}
        return subprocess.Popen([sys.executable, "-m", "imgflow_cli", *asked], cwd=here, env=environment)

    started = submit()
    while started.poll() is None and next(store.entries("results/"), None) is None:
        time.sleep(0.005)
    family = children(started.pid)
    assert started.poll() is None, "it had ended before anything could be killed"
    for victim in [started.pid] if whose == "coordinator" else family:
        with suppress(ProcessLookupError):  # at its end already
            os.kill(victim, 9)
    started.wait(timeout=120)
    places = [*leaks.in_store(store), *leaks.in_folder(here / "temporary"), *leaks.in_folder(here / ".imgflow/.tmp")]
    assert leaks.showing(places, tmp_path)[0] == []

    assert submit().wait(timeout=120) == 0
    assert summary_of(store, "mine").counts.processed == WELL + MORE
    shown, looked = leaks.showing(leaks.in_store(store), tmp_path)
    assert (shown, looked > 0) == ([], True)
    assert [name for name, _ in leaks.in_folder(here / "temporary")] == []


# In a container: one picture never takes its place in the store, and says that it is about to, where it may write.
HOLD = """
import pathlib, sys, time

def hold(event, told):
    if event == "os.rename" and "/images/clear.png" in str(told[1]):
        pathlib.Path(str(told[1]).partition("/results/")[0], ".tmp/held").touch()
        time.sleep(120)

sys.addaudithook(hold)
"""
# As the real one, but that it ends the first shard's container whenever that is held.
KILLING = """#!/bin/sh
case "$*" in *run*fused-00000*) shift ;; *) exec {docker} "$@" ;; esac
(
    until [ -e {store}/.tmp/held ]; do sleep 0.05; done
    rm {store}/.tmp/held
    echo >>{folder}/kills
    {docker} kill imgflow-{run}-fused-00000
) >/dev/null 2>&1 &
{docker} run --env=PYTHONPATH={folder} --volume={folder}:{folder} "$@"
code=$?
kill $! 2>/dev/null
exit $code
"""


@pytest.mark.containers
@pytest.mark.thorough
def test_containers_of_which_one_is_killed_again_and_again_leave_no_face(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = directory_store
    many = leaks.dataset(store)
    engine = DockerEngine(store, workers=1)
    run = new_run(store, f"killed-{os.getpid()}", leaks.covering(store, tmp_path), shard_size=3)
    command = engine._command
    folder = tmp_path / "hold"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HOLD)
    killing = folder / "docker"
    killing.write_text(KILLING.format(docker=shlex.join(command), folder=folder, store=tmp_path / "store", run=run.id))
    killing.chmod(0o755)
    monkeypatch.setattr(engine, "_command", [str(killing)])
    engine.submit(run)
    assert (folder / "kills").read_text() == "\n\n", "then the image has its verdict"
    assert summary_of(store, run.id).rejected["out-of-memory"] == 1
    places = [*leaks.in_store(store), *leaks.in_folder(tmp_path / "store/.tmp")]
    assert leaks.showing(places, tmp_path)[0] == []

    monkeypatch.setattr(engine, "_command", command)
    again = new_run(store, run.id, run.pipeline, shard_size=3, retry="rejected")
    engine.submit(again)
    counts = summary_of(store, run.id).counts
    assert (counts.cached + counts.processed, counts.rejected, counts.failed) == (WELL, many - WELL, 0)
    shown, looked = leaks.showing(leaks.in_store(store), tmp_path)
    assert (shown, looked >= 2 * WELL) == ([], True)


@pytest.mark.containers
def test_containers_leave_no_pixels_where_a_container_for_each_step_is_asked_for(
    directory_store: Store, tmp_path: Path
) -> None:
    store = directory_store
    leaks.dataset(store)
    run = new_run(store, f"apart-{os.getpid()}", leaks.covering(store, tmp_path), layout="steps")
    with pytest.raises(BadParametersError, match="choose layout fused"):
        DockerEngine(store, workers=1).submit(run)
    assert leaks.showing(leaks.in_store(store), tmp_path) == ([], 0)
    assert list(store.entries("scratch/")) == []


def test_rows_tell_boxes_in_the_upright_source_and_no_picture_of_before(directory_store: Store, tmp_path: Path) -> None:
    leaks.dataset(directory_store)
    local_runs.submit(directory_store, "told", leaks.covering(directory_store, tmp_path), samples=100)
    (tmp_path / "results.jsonl").write_bytes(directory_store.read(keys.results_jsonl("told")))
    rows: dict[str, Row] = {row.image: row for row in read_jsonl(tmp_path / "results.jsonl")}

    for name in ("plain.jpg", "turned.jpg", "over.jpg"):
        [output] = rows[name].outputs
        [box] = output.found["objects"]["boxes"]
        assert box[2:] == pytest.approx([181.5, 58.2, 88.4, 119.6], abs=4)
        assert output.at[0] == pytest.approx(512 / 400)
    assert all(not row.thumbs or row.thumbs[0] == "" for row in rows.values())


def test_between_steps_no_pixels_are_written_where_something_is_hidden() -> None:
    hidden = parse({"steps": ["infer", "redact"]})
    assert sharding.cut(hidden, images=10, shard_size=5, nodes=1, layout="auto").layout == "fused"
    with pytest.raises(BadParametersError, match="choose layout fused"):
        sharding.cut(hidden, images=10, shard_size=5, nodes=1, layout="steps")
