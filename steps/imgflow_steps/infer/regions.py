"""Connected regions of a map, without a library: ``infer``'s container holds none that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]


def regions(values: Numbers, least: float) -> tuple[Numbers, Numbers]:
    """Boxes (n, 4) and mean values of regions of a map (h, w) that reach ``least``; neighbours touch by a side.

    Runs of each row are joined with those of the row above that they touch (union-find).
    """
    rows, begins, ends = _runs(values >= least)
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    above = 0
    for run in range(len(rows)):
        while rows[above] < rows[run] - 1 or (rows[above] == rows[run] - 1 and ends[above] <= begins[run]):
            above += 1
        other = above
        while rows[other] == rows[run] - 1 and begins[other] < ends[run]:
            parent[root(other)] = root(run)
            other += 1
    roots, number = np.unique([root(run) for run in range(len(rows))], return_inverse=True)
    if not len(roots):
        return np.empty((0, 4)), np.empty(0)
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    boxes = np.stack([np.full(len(roots), np.inf)] * 2 + [np.zeros(len(roots))] * 2, axis=1)
    np.minimum.at(boxes[:, 0], number, begins)
    np.minimum.at(boxes[:, 1], number, rows)
    np.maximum.at(boxes[:, 2], number, ends)
    np.maximum.at(boxes[:, 3], number, rows + 1)
    total = np.bincount(number, sums[rows, ends] - sums[rows, begins])
    return boxes, total / np.bincount(number, ends - begins)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, first column and column after the last of every run of a mask, row by row."""
    framed = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    steps = np.diff(framed, axis=1)
    rows, begins = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, begins, ends
