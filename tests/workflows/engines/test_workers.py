"""However many workers somebody asks for, no more start than images, memory and cores have a use for."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from tests.local_runs import PLAIN, dataset

from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import Store
from imgflow_steps.worker import memory
from imgflow_steps.worker.pool import Pool
from imgflow_steps.worker.reach import Reach
from imgflow_workflows.engines import local
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.settings import Settings
from imgflow_workflows.submit.request import Submission, describe

GIB = 1 << 30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Four cores and 16 GiB."""
    monkeypatch.setattr(memory, "usable_cores", lambda: 4)
    monkeypatch.setattr(memory, "container_memory", lambda: None)
    monkeypatch.setattr(memory, "machine_memory", lambda: 16 * GIB)
    return monkeypatch


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("asked", "used"), [(1, 1), (8, 8), (9, 8), (1000, 8)])
def test_no_more_than_two_processes_for_each_core(asked: int, used: int) -> None:
    found, why = memory.sensible(asked)

    assert found == used
    assert why == ("2 for each of 4 cores" if asked > 8 else "")


def test_no_more_than_fit_into_memory(machine: pytest.MonkeyPatch) -> None:
    machine.setattr(memory, "container_memory", lambda: GIB)

    assert memory.sensible(1000) == (4, "as many as fit into 1.0 GiB of memory")


@pytest.mark.parametrize(("quota", "cores"), [("150000 100000", 2), ("max 100000", 64), ("50000 100000", 1)])
def test_a_container_has_the_cores_that_it_was_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(memory, "CPUS", (tmp_path / "cpu.max", tmp_path / "nothing"))
    monkeypatch.setattr(memory.os, "sched_getaffinity", lambda _: set(range(64)), raising=False)

    assert memory.usable_cores() == cores


@pytest.mark.usefixtures("machine")
def test_a_thousand_workers_for_three_images_are_three_and_that_is_said(
    directory_store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[int] = []
    lent: type[Pool] = local.Pool

    def counting(workers: int, bytes_each: int, reach: Reach) -> Pool:
        opened.append(workers)
        return lent(workers, bytes_each, reach)

    monkeypatch.setattr(local, "Pool", counting)
    dataset(directory_store, 3)
    run = Run(id="many", municipality="Demo", pipeline=PLAIN, created=time.time())
    save(directory_store, run)

    with caplog.at_level(logging.WARNING):
        LocalEngine(directory_store, workers=1000).submit(run)

    assert opened == [3]
    assert caplog.messages == ["3 of 1,000 workers start: one for each image that is to be processed"]
    summary = read_summary(directory_store, "many")
    assert summary
    assert summary.counts.processed == 3


@pytest.mark.usefixtures("machine")
def test_a_run_says_how_many_workers_it_has_not_how_many_were_asked_for(tmp_path: Path) -> None:
    asked = Submission(municipality="Demo", source=str(tmp_path))

    assert describe(asked, Settings(workers=1000)).run.workers == 8
