"""Tasks of computing processes that die where pebble does not look."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import threading
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from pebble import ProcessExpired, ProcessPool
from tests import local_runs, photographs

from imgflow_service.processor.crew import Crew, Task
from imgflow_service.processor.telemetry import Telemetry
from imgflow_steps.contract.options import Limits
from imgflow_steps.store import open_store
from imgflow_steps.worker.processes import Processes
from imgflow_steps.worker.reach import Reach

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to kill below /proc")


def kill(pool: ProcessPool) -> None:
    """End the processes of a pool that has nothing to do, and wait until pebble has given it up."""
    for worker in pool._pool_manager.worker_manager.workers:
        os.kill(worker, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while pool.active:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next task reaches a pool that was whole when it was asked, and that pebble has given up since."""
    look = ProcessPool._check_pool_status  # type: ignore[attr-defined]  # between this look and the queue lies the gap

    def kill_behind(pool: ProcessPool) -> None:
        look(pool)
        monkeypatch.setattr(ProcessPool, "_check_pool_status", look)
        kill(pool)

    monkeypatch.setattr(ProcessPool, "_check_pool_status", kill_behind)


def test_processes_that_are_given_up_before_a_task_reaches_them_are_started_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    look = ProcessPool._check_pool_status  # type: ignore[attr-defined]  # as above

    def kill_before(pool: ProcessPool) -> None:
        monkeypatch.setattr(ProcessPool, "_check_pool_status", look)
        kill(pool)
        look(pool)

    monkeypatch.setattr(ProcessPool, "_check_pool_status", kill_before)
    with Processes(1, 1 << 30, "json", Reach()) as processes:
        assert processes.schedule(abs, False, -2).result(timeout=60) == 2


def test_processes_that_live_and_take_no_task_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(pool: ProcessPool) -> None:
        raise RuntimeError("can't start new thread")

    with Processes(1, 1 << 30, "json", Reach()) as processes:
        monkeypatch.setattr(ProcessPool, "_check_pool_status", full)
        with pytest.raises(RuntimeError, match="new thread"):
            processes.schedule(abs, False, -2)


@pytest.mark.parametrize("alone", [False, True])
def test_a_task_that_reaches_processes_as_they_are_given_up_fails_and_the_next_one_is_done(
    given_up: None, alone: bool
) -> None:
    with Processes(1, 1 << 30, "json", Reach()) as processes:
        forgotten = processes.schedule(abs, alone, -2)
        processes.renew()
        with pytest.raises(BrokenProcessPool):
            forgotten.result(timeout=30)
        assert processes.schedule(abs, alone, -3).result(timeout=60) == 3


def test_a_process_that_dies_over_a_picture_leaves_no_image_of_its_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Pixels of a photograph would be in it, of one that is to be covered as well."""
    monkeypatch.chdir(tmp_path)  # where Linux puts it unless it is told otherwise
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        with Processes(1, 1 << 30, "json", Reach()) as processes:
            least = processes.schedule(resource.getrlimit, False, resource.RLIMIT_CORE).result(timeout=60)
            with pytest.raises(ProcessExpired):
                processes.schedule(os.abort, False).result(timeout=60)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert list(tmp_path.iterdir()) == []
    assert least == (1, 1), "which keeps a program from being given it, too"


def test_a_run_ends_though_its_only_slice_was_forgotten(given_up: None, tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    local_runs.dataset(store, 1)
    counts = []
    run = threading.Thread(target=lambda: counts.append(local_runs.submit(store, "whole").counts), daemon=True)
    run.start()
    run.join(60)
    assert [count.processed for count in counts] == [1]


def test_a_request_is_answered_though_its_picture_was_forgotten(given_up: None) -> None:
    async def answered() -> str:
        crew = Crew(1, 1, Limits(), Telemetry())
        try:
            done = await asyncio.wait_for(crew.process(Task(photographs.jpeg(1), '{"steps": ["grayscale"]}'), 60), 60)
        finally:
            await crew.close()
        return done.answer.code

    assert asyncio.run(answered()) == ""
