"""Computing processes that outlive a crash, a hang and hunger: each costs the image at fault, no other."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pebble import CONSTS, ProcessExpired, ProcessPool

from imgflow_steps.contract import Rejected, Row
from imgflow_steps.journal import suspect
from imgflow_steps.slices import Item, Slice, number
from imgflow_steps.spawn import Spawn, deaf
from imgflow_steps.store import UnavailableError

if TYPE_CHECKING:
    from pebble import ProcessFuture

# Work handed over at a time. At its ends a process waits for the store, so slices are long, but show progress; those
# at the end of a shard are shorter, that no process is left over long, but not so short that they are all waiting.
SLICE_SECONDS = 3.0
LAST_SECONDS = 0.3
SLICE_IMAGES = 500
GROWTH = 4  # times as many images as something is known of
STRIKES = 3  # deaths without a suspect before it is the platform's fault
TICK = 0.2  # seconds between two looks at the journals
STACK = 512 << 10  # bytes for a thread of a computing process, of the memory that the process may have
LOCK_SECONDS = 5.0  # a process killed while it hands over its rows keeps pebble's lock; its fellows wait so long

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

Announce = Callable[[Iterable[int]], None]


class InterruptedRunError(Exception):
    """Somebody asked to stop; what was flushed stays."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came back for a slice: its rows, or the verdict on its only image."""

    piece: Slice
    rows: list[Row]
    verdict: Rejected | None = None


class Pool:
    """``workers`` computing processes and, when needed, a fresh one for each suspect."""

    def __init__(self, workers: int, memory: int) -> None:
        os.environ.update(ENVIRONMENT | os.environ)
        self.workers = workers
        self.stopping = threading.Event()
        self.generation = 0  # of the crowd, which is opened anew when pebble gives it up
        self.paces: defaultdict[tuple[int, int], _Pace] = defaultdict(_Pace)  # by positions of the pipeline
        self._memory = memory
        self._crowd = self._open(workers, tasks=0)
        try:
            with deaf():
                assert self._crowd.active  # noqa: S101 - asking starts the processes; they load while work is sought
        except BaseException:
            _close(self._crowd)
            raise
        self._cell: ProcessPool | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="imgflow-pool-")
        self._count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in filter(None, (self._crowd, self._cell)):
            _close(pool)
        self._folder.cleanup()

    def stop(self) -> None:
        """Make every ``compute`` end soon with InterruptedRunError."""
        self.stopping.set()

    def path(self, suffix: str) -> Path:
        """A fresh file in the pool's own temporary folder."""
        with self._lock:
            self._count += 1
            return Path(self._folder.name) / f"{self._count:06d}.{suffix}"

    def compute(self, whole: Slice, seconds: float, announce: Announce = lambda _: None) -> Iterator[Done]:
        """Take all images of ``whole`` through the pool, in slices that adapt to how long an image takes.

        An image that takes more than ``seconds``, kills its process or exhausts its memory is tried once
        more alone in a fresh process and then gets a verdict. ``announce`` is told, before it is so, the numbers
        of all images that may be under way from now on; some seconds' worth of them, so that it is rarely called.
        Raises UnavailableError when the store is away or processes die without computing, InterruptedRunError
        after ``stop``.
        """
        yield from _Shift(self, whole, seconds, announce).results()

    def schedule(self, piece: Slice, *, alone: bool) -> ProcessFuture[list[Row]]:
        """Hand a slice to a process."""
        with self._lock, deaf():
            if not self._crowd.active:  # pebble gives a pool up when a process dies while none has a task
                _close(self._crowd)
                self._crowd = self._open(self.workers, tasks=0)
                self.generation += 1
            if alone and not (self._cell and self._cell.active):
                self._cell = self._open(1, tasks=1)
            pool = self._cell if alone and self._cell else self._crowd
            return pool.schedule(_process, args=[piece])

    def _open(self, workers: int, tasks: int) -> ProcessPool:
        return ProcessPool(
            max_workers=workers,
            max_tasks=tasks,
            initializer=_prepare,
            initargs=[self._memory],
            context=Spawn(),
        )


def _prepare(memory: int) -> None:
    """Make a computing process ready: bounded, and not patient with a lock that nobody will release."""
    CONSTS.channel_lock_timeout = LOCK_SECONDS
    threading.stack_size(STACK)
    if sys.platform == "linux":  # elsewhere the limit does not cover mapped memory, or breaks the loader
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    import_module("imgflow_steps.work")


def _process(piece: Slice) -> list[Row]:
    from imgflow_steps import work  # noqa: PLC0415 - numpy and Pillow, which whoever hands out work never needs

    return work.process(piece)


def _close(pool: ProcessPool) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble annotates only in part
    pool.join()


@dataclass(frozen=True, slots=True)
class _Handed:
    """A slice on its way through a process of the crowd, of that generation, or alone through a fresh one."""

    piece: Slice
    alone: bool
    generation: int


