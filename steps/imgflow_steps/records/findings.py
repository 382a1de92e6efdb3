"""What finders and models of vectors left in rows, read back: boxes in pixels of the upright source, and vectors."""

from __future__ import annotations

from base64 import b64decode
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from imgflow_steps.pixels.places import around, inverse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from imgflow_steps.contract.sample import Affine
    from imgflow_steps.records.row import Published


class Box(NamedTuple):
    """One thing: what it is, how certain that is, and its left, upper, width and height in pixels."""

    label: str
    score: float
    x: float
    y: float
    w: float
    h: float

    @property
    def side(self) -> float:
        """The side of a square of the same area, in pixels: how large a thing is, as COCO counts it."""
        return sqrt(self.w * self.h)

    def seen(self, at: Affine, width: int, height: int) -> Box | None:
        """The same thing in a picture whose ``at`` leads back here; None where the picture does not show it."""
        corners = around(inverse(at), (self.x, self.y, self.x + self.w, self.y + self.h))
        left, upper = max(0.0, corners[0]), max(0.0, corners[1])
        right, lower = min(float(width), corners[2]), min(float(height), corners[3])
        if right <= left or lower <= upper:
            return None
        return Box(self.label, self.score, left, upper, right - left, lower - upper)


def is_boxes(value: Any) -> bool:
    """Whether what was found under a name are things with boxes."""
    return isinstance(value, dict) and isinstance(value.get("boxes"), list)


def is_vector(value: Any) -> bool:
    """Whether what was found under a name is a vector."""
    return isinstance(value, dict) and isinstance(value.get("vector"), str)


def boxes(found: Mapping[str, Any]) -> dict[str, list[Box]]:
    """The things of every finder, by its name, the most certain first."""
    return {name: [Box(*box) for box in value["boxes"]] for name, value in found.items() if is_boxes(value)}


def vectors(found: Mapping[str, Any]) -> dict[str, NDArray[np.float32]]:
    """The vectors of a picture, by name."""
    import numpy as np  # noqa: PLC0415 - most rows have none

    return {
        name: np.frombuffer(b64decode(value["vector"]), "<f2").astype(np.float32)
        for name, value in found.items()
        if is_vector(value)
    }


def once(outputs: Iterable[Published]) -> Iterator[tuple[str, str, Any]]:
    """Piece, name and value of what was found in an image; once, with no piece, where several pieces share it.

    So it is where a model looked at a picture before a step cut it up.
    """
    known: dict[str, list[tuple[list[str], Any]]] = {}
    for output in outputs:
        for name, value in output.found.items():
            if not (is_boxes(value) or is_vector(value)):
                continue
            values = known.setdefault(name, [])
            pieces = next((pieces for pieces, other in values if other == value), None)
            if pieces is None:
                values.append(([output.piece], value))
            else:
                pieces.append(output.piece)
    for name, values in known.items():
        for pieces, value in values:
            yield "" if len(pieces) > 1 else pieces[0], name, value
