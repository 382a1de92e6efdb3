"""Computing processes that survive a crash, a hang and a lack of memory: each costs only the work that caused it.

What the work is they do not know: batches of a shard, or the single images of a service.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from pebble import CONSTS, ProcessExpired, ProcessPool

from imgflow_steps.contract.sample import Rejected
from imgflow_steps.worker.reach import Reach, confined, environment
from imgflow_steps.worker.spawn import Spawn, deaf, end_with_parent

if TYPE_CHECKING:
    from pebble import ProcessFuture

    from imgflow_steps.contract.options import Limits

P = ParamSpec("P")
T = TypeVar("T")

STACK = 512 << 10  # bytes for a thread of a computing process, of the memory that the process may have
LOCK_SECONDS = 5.0  # a process killed while it hands over its result keeps pebble's lock; its fellows wait so long

# What computing processes start with, unless somebody has set it who knows better.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # or numpy takes 40 MB for each core, of a process's memory
    "OPENCV_FOR_THREADS_NUM": "1",  # processes, not threads, fill the cores
    # Pixels of one image in the memory of the one before: a tenth of the time goes into clearing fresh pages otherwise.
    # One arena, for the threads that fetch and publish: with one for each, a process grows by 90 bytes an image.
    "GLIBC_TUNABLES": ":".join(
        f"glibc.malloc.{name}={value}"
        for name, value in {
            "hugetlb": 1,
            "mmap_threshold": 32 << 20,
            "trim_threshold": 128 << 20,
            "arena_max": 1,
        }.items()
    ),
    "PYDANTIC_DISABLE_PLUGINS": "__all__",  # looking for them takes a sixth of the start
}

DIED = (CancelledError, MemoryError, ProcessExpired, BrokenProcessPool)  # what a task raises whose process is gone


class Processes:
    """``workers`` processes that share the tasks and, when needed, a fresh one for each task that is to be alone.

    Each may hold ``memory`` bytes (enforced on Linux), imports the module ``load`` while it starts and then gets at
    what ``reach`` says, and at nothing else.
    """

    def __init__(self, workers: int, memory: int, load: str, reach: Reach = Reach()) -> None:  # noqa: B008 - frozen
        self.workers = workers
        self.generation = 0  # of the shared processes, which are started anew when pebble gives them up
        self._memory, self._load, self._reach = memory, load, reach
        self._variables = reach.teller(os.environ)
        self._told = self._variables()
        self._lock = threading.Lock()
        self._tasks: dict[Future[Any], ProcessPool] = {}
        self._alone: ProcessPool | None = None
        self._shared = self._open(workers, tasks=0)
        try:
            with deaf():
                assert self._shared.active  # noqa: S101 - asking starts the processes; they load while work is sought
        except BaseException:
            _close(self._shared)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def idle(self) -> bool:
        """Whether the shared processes live and have nothing to do."""
        return self._shared.active and not self._tasks

    def close(self) -> None:
        """End all processes, whatever they are at."""
        for pool in filter(None, (self._shared, self._alone)):
            _close(pool)

    def schedule(self, work: Callable[P, T], alone: bool, *args: P.args, **kwargs: P.kwargs) -> ProcessFuture[T]:
        """Hand a task to a process; ``alone`` to a fresh one that does nothing else, before or after.

        Cancelling the future ends the process that is at it. A future whose process is gone raises one of ``DIED``.
        """
        while True:
            self.renew()
            with self._lock, deaf():
                if alone and not self._alone:
                    self._alone = self._open(1, tasks=1)
                pool = self._alone if alone and self._alone else self._shared
                news = self._news()
                try:
                    future = (
                        pool.schedule(_informed, args=(news, work, args, kwargs))
                        if news
                        else pool.schedule(work, args=args, kwargs=kwargs)
                    )
                except RuntimeError:
                    if pool.active:  # whatever it is, another try would not heal it
                        raise
                    continue  # pebble has given them up since
                self._tasks[future] = pool
                break
        future.add_done_callback(self._settled)
        return future

    def _settled(self, future: Future[Any]) -> None:
        self._tasks.pop(future, None)

    def renew(self) -> None:
        """Start processes anew that pebble has given up, and fail the tasks that it has forgotten.

        It gives processes up when one dies while none has a task. What is handed to them in that moment is forgotten:
        its future would never be done. So whoever waits for one calls this now and then.
        """
        with self._lock, deaf():
            given_up = {pool for pool in (self._shared, self._alone) if pool and not pool.active}
            for pool in given_up:
                _close(pool)
            if self._shared in given_up:
                self._shared = self._open(self.workers, tasks=0)
                self.generation += 1
            if self._alone in given_up:
                self._alone = None
            forgotten = [future for future, pool in list(self._tasks.items()) if pool in given_up]
        for future in forgotten:
            with suppress(InvalidStateError):  # somebody cancelled it
                future.set_exception(BrokenProcessPool("the processes were given up"))

    def _news(self) -> dict[str, str]:
        """What processes have to be told since they began: keys that are lent have been renewed."""
        if not (self._reach.ports and confined(os.environ)):
            return {}
        return {name: value for name, value in self._variables().items() if self._told.get(name) != value}

    def _open(self, workers: int, tasks: int) -> ProcessPool:
        return ProcessPool(
            max_workers=workers,
            max_tasks=tasks,
            initializer=_prepare,
            initargs=[self._memory, self._load, self._reach, self._variables()],
            context=Spawn(ENVIRONMENT | environment(os.environ), self._reach.keep),
        )


def too_slow(error: BaseException) -> bool:
    """Whether a process was ended since it took too long, on the clock or of the processor."""
    spent = isinstance(error, ProcessExpired) and error.exitcode == -signal.SIGPROF
    return spent or isinstance(error, CancelledError)


def cause(error: BaseException) -> str:
    """How a process ended, in words that follow "the computing process"."""
    if isinstance(error, ProcessExpired):
        code = error.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    if isinstance(error, BrokenProcessPool):
        return "ended before it began"
    return "took too long" if isinstance(error, CancelledError) else "ran out of memory"


def verdict(error: BaseException, limits: Limits) -> Rejected:
    """What an image is told over which two processes ended, the second time with nothing beside it."""
    if isinstance(error, CancelledError):
        return Rejected(
            "stalled",
            f"not done after {limits.patience:g} seconds on the clock, twice, although it used less than "
            f"{limits.seconds:g} seconds of processor time (limits.seconds): the machine is busy, or a step waits",
        )
    signalled = -(error.exitcode or 0) if isinstance(error, ProcessExpired) else 0
    if signalled == signal.SIGPROF:
        return Rejected(
            "timeout",
            f"computing took more than {limits.seconds:g} seconds of processor time, twice, the second time alone",
        )
    if isinstance(error, MemoryError) or signalled == signal.SIGKILL:
        return Rejected("out-of-memory", "computing needs more memory than a process may have, even alone")
    return Rejected("crashed", f"the computing process {cause(error)}, twice, the second time alone")


def _prepare(memory: int, load: str, reach: Reach, told: dict[str, str]) -> None:
    """Make a computing process ready: bounded, confined, and not patient with a lock that nobody will release."""
    CONSTS.channel_lock_timeout = LOCK_SECONDS
    threading.stack_size(STACK)
    _keep_memory_here()
    if sys.platform == "linux":  # elsewhere the limit does not cover mapped memory, or breaks the loader
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    import_module(load)
    if confined(told):
        reach.confine()  # before there is another thread: the kernel takes rights from this one and its later ones
    os.environ.update(told)
    end_with_parent()


def _keep_memory_here() -> None:
    """Leave no core file, in which pixels would be; a limit of 1 keeps Linux from handing it to a program, too."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    least = 1 if most == resource.RLIM_INFINITY else min(1, most)
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def _informed(news: dict[str, str], work: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    os.environ.update(news)
    return work(*args, **kwargs)


def _close(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates only in part
    pool.join()
