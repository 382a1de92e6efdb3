"""What a container is asked to do, and how it says that it ended."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from imgflow_steps.contract.redaction import redacted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]


RedactedText = Annotated[str, PlainSerializer(redacted)]  # what went wrong, in words that may quote anything


class Exit(IntEnum):
    """How a container ends; the Workflow's retry strategy is rendered from this table.

    64 is never used: Argo's own executor ends with it.
    """

    DONE = 0  # every image of the shard has its row; rejected images do not change that
    IMAGES_FAILED = 1  # collect only, after its report is up
    TOO_MANY_REJECTED = 4  # collect only, after its report is up
    TEMPORARY = 75  # the platform failed; try again
    REFUSED = 77  # the store is there and says no; once more, in a new pod: credentials may be new
    BAD_PARAMETERS = 78  # nothing a retry would change


LIFELINE = "IMGFLOW_LIFELINE"  # set where a container is to end when its standard input does
COLLECTED = frozenset({Exit.DONE, Exit.IMAGES_FAILED, Exit.TOO_MANY_REJECTED})  # of collect, whose summary is there
ABOUT_IMAGES = COLLECTED - {Exit.DONE}
FINAL = COLLECTED | {Exit.BAD_PARAMETERS}  # another try would end the same


class Job(BaseModel):
    """One piece of work for one container, as JSON on its standard input or as flags.

    ``step`` is ``list``, ``collect``, ``fused`` or the pixel step at ``position`` (counted from 1).
    ``store`` is a URL; empty means the one in the environment. ``input`` and ``output`` are paths of
    the shard between steps where something else carries it; empty means the store's scratch area.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    run: str
    position: int = Field(default=0, ge=0)
    shard: int = Field(default=0, ge=0)
    store: str = ""
    input: str = ""
    output: str = ""
    workers: int = Field(default=1, ge=1, description="Processes that compute at the same time.")


class Counts(BaseModel):
    """How many images ended how; ``listed`` is always the sum of the other four when a run is whole."""

    listed: int = 0
    processed: int = 0
    cached: int = 0
    rejected: int = 0
    failed: int = 0

    @property
    def add_up(self) -> bool:
        """Whether nothing was lost."""
        return not self.open

    @property
    def open(self) -> int:
        """Images without an outcome so far."""
        return self.listed - self.processed - self.cached - self.rejected - self.failed


class Result(BaseModel):
    """What a container says at its end, as one JSON document on its standard output."""

    job: Job
    exit: int = 0
    error: RedactedText = ""
    kind: str = ""  # of the store's fault, see ``store.kinds``
    counts: Counts = Field(default_factory=Counts)
    shards: int = 0
    layout: str = ""
