"""Computing processes that one run leaves to the next: to start them takes longer than the work of most tests."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from imgflow_steps.worker.processes import ENVIRONMENT, Processes
from imgflow_steps.worker.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT = 6  # sets of processes that nobody uses just now: one and two processes for each kind of store
NOT_READ = {"PYTEST_CURRENT_TEST", "XDG_CONFIG_HOME", "KUBECONFIG"}  # by computing processes; another in every test
TEMPORARY = tempfile.gettempdir()

Kind = tuple[object, ...]
left: dict[Kind, LentProcesses] = {}


class LentProcesses(Processes):
    """Processes that serve a later run, too, where they have nothing to do when this one ends."""

    kind: Kind = ()

    def close(self) -> None:
        if not self.idle or self.kind in left:
            super().close()
            return
        left[self.kind] = self
        while len(left) > KEPT:
            Processes.close(left.pop(next(iter(left))))


def lend(workers: int, memory: int, load: str, reach: Reach) -> Processes:
    """Processes that an earlier run with as much memory and the same environment has left, or new ones.

    They serve stores that are not there yet, so they get at all temporary files; what a run's own may get at is
    tested where processes are not lent.
    """
    reach = replace(reach, read=(TEMPORARY,), write=(TEMPORARY,), anywhere=True)
    read = sorted((name, value) for name, value in (ENVIRONMENT | os.environ).items() if name not in NOT_READ)
    kind = (workers, memory, load, reach, tuple(read))
    lent = left.pop(kind, None)
    if lent is None or not lent.idle:
        lent = LentProcesses(workers, memory, load, reach)
        lent.kind = kind
    return lent


@contextmanager
def lent() -> Iterator[None]:
    """Runs of this process compute in processes that are lent; a command or container of a test starts its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgflow_steps.worker.pool.Processes", lend)
        yield
    while left:
        Processes.close(left.popitem()[1])
