"""How far a container is with its shard, and what remains of that when it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from imgflow_steps.contract.job import Counts
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.rows import write_part
from imgflow_steps.store import StoreError
from imgflow_steps.worker.memory import container_memory, peak
from imgflow_steps.worker.quarantine import spans

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_steps.worker.batch import Batch
    from imgflow_steps.worker.quarantine import Suspects

FLUSH_ROWS = 500  # rows are safe in the store after this many…
FLUSH_SECONDS = 2.0  # …or this many seconds…
FLUSHES = 20  # …or such a part of a shard, whichever is first…
FLUSH_LEAST = 0.1  # …but not before this many seconds…
SHORT = 100  # …or, of a shard of so few images, ten times as long as the last time took

Tell = Callable[[ShardProgress], None]


class Checkpoint:
    """Counts rows, keeps them safe in the store, and says there how far the shard is and which images are under way.

    At the end of the context, however it comes, nothing is under way: only a container that dies leaves suspects.
    """

    def __init__(self, store: Store, whole: Batch, total: int, workers: int, tell: Tell, left: Suspects) -> None:
        self.counts = Counts()
        self._store, self._run, self._tell = store, whole.run, tell
        self._key = keys.shard_progress(whole.run.id, whole.last, whole.shard)
        self._progress = ShardProgress(
            label=whole.run.pipeline.labels[whole.last - 1],
            shard=whole.shard,
            total=total,
            workers=workers,
            memory_limit=container_memory() or 0,
            began=time.time(),
            under_way=spans(left.alone),
            convicted=list(left.convicted),
        )
        self._rows: list[Row] = []
        self._flushed = time.monotonic()
        self._took = 0.0  # seconds of the last time

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        cause = error
        try:
            self._flush()
        except StoreError as refused:
            cause = error or refused
            raise
        finally:
            self._progress.under_way, self._progress.alone = [], None
            if isinstance(cause, Exception):  # else somebody ended the container
                self._progress.error = f"{type(cause).__name__}: {cause}"
            self._say()

    def under_way(self, numbers: Iterable[int]) -> None:
        """Say which images may be computed from now on; if the container dies, it was over one of them."""
        self._progress.under_way = spans(numbers)
        self._say()

    def alone(self, number: int | None, suspects: Iterable[int]) -> None:
        """Say which one of the suspects is computed from now on with nothing beside it."""
        self._progress.alone = number
        self.under_way(suspects)

    def count(self, rows: list[Row], *, keep: bool) -> None:
        """Take what came back; ``keep`` where these rows are the last word on their images."""
        progress, counts = self._progress, self.counts
        for row in rows:
            rejected, failed = row.status is Status.REJECTED, row.status is Status.FAILED
            progress.done += 1
            progress.rejected += rejected
            progress.failed += failed
            counts.listed += 1
            counts.rejected += rejected
            counts.failed += failed
            counts.processed += not (rejected or failed)
            for label, ms in row.ms.items():
                progress.ms[label] = round(progress.ms.get(label, 0.0) + ms, 3)
        if keep:
            self._rows.extend(rows)
        if self._due(time.monotonic() - self._flushed):
            self._flush()
            self._say()
            self._took = time.monotonic() - self._flushed

    def _due(self, seconds: float) -> bool:
        """Whether to flush so long after the last time: of a short shard, too, little is to be lost."""
        total = self._progress.total
        least = min(FLUSH_LEAST, 10 * self._took) if total <= SHORT else FLUSH_LEAST
        part = len(self._rows) * FLUSHES >= total and seconds > least
        return len(self._rows) >= FLUSH_ROWS or part or seconds > FLUSH_SECONDS

    def _flush(self) -> None:
        self._flushed = time.monotonic()
        if self._rows:
            write_part(self._store, self._run.rows, self._rows)
            self._rows = []

    def _say(self) -> None:
        self._progress.updated = time.time()
        self._progress.memory = max(self._progress.memory, peak())
        self._store.write(self._key, self._progress.model_dump_json().encode(), "application/json")
        self._tell(self._progress)
