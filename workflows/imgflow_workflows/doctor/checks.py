"""One thing that imgflow needs, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # works, but not well or not for long
    WRONG = "wrong"  # a run would fail or stand still
    UNKNOWN = "unknown"  # could not be looked at


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it stands, what was seen, and the command that mends it, "" where nothing has to be."""

    name: str
    state: State
    seen: str
    mend: str = ""
    reached: bool = True  # False where whatever was to be asked does not answer
