"""A shard through computing processes, in batches; a process that dies costs only the image that caused it."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records.row import Row
from imgflow_steps.store import UnavailableError
from imgflow_steps.store.leftovers import Temporary
from imgflow_steps.worker.batch import Batch, Item, number
from imgflow_steps.worker.journal import opening, suspect
from imgflow_steps.worker.processes import DIED, Processes, cause, too_slow, verdict
from imgflow_steps.worker.reach import Reach

if TYPE_CHECKING:
    from pebble import ProcessFuture

    from imgflow_steps.contract.sample import Rejected


# Work handed over at a time. At its ends a process waits for the store, so slices are long, but show progress; those
# at the end of a shard are shorter, that no process is left over long, but not so short that they are all waiting.
SLICE_SECONDS = 3.0
LAST_SECONDS = 0.3
SLICE_IMAGES = 500
SHARES = 12  # of a shard, at least, for each process: what is killed has no more of it to do again
GROWTH = 4  # times as many images as something is known of
STRIKES = 3  # deaths without a suspect before it is the platform's fault
TICK = 0.2  # seconds between two looks at the journals

Announce = Callable[[Iterable[int]], None]


class InterruptedRunError(Exception):
    """Somebody asked to stop; what was flushed stays."""


@dataclass(frozen=True, slots=True)
class Done:
    """What came back for a slice: its rows, or the verdict on its only image.

    With ``again`` the image may be good: something kept it waiting, and it is to be tried again.
    """

    piece: Batch
    rows: list[Row]
    verdict: Rejected | None = None
    again: bool = False


class Pool:
    """A shard's way to ``workers`` computing processes and back."""

    def __init__(self, workers: int, memory: int, reach: Reach) -> None:
        self.workers = workers
        self.stopping = threading.Event()
        self._folder = Temporary()
        self.processes = Processes(workers, memory, "imgflow_steps.worker.loop", reach.also(self._folder.path))
        self.paces: defaultdict[tuple[int, int], _Pace] = defaultdict(_Pace)  # by positions of the pipeline
        self._count = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.close()
        self._folder.cleanup()

    def stop(self) -> None:
        """Make every ``compute`` end soon with InterruptedRunError."""
        self.stopping.set()

    def path(self, suffix: str) -> Path:
        """A fresh file in the pool's own temporary folder."""
        with self._lock:
            self._count += 1
            return self._folder.path / f"{self._count:06d}.{suffix}"

    def compute(self, whole: Batch, seconds: float, announce: Announce = lambda _: None) -> Iterator[Done]:
        """Take all images of ``whole`` through the pool, in slices that adapt to how long an image takes.

        An image that takes more than ``seconds`` of the clock, kills its process (by its processor time, too) or
        exhausts its memory is tried once more alone in a fresh process and then gets a verdict, the clock's being that
        it is to be tried again. ``announce`` is told, before it is so, the numbers
        of all images that may be under way from now on; some seconds' worth of them, so that it is rarely called.
        Raises UnavailableError when the store is away or processes die without computing, InterruptedRunError
        after ``stop``.
        """
        yield from _Shift(self, whole, seconds, announce).results()


def _process(piece: Batch) -> list[Row]:
    from imgflow_steps.worker import loop  # noqa: PLC0415 - numpy and Pillow, which whoever hands out work never needs

    return loop.process(piece)


@dataclass(frozen=True, slots=True)
class _Handed:
    """A slice on its way through a process of the crowd, of that generation, or alone through a fresh one."""

    piece: Batch
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

    def __init__(self, pool: Pool, whole: Batch, seconds: float, announce: Announce) -> None:
        self._pool, self._whole, self._seconds, self._announce = pool, whole, seconds, announce
        self._pace = pool.paces[whole.first, whole.last]
        self._announced: set[int] = set()
        self._todo = deque(whole.items)
        self._pending: dict[ProcessFuture[list[Row]], _Handed] = {}
        self._strikes: set[object] = set()
        self._slow = 0  # processes that were ended while they opened a step

    def results(self) -> Iterator[Done]:
        try:
            while self._todo or self._pending:
                self._fill()
                wait(self._pending, timeout=TICK, return_when=FIRST_COMPLETED)
                self._pool.processes.renew()
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
        most = max(1, len(self._whole.items) // (SHARES * self._pool.workers))
        while self._todo and len(self._pending) < at_once:
            left = len(self._todo)
            size = min(left, most, max(self._pace.least, min(self._pace.size, left // at_once)))
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
            thumbs=not alone,
        )
        future = self._pool.processes.schedule(_process, alone, piece)
        self._pending[future] = _Handed(piece, alone, self._pool.processes.generation)

    def _watch(self) -> Iterator[Done]:
        """End processes in which one image waits for too long."""
        for future, handed in list(self._pending.items()):
            at = suspect(handed.piece.journal)
            waited = at[1] if at else opening(handed.piece.journal)
            if waited > self._seconds and future.cancel():  # type: ignore[no-untyped-call]  # as above
                yield from self._settle(future)  # wait() does not report a future that was cancelled while it ran

    def _settle(self, future: ProcessFuture[list[Row]]) -> Iterator[Done]:
        handed = self._pending.pop(future)
        try:
            rows = future.result()
        except DIED as error:
            yield from self._suspect(handed, error)
            return
        handed.piece.journal.unlink()
        self._pace.learn(rows)
        yield Done(handed.piece, rows)

    def _suspect(self, handed: _Handed, error: BaseException) -> Iterator[Done]:
        """Set the image apart over which a process died; the rest of its slice goes on as before."""
        piece, alone = handed.piece, handed.alone
        at = suspect(piece.journal)
        waited = opening(piece.journal)
        piece.journal.unlink(missing_ok=True)
        if waited and too_slow(error):
            self._never_opened(error)
        guilty = [item for item in piece.items if at and number(item) == at[0]]
        if not guilty:
            # A pool that broke took all its tasks with it: that is one death and not as many as there were tasks.
            self._strikes.add(handed.generation if isinstance(error, BrokenProcessPool) else object())
            if len(self._strikes) >= STRIKES:
                raise UnavailableError(f"computing processes die between images: {cause(error)}") from error
            self._requeue(piece.items, alone=alone)
            return
        if alone:
            said = verdict(error, piece.run.pipeline.limits)
            yield Done(replace(piece, items=tuple(guilty)), [], said, again=isinstance(error, CancelledError))
            return
        self._requeue(tuple(item for item in piece.items if item not in guilty), alone=False)
        self._hand_over(guilty, alone=True)

    def _never_opened(self, error: BaseException) -> None:
        """Once may be the machine's fault. Raises BadParametersError for the second time: no image could be tried."""
        self._slow += 1
        if self._slow > 1:
            raise BadParametersError(
                "a step of the pipeline does not open: it took longer than an image may take (limits.seconds, at least "
                "30 of processor time), twice; does its model loop? Raise --set limits.seconds if it is only slow"
            ) from error

    def _requeue(self, items: tuple[Item, ...], *, alone: bool) -> None:
        if alone:
            self._hand_over(list(items), alone=True)
        else:
            self._todo.extendleft(reversed(items))
