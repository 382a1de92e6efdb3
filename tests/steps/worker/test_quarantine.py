"""Images that a container was at when it died whole, in the container's next attempt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import photographs

from imgflow_steps.contract.job import Exit
from imgflow_steps.list import List
from imgflow_steps.list.work import run as list_images
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ShardProgress, read_progress
from imgflow_steps.records.row import Status
from imgflow_steps.records.rows import merged
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.store import open_store
from imgflow_steps.worker.memory import COORDINATOR, LEAST, processes
from imgflow_steps.worker.quarantine import Suspects, left_by, numbers, spans

PIPELINE = parse({"steps": ["grayscale", "scale"]})

# What an image says in its bytes happens to the container that decodes it; every decoding is written down.
DEADLY = """
import os, signal, sys, time
if "imgflow_steps" in " ".join(sys.orig_argv) or "multiprocessing" in " ".join(sys.orig_argv):
    import imgflow_steps.codec as picture
    _decode = picture.decode
    def decode(data, plan, limits):
        with open(os.environ["DECODED"], "ab") as file: file.write(data[-4:] + b" ")
        if data.endswith(b"KILL"): os.killpg(0, signal.SIGKILL)
        if data.endswith(b"ONCE") and not os.path.exists(os.environ["DECODED"] + ".once"):
            open(os.environ["DECODED"] + ".once", "w").close()
            os.killpg(0, signal.SIGKILL)
        if data.endswith(b"WAIT"): time.sleep(60)
        return _decode(data, plan, limits)
    picture.decode = decode
"""


class Container:
    """One shard's container, started as often as Argo would."""

    def __init__(self, folder: Path, *special: str) -> None:
        self.decoded = folder / "decoded"
        (folder / "sitecustomize.py").write_text(DEADLY)
        self.store = open_store(str(folder / "store"))
        for i in range(12):
            self.store.write(f"{keys.images('Demo')}{i:02d}.jpg", photographs.jpeg(i) + b"GOOD")
        for what in special:
            self.store.write(f"{keys.images('Demo')}06-{what}.jpg", photographs.jpeg(1) + what.encode())
        run = Run(id="deadly", municipality="Demo", pipeline=PIPELINE, list=List(shard_size=50), created=time.time())
        save(self.store, run)
        list_images(self.store, run)
        self._environment = {
            **os.environ,
            "IMGFLOW_STORE": self.store.url,
            "PYTHONPATH": str(folder),
            "DECODED": str(self.decoded),
            "IMGFLOW_CONFINE": "off",  # or no decoder could kill its container
            "TMPDIR": str(folder),  # what is killed cannot clean up
        }

    def start(self, *job: str, workers: int = 1) -> subprocess.Popen[bytes]:
        """In a group of processes of its own, which a signal kills as Kubernetes kills a container."""
        self.decoded.write_bytes(b"")
        flags = [*(job or ["fused"]), "--run=deadly", f"--workers={workers}"]
        command = [sys.executable, "-m", "imgflow_steps", *flags]
        return subprocess.Popen(
            command, env=self._environment, start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def ended(self, *job: str, workers: int = 1) -> int:
        return self.start(*job, workers=workers).wait(timeout=120)

    @property
    def said(self) -> ShardProgress:
        said = read_progress(self.store, "deadly", 2, 0)
        assert said
        return said

    @property
    def rows(self) -> dict[str, str]:
        with merged(self.store, load(self.store, "deadly").rows) as rows:
            return {row.image: row.code for row in rows if row.status is not Status.FAILED}


def test_an_image_that_kills_its_container_twice_is_rejected_and_no_other(tmp_path: Path) -> None:
    container = Container(tmp_path, "KILL")

    ends = [container.ended(workers=2) for _ in range(3)]

    assert ends == [-signal.SIGKILL, -signal.SIGKILL, Exit.DONE]
    assert len(container.rows) == 13
    assert {image: code for image, code in container.rows.items() if code} == {"06-KILL.jpg": "out-of-memory"}
    assert b"KILL" not in container.decoded.read_bytes()  # the third attempt knew


@pytest.mark.thorough
def test_two_such_images_cost_an_attempt_more(tmp_path: Path) -> None:
    container = Container(tmp_path, "KILL", "TO-KILL")

    ends = [container.ended() for _ in range(4)]

    assert ends == [-signal.SIGKILL] * 3 + [Exit.DONE]
    assert [code for code in container.rows.values() if code] == ["out-of-memory"] * 2


@pytest.mark.thorough
def test_a_container_that_died_for_another_reason_rejects_nobody(tmp_path: Path) -> None:
    container = Container(tmp_path, "ONCE")

    ends = [container.ended(), container.ended()]

    assert ends == [-signal.SIGKILL, Exit.DONE]
    assert set(container.rows.values()) == {""}
    assert len(container.rows) == 13
    assert container.said.under_way == []


@pytest.mark.thorough
def test_between_steps_the_verdict_travels_on_with_the_shard(tmp_path: Path) -> None:
    container = Container(tmp_path, "KILL")
    scratch = str(tmp_path / "1.tar")
    died = ShardProgress(label="grayscale", shard=0, total=13, under_way=[(6, 6)], alone=6)
    container.store.write(keys.shard_progress("deadly", 1, 0), died.model_dump_json().encode())

    ends = [
        container.ended("grayscale", "--position", "1", "--output", scratch),
        container.ended("scale", "--position", "2", "--input", scratch),
    ]

    assert ends == [Exit.DONE, Exit.DONE]
    assert {image: code for image, code in container.rows.items() if code} == {"06-KILL.jpg": "out-of-memory"}
    assert len(container.rows) == 13


def test_a_container_that_is_told_to_end_leaves_no_suspects(tmp_path: Path) -> None:
    container = Container(tmp_path, "WAIT")
    started = container.start()
    until = time.monotonic() + 60
    while b"WAIT" not in container.decoded.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.02)
    during = container.said

    started.send_signal(signal.SIGTERM)

    assert started.wait(timeout=60) == Exit.TEMPORARY
    assert 6 in numbers(during.under_way)
    assert container.said.under_way == []


