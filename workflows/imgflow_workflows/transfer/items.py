"""What is told of one picture that is exported."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgflow_steps.records.findings import Box


@dataclass(frozen=True, slots=True)
class Item:
    """A picture of an image, its size and boxes in its pixels, and what the catalog tells of the image.

    ``name`` is where it lies, below the folder of pictures.
    """

    image: str
    piece: str
    name: str
    width: int
    height: int
    boxes: list[Box]
    columns: dict[str, Any]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        stem, dot, _ = self.name.rpartition(".")
        return stem if dot and "/" not in self.name[len(stem) :] else self.name

    @property
    def plain(self) -> dict[str, Any]:
        """What the catalog tells, as JSON has words for it: times are text, what is not a number is null."""
        return {name: plain(value) for name, value in self.columns.items()}


def plain(value: Any) -> Any:
    """A value as JSON has words for it."""
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(value) else None
    if isinstance(value, date | time):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)