@dataclass(slots=True)
class _Pace:
    """How long an image takes between two positions of the pipeline, learnt from what came back."""

    images: int = 0
    seconds: float = 0.0

    def learn(self, rows: list[Row]) -> None:
        computing = sum(sum(ms for label, ms in row.ms.items() if label not in {"fetch", "publish"}) for row in rows)
        took = max(1e-4, computing / 1000, rows[-1].ended - rows[0].ended) / len(rows)
        self.seconds = 0.7 * self.seconds + 0.3 * took if self.images else took
        self.images += len(rows)

    @property
    def size(self) -> int:
        """Images for a slice: as many as fill its time, but only some times as many as something is known of."""
        return self._filling(SLICE_SECONDS)

    @property
    def least(self) -> int:
        """Images for a slice near the end of a shard."""
        return self._filling(LAST_SECONDS)

    def _filling(self, seconds: float) -> int:
        return max(1, min(SLICE_IMAGES, int(seconds / self.seconds), GROWTH * self.images)) if self.images else 1


class _Shift:
    """One shard's way through a pool."""

    def __init__(self, pool: Pool, whole: Slice, seconds: float, announce: Announce) -> None:
        self._pool, self._whole, self._seconds, self._announce = pool, whole, seconds, announce
        self._pace = pool.paces[whole.first, whole.last]
        self._announced: set[int] = set()
        self._todo = deque(whole.items)
        self._pending: dict[ProcessFuture[list[Row]], _Handed] = {}
        self._strikes: set[object] = set()

    def results(self) -> Iterator[Done]:
        try:
            while self._todo or self._pending:
                self._fill()
                wait(self._pending, timeout=TICK, return_when=FIRST_COMPLETED)
                for future in [future for future in self._pending if future.done()]:
                    yield from self._settle(future)
                if self._pool.stopping.is_set():
                    raise InterruptedRunError
                yield from self._watch()
        finally:
            for future in self._pending:
                future.cancel()  # type: ignore[no-untyped-call]  # as above

    def _fill(self) -> None:
        at_once = 2 * self._pool.workers  # slices: one that is computed by each process, and one that waits for it
        while self._todo and len(self._pending) < at_once:
            left = len(self._todo)
            size = min(left, max(self._pace.least, min(self._pace.size, left // at_once)))
            if not self._announced.issuperset(number(item) for item in islice(self._todo, size)):
                self._look_ahead(at_once * self._pace.size)
            self._hand_over([self._todo.popleft() for _ in range(size)], alone=False)

    def _look_ahead(self, images: int) -> None:
        pending = (item for handed in self._pending.values() for item in handed.piece.items)
        self._announced = {number(item) for item in chain(pending, islice(self._todo, images))}
        self._announce(self._announced)

    def _hand_over(self, items: list[Item], *, alone: bool) -> None:
        piece = replace(
            self._whole,
            items=tuple(items),
            output=self._pool.path("part") if self._whole.output else None,
            journal=self._pool.path("journal"),
        )
        future = self._pool.schedule(piece, alone=alone)
        self._pending[future] = _Handed(piece, alone, self._pool.generation)

    def _watch(self) -> Iterator[Done]:
        """End processes that compute one image for too long."""
        for future, handed in list(self._pending.items()):
            at = suspect(handed.piece.journal)
            if at and at[1] > self._seconds and future.cancel():  # type: ignore[no-untyped-call]  # as above
                yield from self._settle(future)  # wait() does not report a future that was cancelled while it ran

    def _settle(self, future: ProcessFuture[list[Row]]) -> Iterator[Done]:
        handed = self._pending.pop(future)
        try:
            rows = future.result()
        except (CancelledError, MemoryError, ProcessExpired, BrokenProcessPool) as error:
            yield from self._suspect(handed, error)
            return
        handed.piece.journal.unlink()
        self._pace.learn(rows)
        yield Done(handed.piece, rows)

    def _suspect(self, handed: _Handed, error: BaseException) -> Iterator[Done]:
        """Set the image apart over which a process died; the rest of its slice goes on as before."""
        piece, alone = handed.piece, handed.alone
        at = suspect(piece.journal)
        piece.journal.unlink(missing_ok=True)
        if at is None:
            # A pool that broke took all its tasks with it: that is one death and not as many as there were tasks.
            self._strikes.add(handed.generation if isinstance(error, BrokenProcessPool) else object())
            if len(self._strikes) >= STRIKES:
                raise UnavailableError(f"computing processes die between images: {_cause(error)}") from error
            self._requeue(piece.items, alone=alone)
            return
        guilty = [item for item in piece.items if number(item) == at[0]]
        if alone:
            yield Done(replace(piece, items=tuple(guilty)), [], _verdict(error, self._seconds))
            return
        self._requeue(tuple(item for item in piece.items if item not in guilty), alone=False)
        self._hand_over(guilty, alone=True)

    def _requeue(self, items: tuple[Item, ...], *, alone: bool) -> None:
        if alone:
            self._hand_over(list(items), alone=True)
        else:
            self._todo.extendleft(reversed(items))


def _cause(error: BaseException) -> str:
    if isinstance(error, ProcessExpired):
        code = error.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    if isinstance(error, BrokenProcessPool):
        return "ended before it began"
    return "took too long" if isinstance(error, CancelledError) else "ran out of memory"


def _verdict(error: BaseException, seconds: float) -> Rejected:
    if isinstance(error, CancelledError):
        return Rejected("timeout", f"computing took more than {seconds:g} seconds, twice, the second time alone")
    killed = isinstance(error, ProcessExpired) and error.exitcode == -signal.SIGKILL
    if isinstance(error, MemoryError) or killed:
        return Rejected("out-of-memory", "computing needs more memory than a process may have, even alone")
    return Rejected("crashed", f"the computing process {_cause(error)}, twice, the second time alone")
