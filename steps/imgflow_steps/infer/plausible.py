"""Whether what a detector says can be read as it is: a wrong reading finds nothing, so nothing would be covered.

Every function gives the fault in words, "" for none. On trial pictures it refuses the model, else it rejects the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.infer.decoders import Candidates

SMALL = 1.5  # pixels from the corner: no box in pixels ends before that, and every one in shares of the sides does
LARGE = 2.0  # shares of the sides: no box in shares reaches beyond, and nearly every one in pixels does
NOISE = 1e-3  # of a score in float16
DENSE = {"yolo", "yolo5", "yolox"}  # say something of every place, of a trial picture with nothing in it as well
RELATIVE = {"detr", "ssd", "ultraface"}
MEASURED = {*DENSE, *RELATIVE, "end2end", "lists", "yolonas", "nms"}  # layouts whose boxes may be in either unit


def units(found: Candidates, size: tuple[int, int], *, relative: bool) -> str:
    """Whether all boxes are in other units than they are taken for; ``size`` is the input's height and width."""
    boxes = found.boxes[_has_room(found)]
    if not len(boxes):
        return ""
    sides = np.array([size[1], size[0]] * 2, np.float64)
    if relative and (np.abs(boxes / sides).max(axis=1) > LARGE).all():
        return "its boxes reach far beyond its input if they are relative to its sides: write units: pixels"
    if not relative and (np.abs(boxes).max(axis=1) <= SMALL).all():
        return f"all its boxes end within {SMALL:g} pixels of a corner if they are in pixels: write units: relative"
    return ""


def scores(found: Candidates, *, dense: bool = False) -> str:
    """Whether scores lie outside of 0 to 1. Lists that are not ``dense`` are filled up with negative ones."""
    wrong = (found.scores > 1 + NOISE) | (dense & (found.scores < -NOISE))
    if not wrong.any():
        return ""
    return (
        f"it gives a score of {found.scores[wrong][0]:g}, which is not between 0 and 1: export it with its last "
        "sigmoid or softmax"
    )


def labels(found: Candidates, names: Sequence[str]) -> str:
    """Whether a thing has a label without a name where labels have names: nobody could ask for it to be covered."""
    unnamed = _has_room(found) & ((found.labels < 0) | (found.labels >= len(names)))
    if not (names and unnamed.any()):
        return ""
    return (
        f"it gives label number {found.labels[unnamed][0]}, and only 0 to {len(names) - 1} have names; models of "
        "torchvision count from 1, so the first line of their labels is for the background"
    )


def _has_room(found: Candidates) -> NDArray[np.bool_]:
    """Which boxes hold something: lists are filled up with others, of any label."""
    across, down = found.boxes[:, 2] > found.boxes[:, 0], found.boxes[:, 3] > found.boxes[:, 1]
    return across & down
