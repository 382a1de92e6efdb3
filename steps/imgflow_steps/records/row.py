"""What is said of one image: as it was listed, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from imgflow_steps.contract.job import RedactedText
from imgflow_steps.contract.sample import WHOLE, Affine
from imgflow_steps.records.boxes import STAMP, ManualBox

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

TICK = 0.001  # seconds between a row and the one that replaces it, at least


class Entry(BaseModel):
    """One image that was listed: a line of a shard's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str  # its key below the source's prefix
    version: str  # ETag on S3, in a directory see ``version_of``; with boxes it is stamped with them
    bytes: int = 0
    boxes: tuple[ManualBox, ...] | None = None  # that people gave; None where they did not speak of it
    problem: str = ""  # why this key can never be processed, when it cannot
    sampled: bool = False  # show it in the report: thumbnails are written for it
    after: float = 0.0  # when the row that is known of it ended, also one of another version

    @model_validator(mode="after")
    def _has_its_boxes(self) -> Entry:
        if (self.boxes is not None) != bool(STAMP.search(self.version)):
            raise ValueError("its boxes and its version do not belong together")
        return self


def entries(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The entries of a listing or a manifest, one a line."""
    return map(Entry.model_validate_json, lines)


def read_entries(path: Path) -> Iterator[Entry]:
    """The entries of a local copy, streaming."""
    with path.open("rb") as file:
        yield from entries(file)


class Status(StrEnum):
    """How a listed image ended. In a row *cached* never appears: collect derives it from ``Row.run``."""

    PROCESSED = "processed"
    CACHED = "cached"
    REJECTED = "rejected"
    FAILED = "failed"


WITH_RESULT = frozenset({Status.PROCESSED, Status.CACHED})


class Published(BaseModel):
    """One published result of an image; ``key`` is "" when the pipeline publishes no pictures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    sha256: str
    width: int
    height: int
    bytes: int = 0
    md5: str = ""  # as S3 tells it of what it holds
    piece: str = ""
    at: Affine = WHOLE  # from its pixels to those of the upright source, as in ``Sample``
    found: dict[str, Any] = Field(default_factory=dict)


class Row(BaseModel):
    """What became of one listed image. Times in milliseconds, sizes in pixels and bytes."""

    model_config = ConfigDict(extra="forbid")

    image: str
    version: str
    bytes: int = 0
    status: Status = Status.PROCESSED
    code: str = ""
    message: RedactedText = ""
    run: str = ""
    shard: int = 0
    ended: float = 0.0  # seconds since the epoch
    ms: dict[str, float] = Field(default_factory=dict)
    width: int = 0
    height: int = 0
    format: str = ""
    exif: dict[str, str | int | float] = Field(
        default_factory=dict
    )  # what the file tells, see ``contract/metadata.py``
    dhash: str = ""  # what the picture looks like, see ``imgflow_steps.pixels.dhash``
    duplicate_of: str = ""  # of a verdict: the image that this one looks like; collect alone finds out
    outputs: list[Published] = Field(default_factory=list)
    thumbs: list[str] = Field(default_factory=list)  # store keys: before ("" where a step hides), after

    def end(self, run: str, shard: int) -> None:
        """Note who made this row, and when: later than the row that it replaces, also where a clock went back."""
        self.run, self.shard, self.ended = run, shard, max(time.time(), self.ended + TICK)


def begin(entry: Entry) -> Row:
    """The row of an image that is going to be computed; it ends later than what is known of the image."""
    return Row(image=entry.image, version=entry.version, bytes=entry.bytes, ended=entry.after)
