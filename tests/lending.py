"""Computing processes that one run leaves to the next: to start them takes longer than the work of most tests."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import pytest

from imgflow_steps.pool import Pool, _close

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pebble import ProcessPool

KEPT = 6  # pools of processes that nobody uses just now: one and two processes for each kind of store
NOT_READ = {"PYTEST_CURRENT_TEST", "XDG_CONFIG_HOME", "KUBECONFIG"}  # by computing processes; another in every test


class LentPool(Pool):
    """A pool whose processes may have served an earlier run with as much memory and the same environment."""

    idle: ClassVar[dict[object, ProcessPool]] = {}

    def _open(self, workers: int, tasks: int) -> ProcessPool:
        left = None if tasks else self.idle.pop(self._kind(), None)  # what has a number of tasks is for suspects
        return left if left and left.active else super()._open(workers, tasks)

    def __exit__(self, fault: object, *_: object) -> None:
        if fault is None and not self.stopping.is_set() and self._crowd.active:
            self.idle[self._kind()], self._crowd = self._crowd, None
            while len(self.idle) > KEPT:
                _close(self.idle.pop(next(iter(self.idle))))
        super().__exit__()

    def _kind(self) -> object:
        read = sorted((name, value) for name, value in os.environ.items() if name not in NOT_READ)
        return self.workers, self._memory, tuple(read)


@contextmanager
def lent() -> Iterator[None]:
    """Runs of this process compute in processes that are lent; a command or container of a test starts its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgflow_steps.pool.Pool", LentPool)
        patch.setattr("imgflow_workflows.engines.local.Pool", LentPool)
        yield
    while LentPool.idle:
        _close(LentPool.idle.popitem()[1])
