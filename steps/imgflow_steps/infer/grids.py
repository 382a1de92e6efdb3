"""Where a detector looks: places at each of its strides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

STRIDES = (8, 16, 32)


def places(size: tuple[int, int], strides: Sequence[int] = STRIDES) -> int:
    """At how many places a detector looks: height and width of its input divided by each stride."""
    return sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in strides)


def grid(size: tuple[int, int]) -> tuple[Numbers, Numbers]:
    """Column and row of every place, and its stride; stride by stride, row by row."""
    found, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[0 : -(-size[0] // stride), 0 : -(-size[1] // stride)]
        found.append(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64))
        strides.append(np.full((x.size, 1), stride, np.float64))
    return np.concatenate(found), np.concatenate(strides)


def middles(size: tuple[int, int]) -> Numbers:
    """Pixels in the middle of every place, across and down."""
    corners, strides = grid(size)
    return (corners + 0.5) * strides
