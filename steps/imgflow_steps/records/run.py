"""What a run was asked to do, what list found, and how far it is: the documents below ``runs/<run>/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from imgflow_steps.collect import Collect
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline
from imgflow_steps.records import documents, keys
from imgflow_steps.records.summary import Phase

if TYPE_CHECKING:
    from imgflow_steps.store import Store


class Work(BaseModel):
    """What the containers of an attempt were to compute, and what they did of it, in images."""

    model_config = ConfigDict(frozen=True)

    todo: int = 0
    processed: int = 0
    rejected: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        """Those that had no turn."""
        return max(0, self.todo - self.processed - self.rejected - self.failed)


class Attempt(BaseModel):
    """When an attempt of a run began and ended, in seconds since the epoch; the pause after it is nobody's work."""

    model_config = ConfigDict(frozen=True)

    began: float
    ended: float
    status: Phase | None = None  # None of an attempt that an earlier imgflow made
    work: Work | None = None


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
    created: float = 0.0  # seconds since the epoch, when this attempt was asked for
    earlier: tuple[Attempt, ...] = ()  # attempts before this one
    engine: str = ""
    namespace: str = ""  # of Kubernetes, where its Workflow is
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


def worked(run: Run, now: float) -> float:
    """Seconds that all attempts of a run took until now, without the pauses between them."""
    return sum(one.ended - one.began for one in run.earlier) + (max(0.0, now - run.created) if run.created else 0.0)


def starts(run: Run) -> tuple[float, ...]:
    """When each attempt after the first one began."""
    return (*(one.began for one in run.earlier[1:]), run.created) if run.earlier else ()


def load(store: Store, run: str) -> Run:
    """The run's ``run.json``. Raises NotFoundError when there is no such run."""
    return documents.read(Run, store, keys.run_json(run))


def save(store: Store, run: Run) -> None:
    """Write ``run.json``."""
    store.write(keys.run_json(run.id), run.model_dump_json(indent=1).encode())
