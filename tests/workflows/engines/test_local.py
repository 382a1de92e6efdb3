"""The local engine, end to end on a directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import photographs
from tests.conftest import KINDS_IN_SHORT
from tests.local_runs import PLAIN, dataset, pictures, submit
from tests.processes import children
from tests.thorough import mostly_thorough

from imgflow_steps.contract.job import Job, Result
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer.quality import MODEL
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.row import Status
from imgflow_steps.records.rows import merged
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.store import Store, open_store
from imgflow_steps.worker.pool import InterruptedRunError, Pool, _Pace
from imgflow_steps.worker.processes import ENVIRONMENT
from imgflow_steps.worker.runner import run_job
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.submit.default import DEFAULT


@pytest.fixture
def store(directory_store: Store) -> Store:
    return directory_store


def test_a_first_run_processes_every_image_and_a_second_none(store: Store) -> None:
    dataset(store, 12)

    first = submit(store, "first", DEFAULT)
    second = submit(store, "second", DEFAULT)

    assert (first.counts.listed, first.counts.processed) == (12, 12)
    assert (second.counts.listed, second.counts.cached) == (12, 12)
    assert len(pictures(store, "second")) == 12


def test_rejected_images_have_a_reason_and_are_not_read_again(store: Store) -> None:
    dataset(store, 3)
    store.write(keys.images("Demo") + "broken.jpg", photographs.jpeg(9)[:900])
    store.write(keys.images("Demo") + "letter.jpg", b"Dear Sir or Madam")
    store.write(keys.images("Demo") + "notes.txt", b"not listed")

    first = submit(store, "first")
    second = submit(store, "second")
    run = load(store, "second")
    with merged(store, run.rows) as rows:
        reasons = {row.image: (row.code, row.run) for row in rows if row.status is Status.REJECTED}

    assert (first.counts.processed, first.counts.rejected, first.other) == (3, 2, 1)
    assert (second.counts.cached, second.counts.rejected) == (3, 2)
    assert reasons == {"broken.jpg": ("truncated", "first"), "letter.jpg": ("unsupported-format", "first")}


def test_rejected_images_are_tried_again_when_asked(store: Store) -> None:
    dataset(store, 1)
    store.write(keys.images("Demo") + "letter.jpg", b"Dear Sir or Madam")
    submit(store, "first")

    submit(store, "second", retry="rejected")
    with merged(store, load(store, "second").rows) as rows:
        asked = {row.image: row.run for row in rows}

    assert asked["letter.jpg"] == "second"


def test_an_image_that_changed_is_processed_again(store: Store) -> None:
    dataset(store, 2)
    submit(store, "first")
    store.write(keys.images("Demo") + "a/000.jpg", photographs.jpeg(77))

    summary = submit(store, "second")

    assert (summary.counts.processed, summary.counts.cached) == (1, 1)


def test_an_empty_municipality_ends_with_a_report(store: Store) -> None:
    summary = submit(store, "nothing")

    assert summary.counts.listed == 0
    assert store.stat(keys.report("nothing") + "index.html")


def test_a_wrong_model_stops_the_run_with_its_reason(store: Store) -> None:
    dataset(store, 1)
    store.write("models/bad.onnx", b"this is no model")
    pipeline = parse({"steps": [{"infer": {"model": "models/bad.onnx"}}]})

    with pytest.raises(BadParametersError, match="bad"):
        submit(store, "wrong", pipeline)


NEVER_OPENS = """
import time
import imgflow_steps.grayscale.work as grayscale
import imgflow_steps.worker.loop as work
work.OPENING = 0.3
def build(params):
    while {burn}: pass
    time.sleep(600)
grayscale.build = build
"""


@pytest.mark.parametrize("burn", mostly_thorough([True, False], always=[True]))
def test_a_model_that_never_opens_ends_the_run_and_no_image_is_blamed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, burn: bool
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NEVER_OPENS.format(burn=burn))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("imgflow_steps.contract.options.PATIENCE", 10)
    dataset(store, 2)
    pipeline = PLAIN.model_copy(update={"limits": PLAIN.limits.model_copy(update={"seconds": 0.3})})

    with pytest.raises(BadParametersError, match="does not open: it took longer"):
        submit(store, "never", pipeline)
    with merged(store, load(store, "never").rows) as rows:
        assert list(rows) == []


FAULTS = """
import os, time
import simplejpeg
_decode = simplejpeg.decode_jpeg
def decode(data, *args, **kwargs):
    if b"CRASH" in data: os.abort()
    if b"HANG" in data: time.sleep(600)
    if b"KEPT" in data: time.sleep(2)
    while b"BURN" in data: pass
    if b"HUNGER" in data: bytearray(1 << 40)
    return _decode(data, *args, **kwargs)
