"""Files and pictures that are not copied, each with its reason: the same words whichever way they would have gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from imgflow_workflows.results.intact import Harm

SHOWN = 100  # skipped files kept with their words; beyond that they are only counted


class SkipReason(StrEnum):
    """Why a file or a picture was not copied."""

    NOT_AN_IMAGE = "not an image"
    HIDDEN = "hidden"
    EXCLUDED = "excluded"
    NAME = "impossible name"
    EMPTY = "empty file"
    LINK = "link"
    SPECIAL = "device or pipe"
    MISSING = "missing file"
    ROW = "unreadable row"
    UNREADABLE = "unreadable"
    FETCHED = "not fetched"
    CHANGED = "changed while it was copied"
    UNPROCESSED = "without a result"
    CHANGED_SINCE = "changed since the run"
    THERE = "another file is there"
    GONE = Harm.GONE.value
    DAMAGED = Harm.DAMAGED.value


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """One file or picture that was not copied; ``message`` says more than the reason.

    ``path`` is as the source names it; of a picture the one below the folder, or the image where it has none.
    """

    path: str
    reason: SkipReason
    message: str
    word: str = ""  # under which it is counted, where that is not the reason

    def __post_init__(self) -> None:
        """Count under the reason, where nothing else is said."""
        object.__setattr__(self, "word", self.word or str(self.reason))


Refuse = Callable[[SkippedFile], None]


@dataclass(slots=True, kw_only=True)
class Skips:
    """How many were not copied, by reason, and the first ones in words."""

    refused: Counter[SkipReason] = field(default_factory=Counter)
    refusals: list[SkippedFile] = field(default_factory=list)

    def refuse(self, skipped: SkippedFile) -> None:
        """Count one, and keep the words of the first ones."""
        self.refused[skipped.reason] += 1
        if len(self.refusals) < SHOWN:
            self.refusals.append(skipped)

    @property
    def harmed(self) -> int:
        """Pictures that are gone from the store or damaged there."""
        return self.refused[SkipReason.GONE] + self.refused[SkipReason.DAMAGED]

    def document(self) -> dict[str, Any]:
        """The same for programs; keys are only ever added."""
        return {
            "refused": {str(reason): count for reason, count in self.refused.items()},
            "refusals": [
                {"path": skipped.path, "reason": str(skipped.reason), "message": skipped.message}
                for skipped in self.refusals
            ],
        }