@given(st.sets(st.integers(0, 10_000)))
def test_spans_are_the_same_numbers_in_few_words(some: set[int]) -> None:
    assert numbers(spans(some)) == sorted(some)


def test_an_unbroken_sequence_is_one_span() -> None:
    assert spans([4, 2, 3, 9]) == [(2, 4), (9, 9)]


@pytest.mark.parametrize(
    ("earlier", "left"),
    [
        (None, Suspects()),
        ({}, Suspects()),
        ({"under_way": [(3, 5)]}, Suspects(alone=(3, 4, 5))),
        ({"under_way": [(3, 5)], "alone": 3}, Suspects(convicted=(3,), alone=(4, 5))),
        ({"under_way": [(4, 5)], "alone": 4, "convicted": [3]}, Suspects(convicted=(3, 4), alone=(5,))),
        ({"under_way": [(7, 8)], "convicted": [3]}, Suspects(convicted=(3,), alone=(7, 8))),
    ],
)
def test_only_an_image_that_was_alone_is_convicted(earlier: dict[str, object] | None, left: Suspects) -> None:
    document = None if earlier is None else json.dumps({"label": "scale", "shard": 0, "total": 9, **earlier})

    assert left_by(ShardProgress.model_validate_json(document) if document else None) == left


@given(
    wanted=st.integers(1, 64),
    each=st.integers(256 << 20, 8 << 30),
    container=st.integers(COORDINATOR + LEAST, 256 << 30),
)
def test_all_processes_together_fit_into_the_container(wanted: int, each: int, container: int) -> None:
    count, memory = processes(wanted, each, container)

    assert 1 <= count <= wanted
    assert COORDINATOR + count * memory <= container
    assert memory == each or count == 1  # an image has less than its pipeline says only where there is not more
    assert count == wanted or COORDINATOR + (count + 1) * each > container


def test_without_a_limit_there_are_as_many_processes_as_asked() -> None:
    assert processes(8, 2 << 30, None) == (8, 2 << 30)