simplejpeg.decode_jpeg = decode
"""


@pytest.mark.parametrize("layout", mostly_thorough(["steps", "fused"], always=[]))
def test_a_crash_a_hang_and_hunger_in_a_decoder_cost_one_image_each(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    dataset(store, 9)
    for name in ("BURN", "CRASH", "HANG", "HUNGER", "KEPT"):
        store.write(keys.images("Demo") + f"b/{name}.jpg", photographs.jpeg(1) + name.encode())
    pipeline = PLAIN.model_copy(update={"limits": PLAIN.limits.model_copy(update={"seconds": 1})})
    monkeypatch.setattr("imgflow_steps.contract.options.PATIENCE", 8)  # a busy machine still burns its second

    summary = submit(store, "faults", pipeline, layout=layout)
    with merged(store, load(store, "faults").rows) as rows:
        codes = {row.image.removeprefix("b/"): (row.status, row.code) for row in rows if row.code}

    assert (summary.counts.processed, summary.counts.rejected, summary.counts.failed) == (10, 3, 1)  # KEPT only waited
    assert codes == {
        "BURN.jpg": (Status.REJECTED, "timeout"),
        "CRASH.jpg": (Status.REJECTED, "crashed"),
        "HANG.jpg": (Status.FAILED, "stalled"),  # what waits may have been kept waiting: retry asks again
        "HUNGER.jpg": (Status.REJECTED, "out-of-memory"),
    }


def test_images_that_wait_behind_one_that_ends_its_process_are_computed_all_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAULTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("imgflow_steps.worker.pool.SHARES", 2)
    monkeypatch.setattr(_Pace, "size", 6)  # images are handed over so many at a time, as in the middle of a long run
    for number in range(24):
        crashes = b"CRASH" if number in {1, 4} else b""
        store.write(f"{keys.images('Demo')}{number:02d}.jpg", photographs.jpeg(number) + crashes)

    summary = submit(store, "behind")
    with merged(store, load(store, "behind").rows) as rows:
        statuses = {row.image: row.status for row in rows}

    assert (summary.counts.processed, summary.counts.rejected) == (22, 2)
    assert [image for image, status in statuses.items() if status is Status.REJECTED] == ["01.jpg", "04.jpg"]


MISTAKES = """
import numpy as np
import imgflow_steps.grayscale.work as grayscale
from imgflow_steps.contract.sample import Sample
MADE = {
    1: lambda sample: 1 / 0,
    2: lambda sample: [Sample(sample.pixels.astype(float))],
    3: lambda sample: [Sample(sample.pixels[..., 0])],
    4: lambda sample: [Sample(sample.pixels[:0])],
    5: lambda sample: [Sample(sample.pixels, found={"score": np.float32(1)})],
}
grayscale.build = lambda _: lambda sample: MADE.get(sample.pixels.shape[1], lambda sample: [sample])(sample)
"""


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_a_mistake_in_a_step_costs_the_image_and_is_told_with_the_step(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(MISTAKES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for width in range(1, 7):
        store.write(f"{keys.images('Demo')}{width}.jpg", photographs.jpeg(1, width, 9))

    summary = submit(store, "mistakes", parse({"steps": ["grayscale", "scale"]}), layout=layout)
    with merged(store, load(store, "mistakes").rows) as rows:
        told = {row.image: (row.code, row.message.split(" (")[0]) for row in rows if row.code}

    assert (summary.counts.processed, summary.counts.failed) == (1, 5)
    assert told == {
        "1.jpg": ("step-error", "grayscale: ZeroDivisionError: division by zero"),
        "2.jpg": ("step-error", "grayscale: TypeError: it gave pixels of float64"),
        "3.jpg": ("step-error", "grayscale: TypeError: it gave pixels of uint8"),
        "4.jpg": ("step-error", "grayscale: TypeError: it gave pixels of uint8"),
        "5.jpg": ("step-error", "grayscale: TypeError: Object of type float32 is not JSON serializable"),
    }


@pytest.mark.thorough
def test_images_that_do_not_fit_into_memory_beside_others_are_computed_alone(store: Store) -> None:
    dataset(store, 300)
    prefix = keys.images("Demo")
    big = photographs.jpeg(1) + bytes(50 << 20)
    for i in range(12):
        store.write(f"{prefix}b/{i:03d}-big.jpg", big)
    pipeline = PLAIN.model_copy(update={"limits": PLAIN.limits.model_copy(update={"memory": 256 << 20})})

    summary = submit(store, "hungry", pipeline)

    assert (summary.counts.processed, summary.counts.failed) == (312, 0)


def test_the_smallest_memory_that_may_be_given_is_enough_for_photographs_however_many_cores_there_are(
    store: Store,
) -> None:
    dataset(store, 4)
    least = DEFAULT.model_copy(update={"limits": DEFAULT.limits.model_copy(update={"memory": 256 << 20})})

    assert submit(store, "least", least).counts.processed == 4
    assert ENVIRONMENT["OPENBLAS_NUM_THREADS"]  # or this would hold on machines with few cores only


COORDINATOR = """
import sys
from imgflow_steps.worker import checkpoint
from imgflow_steps.records.run import load
from imgflow_steps.store import open_store
from imgflow_workflows.engines.local import LocalEngine
if __name__ == "__main__":
    checkpoint.FLUSH_SECONDS = 0
    store = open_store(sys.argv[1])
    LocalEngine(store, workers=2).submit(load(store, sys.argv[2]))
