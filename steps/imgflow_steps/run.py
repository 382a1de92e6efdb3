"""What a run was asked to do, what list found, and how far it is: the documents below ``runs/<run>/``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from imgflow_steps import keys
from imgflow_steps.collect import Collect
from imgflow_steps.contract import Counts
from imgflow_steps.list import List
from imgflow_steps.pipeline import Pipeline
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_steps.store import Found, Store


READS = 16  # documents read at the same time


class Run(BaseModel):
    """``run.json``: everything that decides what a run does. No secrets, no addresses of stores with keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    municipality: str
    pipeline: Pipeline
    source: str = ""  # URL of photographs that lie elsewhere; "" is the municipality's own dataset
    selection: str = ""  # key of the images that it is about; "" is all of them
    left_out: int = 0  # images that it is not about since they are near-duplicates of others
    list: List = List()
    collect: Collect = Collect()
    created: float = 0.0  # seconds since the epoch
    engine: str = ""
    workers: int = 0  # processes that compute at the same time, where the engine is on one machine
    version: str = ""  # of imgflow

    @property
    def digest(self) -> str:
        """Names what the results depend on: the pipeline, and the source where it is not the dataset itself."""
        return self.pipeline.digest_for(self.source)

    @property
    def prefix(self) -> str:
        """What the keys of its photographs begin with, in the source or else in the store."""
        return "" if self.source else keys.images(self.municipality)

    @property
    def rows(self) -> str:
        """Prefix of the row files that this run reads and extends."""
        return keys.rows(self.municipality, self.digest)


class Listing(BaseModel):
    """``listing.json``: what list found and how it cut the work."""

    listed: int = 0
    todo: int = 0
    cached: int = 0  # done by other runs
    processed: int = 0  # done by an earlier attempt of this run
    rejected: int = 0  # known already
    other: int = 0  # objects that are not listed as images
    absent: int = 0  # chosen by a selection, and not there
    bytes: int = 0  # of what is to do
    shards: int = 0
    shard_size: int = 0
    layout: str = "fused"
    why: str = ""
    seconds: float = 0.0
    ended: float = 0.0  # seconds since the epoch
    digest: str = ""  # as the imgflow that listed makes it: another one may have other versions of steps
    versions: dict[str, int] = Field(default_factory=dict)  # of what the digest covers, by name


class ShardProgress(BaseModel):
    """``progress/<position>-<shard>.json``: one container's word on its shard, rewritten every few seconds."""

    label: str
    shard: int
    total: int
    done: int = 0
    rejected: int = 0
    failed: int = 0
    ms: dict[str, float] = Field(default_factory=dict)  # computing time, summed per step
    error: str = ""  # why the container gave its shard up
    workers: int = 1  # processes that compute
    memory: int = 0  # bytes that the container and its processes held at most; 0 where that is not known
    began: float = 0.0
    under_way: list[tuple[int, int]] = Field(default_factory=list)  # numbers of images, first to last, that it is at
    alone: int | None = None  # the one of them that is computed with nothing beside it, having been suspected
    convicted: list[int] = Field(default_factory=list)  # images over which a container died while they were alone
    updated: float = 0.0


class Phase(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Summary(BaseModel):
    """``summary.json``: how a run ended. Written by collect, last of all."""

    run: str
    municipality: str
    digest: str
    status: Phase
    exit: int
    counts: Counts
    missing: int = 0  # of the failed: images without a row, their shard was lost
    failed: dict[str, int] = Field(default_factory=dict)  # images by code
    rejected: dict[str, int] = Field(default_factory=dict)
    other: int = 0
    duplicates: int = 0  # images that are near-duplicates of another one…
    duplicate_groups: int = 0  # …of so many
    near: int | None = 0  # by so many bits of their hashes; None where nobody looked, see ``Duplicates``
    message: str = ""
    report: str = ""  # URL of the report's index.html
    started: float = 0.0
    ended: float = 0.0


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


def load(store: Store, run: str) -> Run:
    """The run's ``run.json``. Raises NotFoundError when there is no such run."""
    return Run.model_validate_json(store.read(keys.run_json(run)))


def save(store: Store, run: Run) -> None:
    """Write ``run.json``."""
    store.write(keys.run_json(run.id), run.model_dump_json(indent=1).encode())


def read_listing(store: Store, run: str) -> Listing | None:
    """What list found, or None before it has."""
    try:
        return Listing.model_validate_json(store.read(keys.listing_json(run)))
    except NotFoundError:
        return None


def read_summary(store: Store, run: str) -> Summary | None:
    """How the run ended, or None while it has not."""
    try:
        return Summary.model_validate_json(store.read(keys.summary_json(run)))
    except NotFoundError:
        return None


def read_progress(store: Store, run: str, position: int, shard: int) -> ShardProgress | None:
    """What the container last said that works on a shard, or None when none has."""
    try:
        return ShardProgress.model_validate_json(store.read(keys.shard_progress(run, position, shard)))
    except NotFoundError:
        return None


def read_shards(store: Store, run: str) -> list[ShardProgress]:
    """What all containers have said of their shards: some thousand small documents at most."""

    def read(found: Found) -> ShardProgress | None:
        with suppress(NotFoundError):  # the run was listed anew meanwhile
            return ShardProgress.model_validate_json(store.read(found.key))
        return None

    with ThreadPoolExecutor(READS) as pool:
        return [shard for shard in pool.map(read, store.entries(keys.progress(run))) if shard]


class ProgressReader:
    """Reads a run's progress again and again, fetching only what changed since."""

    def __init__(self, store: Store, run: str) -> None:
        self._store, self._run = store, run
        self._seen: dict[str, tuple[str, ShardProgress]] = {}
        self._publishes = ""

    def read(self) -> Progress:
        """The progress now. Raises NotFoundError when there is no such run."""
        summary = read_summary(self._store, self._run)
        listing = read_listing(self._store, self._run)
        self._publishes = self._publishes or load(self._store, self._run).pipeline.labels[-1]
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
                shard = ShardProgress.model_validate_json(self._store.read(found.key))
                yield found.key, (found.version, shard)


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
