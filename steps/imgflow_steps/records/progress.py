"""How far a run is: what each container says of its shard, read again and summed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from imgflow_steps.contract.job import Counts, RedactedText
from imgflow_steps.records import documents, keys
from imgflow_steps.records.listing import Listing, read_listing
from imgflow_steps.records.run import Work, load
from imgflow_steps.records.summary import Phase, Summary, read_summary
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store, StoredObject

READS = 16  # documents read at the same time


class ShardProgress(BaseModel):
    """``progress/<position>-<shard>.json``: one container's word on its shard, rewritten every few seconds."""

    label: str
    shard: int
    total: int
    done: int = 0
    rejected: int = 0
    failed: int = 0
    ms: dict[str, float] = Field(default_factory=dict)  # computing time, summed per step
    error: RedactedText = ""  # why the container gave its shard up
    workers: int = 1  # processes that compute
    memory: int = 0  # bytes that the container and its processes held at most; 0 where that is not known
    memory_limit: int = 0  # bytes that the container may hold; 0 without a limit
    began: float = 0.0
    under_way: list[tuple[int, int]] = Field(default_factory=list)  # numbers of images, first to last, that it is at
    alone: int | None = None  # the one of them that is computed with nothing beside it, having been suspected
    convicted: list[int] = Field(default_factory=list)  # images over which a container died while they were alone
    updated: float = 0.0


class Progress(BaseModel):
    """How far a run is, put together from the documents above."""

    run: str
    phase: Phase
    listing: Listing | None = None
    steps: dict[str, ShardProgress] = Field(default_factory=dict)  # per step, summed over shards
    publishes: str = ""  # the last step: what it has done is done
    summary: Summary | None = None

    @property
    def counts(self) -> Counts:
        """Counts so far: final ones from the summary, before that what the publishing step has told."""
        if self.summary:
            return self.summary.counts
        listing = self.listing or Listing()
        last = self.steps.get(self.publishes)
        done, rejected, failed = (last.done, last.rejected, last.failed) if last else (0, 0, 0)
        return Counts(
            listed=listing.listed,
            processed=listing.processed + done - rejected - failed,
            cached=listing.cached,
            rejected=listing.rejected + rejected,
            failed=failed,
        )


def read_progress(store: Store, run: str, position: int, shard: int) -> ShardProgress | None:
    """What the container last said that works on a shard, or None when none has."""
    try:
        return documents.read(ShardProgress, store, keys.shard_progress(run, position, shard))
    except NotFoundError:
        return None


def read_shards(store: Store, run: str) -> list[ShardProgress]:
    """What all containers have said of their shards: some thousand small documents at most."""

    def read(found: StoredObject) -> ShardProgress | None:
        with suppress(NotFoundError):  # the run was listed anew meanwhile
            return documents.read(ShardProgress, store, found.key)
        return None

    with ThreadPoolExecutor(READS) as pool:
        return [shard for shard in pool.map(read, store.entries(keys.progress(run))) if shard]


class ProgressReader:
    """Reads a run's progress again and again, fetching only what changed since."""

    def __init__(self, store: Store, run: str, publishes: str = "") -> None:
        self._store, self._run = store, run
        self._seen: dict[str, tuple[str, ShardProgress]] = {}
        self._publishes = publishes

    def read(self, *, to_its_end: bool = True) -> Progress:
        """The progress now. Raises NotFoundError when there is no such run.

        Unless ``to_its_end``, what containers said is not read of a run that has ended: its summary says it all.
        """
        summary = read_summary(self._store, self._run)
        listing = read_listing(self._store, self._run)
        self._publishes = self._publishes or load(self._store, self._run).pipeline.labels[-1]
        if to_its_end or summary is None:
            self._seen = dict(self._shards())
        steps = _sum(shard for _, shard in self._seen.values())
        phase = summary.status if summary else (Phase.RUNNING if listing else Phase.PENDING)
        return Progress(
            run=self._run, phase=phase, listing=listing, steps=steps, publishes=self._publishes, summary=summary
        )

    def _shards(self) -> Iterator[tuple[str, tuple[str, ShardProgress]]]:
        for found in self._store.entries(keys.progress(self._run)):
            known = self._seen.get(found.key)
            if known and known[0] == found.version:
                yield found.key, known
                continue
            with suppress(NotFoundError):  # the run was listed anew meanwhile
                shard = documents.read(ShardProgress, self._store, found.key)
                yield found.key, (found.version, shard)


def look(store: Store, run: Run) -> Progress:
    """How far a run is, in one look: two requests when it has ended, and one more for each shard until then."""
    return ProgressReader(store, run.id, run.pipeline.labels[-1]).read(to_its_end=False)


def done_by(shards: Iterable[ShardProgress], publishes: str, todo: int) -> Work:
    """What containers did of ``todo`` images, by what those of the last step say."""
    last = _sum(shards).get(publishes) or ShardProgress(label=publishes, shard=0, total=0)
    processed = last.done - last.rejected - last.failed
    return Work(todo=todo, processed=processed, rejected=last.rejected, failed=last.failed)


def _sum(shards: Iterable[ShardProgress]) -> dict[str, ShardProgress]:
    sums: dict[str, ShardProgress] = {}
    for shard in shards:
        one = sums.setdefault(shard.label, ShardProgress(label=shard.label, shard=0, total=0))
        one.total += shard.total
        one.done += shard.done
        one.rejected += shard.rejected
        one.failed += shard.failed
        one.workers = max(one.workers, shard.workers)
        one.memory = max(one.memory, shard.memory)
        one.updated = max(one.updated, shard.updated)
        for label, ms in shard.ms.items():
            one.ms[label] = one.ms.get(label, 0.0) + ms
    return sums