"""


def wait_until(there: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill below /proc")
@pytest.mark.parametrize(
    "point",
    mostly_thorough(
        [(victim, seed) for victim in ("worker", "coordinator") for seed in range(10)],
        always=[],  # tests/chaos always tries one kill
    ),
    ids=str,
)
def test_kill_minus_nine_loses_nothing_that_was_flushed(tmp_path: Path, point: tuple[str, int]) -> None:
    victim, seed = point
    store = open_store(str(tmp_path / "store"))
    big = photographs.png(seed, 800, 600)
    for i in range(40):
        store.write(f"{keys.images('Demo')}{i:03d}.png", big + bytes([i]))
    layout = "steps" if seed % 2 else "fused"
    run = Run(
        id="killed", municipality="Demo", pipeline=PLAIN, list=List(layout=layout, samples=0), created=time.time()
    )
    save(store, run)
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # what is killed cannot clean up
    started = subprocess.Popen([sys.executable, str(script), store.url, "killed"], env=env)
    prefix = keys.results("Demo", run.digest) + "images/"
    wait_until(lambda: sum(1 for _ in store.entries(prefix)) > 3 * seed)
    family = children(started.pid)
    os.kill(started.pid if victim == "coordinator" else family[-1], signal.SIGKILL)
    started.wait(timeout=60)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family))
    with merged(store, run.rows) as rows:
        flushed = {row.image: row.ended for row in rows if row.status is Status.PROCESSED}

    summary = submit(store, "killed", layout=layout, samples=0)
    lines = store.read("runs/killed/results.jsonl").splitlines()
    images = Counter(json.loads(line)["image"] for line in lines)
    with merged(store, run.rows) as rows:
        after = {row.image: row.ended for row in rows}

    assert summary.counts.processed == summary.counts.listed == 40
    assert set(images.values()) == {1}
    assert {image: after[image] for image in flushed} == flushed
    assert len(pictures(store, "killed")) == 40


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_a_run_leaves_nothing_in_the_temporary_folder(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    dataset(store, 4)
    store.write("models/quality.onnx", MODEL.read_bytes())

    submit(store, "tidy", parse({"steps": ["scale", {"infer": {"model": "models/quality.onnx"}}]}), layout="steps")

    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("moment", ["while images are listed", "as the processes start"])
def test_a_run_that_is_taken_over_is_computed_no_further(
    store: Store, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    dataset(store, 3)
    run = Run(id="mine", municipality="Demo", pipeline=PLAIN, created=time.time())
    save(store, run)
    engine = LocalEngine(store, workers=1)
    did: list[str] = []

    def noted(job: Job, *given: Any, **more: Any) -> Result:
        did.append(job.step)
        result = run_job(job, *given, **more)
        if moment == "while images are listed":
            engine.abandon()
        return result

    def begun(*given: Any) -> Pool:
        engine.abandon()
        return Pool(*given)

    monkeypatch.setattr("imgflow_workflows.engines.local.run_job", noted)
    if moment == "as the processes start":
        monkeypatch.setattr("imgflow_workflows.engines.local.Pool", begun)

    with pytest.raises(InterruptedRunError):
        engine.submit(run)

    assert did == ["list"]
