"""The runs that a store knows, with what is written of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records.listing import Listing, read_listing
from imgflow_steps.records.run import Run, load
from imgflow_steps.records.summary import Phase, Summary, read_summary
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_steps.store import Store

T = TypeVar("T")

READERS = 16  # runs read at the same time


@dataclass(frozen=True, slots=True)
class Record:
    """What lies below ``runs/<id>/`` of a run: what was asked, what was listed, how it ended."""

    run: Run
    listing: Listing | None
    summary: Summary | None

    @property
    def digests(self) -> set[str]:
        """What the run's results may lie under: the imgflow that ran it may make other digests than this one."""
        told = {self.listing.digest if self.listing else "", self.summary.digest if self.summary else ""}
        return (told - {""}) | {self.run.digest}

    @property
    def digest(self) -> str:
        """What its results do lie under."""
        return (self.listing and self.listing.digest) or (self.summary and self.summary.digest) or self.run.digest

    @property
    def covers(self) -> bool:
        """Whether all is covered in its pictures that this imgflow covers: an older version of a step showed more."""
        made = self.listing.versions if self.listing else {}
        hiding = [call.step for call in self.run.pipeline.steps if call.step.hides]
        return bool(hiding) and all(made.get(step.name, step.version) >= step.version for step in hiding)

    @property
    def open(self) -> bool:
        """Whether it may go on: it is under way, or was interrupted."""
        return self.summary is None or self.summary.status is Phase.INTERRUPTED

    @property
    def collected(self) -> bool:
        """Whether every image has its verdict in ``results.jsonl``; a run that broke off has an older one or none."""
        return self.summary is not None and self.summary.report != ""

    @property
    def whole(self) -> bool:
        """Whether its results are those of all images that it listed."""
        return self.collected and not self.open

    @property
    def used(self) -> float:
        """When it was last heard of: seconds since the epoch."""
        told = [self.listing.ended if self.listing else 0.0, self.summary.ended if self.summary else 0.0]
        return max(self.run.created, *told)


def record(store: Store, run_id: str) -> Record | None:
    """One run; None where there is no ``run.json``. Raises ValidationError for one of another imgflow."""
    try:
        run = load(store, run_id)
    except NotFoundError:
        return None
    return Record(run, read_listing(store, run_id), read_summary(store, run_id))


def records(store: Store) -> Iterator[tuple[str, Record | ValidationError | None]]:
    """Every folder below ``runs/`` and what it holds, in three requests each, sixteen at a time.

    A ValidationError where another imgflow wrote it, None where it has no ``run.json`` (any more).
    """

    def read(run_id: str) -> tuple[str, Record | ValidationError | None]:
        try:
            return run_id, record(store, run_id)
        except ValidationError as error:
            return run_id, error

    yield from of_every_run(store, read)


def of_every_run(store: Store, read: Callable[[str], T]) -> Iterator[T]:
    """What ``read`` makes of each folder below ``runs/``, in their order, sixteen at a time."""
    with ThreadPoolExecutor(READERS) as pool:
        yield from pool.map(read, store.folders("runs/"))


def newest(store: Store, municipality: str = "") -> dict[str, Record]:
    """The newest run of each municipality, or of one, that has listed anything."""
    return newest_among(
        one for _, one in records(store) if isinstance(one, Record) and municipality in {"", one.run.municipality}
    )


def newest_among(known: Iterable[Record]) -> dict[str, Record]:
    """The newest of these runs for each municipality that has listed anything."""
    found: dict[str, Record] = {}
    for one in known:
        name = one.run.municipality
        if one.listing and (name not in found or found[name].run.created < one.run.created):
            found[name] = one
    return found


def newest_of(store: Store, municipality: str) -> Record:
    """The newest run of a municipality. Raises BadParametersError where there is none."""
    record = newest(store, municipality).get(municipality)
    if not record:
        raise BadParametersError(f"{municipality} has no results yet; `imgflow submit` makes some")
    return record
