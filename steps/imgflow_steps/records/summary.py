"""How a run stands, and how it ended."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from imgflow_steps.contract.job import Counts, RedactedText
from imgflow_steps.records import documents, keys
from imgflow_steps.records.row import Status
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_steps.store import Store


class Phase(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"  # by somebody, on a cluster: nothing new starts until it is resumed
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Example(BaseModel):
    """An image without a result, and why it has none."""

    image: str
    status: Status
    code: str
    message: RedactedText = ""


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
    examples: list[Example] = Field(default_factory=list)  # some of both, failed ones first
    other: int = 0  # objects that were not listed as images
    unlisted: dict[str, int] = Field(default_factory=dict)  # the same by suffix, or by why
    duplicates: int = 0  # images that are near-duplicates of another one…
    duplicate_groups: int = 0  # …of this many
    near: int | None = 0  # largest number of differing bits; None where nobody looked, see ``Duplicates``
    message: RedactedText = ""
    report: str = ""  # URL of the report's index.html
    started: float = 0.0  # this attempt
    ended: float = 0.0
    attempts: int = 1
    worked: float = 0.0  # seconds that all attempts took, without the pauses between them


def read_summary(store: Store, run: str) -> Summary | None:
    """How the run ended, or None while it has not."""
    try:
        return documents.read(Summary, store, keys.summary_json(run))
    except NotFoundError:
        return None
