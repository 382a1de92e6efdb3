"""The work of split: views of the same pixels, copied one at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels import places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.contract.sample import Apply, Sample
    from imgflow_steps.split import Split


def build(params: Split) -> Apply:
    """A function that cuts one sample into pieces ``r1c1``, ``r1c2`` …, row by row.

    Pieces of a grid differ by a pixel at most. An image with fewer pixels than pieces is Rejected as ``too-small``.
    """

    def apply(sample: Sample) -> Iterator[Sample]:
        height, width, _ = sample.pixels.shape
        across, down = edges(width, params.columns, params.tile), edges(height, params.rows, params.tile)
        if len(across) > width + 1 or len(down) > height + 1:
            raise Rejected(
                "too-small", f"{width} x {height} pixels cannot be cut into {params.columns} x {params.rows} pieces"
            )
        for row, (top, bottom) in enumerate(pairwise(down), 1):
            for column, (left, right) in enumerate(pairwise(across), 1):
                name = f"r{_padded(row, down)}c{_padded(column, across)}"
                at = places.then((1, 0, left, 0, 1, top), sample.at)
                yield sample.cut(name, np.ascontiguousarray(sample.pixels[top:bottom, left:right]), at)

    return apply


def edges(side: int, pieces: int, tile: int) -> list[int]:
    """Where a side of this many pixels is cut, both ends included: evenly, or after every ``tile`` pixels."""
    if tile:
        return [*range(0, side, tile), side]
    return [side * i // pieces for i in range(pieces + 1)]


def _padded(number: int, edges: list[int]) -> str:
    return str(number).zfill(len(str(len(edges) - 1)))
