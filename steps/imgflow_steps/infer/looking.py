"""How a finder looks at a picture: whole, in the proportions that it has, and in pieces where things are small."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.pixels.alpha import has_alpha
from imgflow_steps.pixels.resize import resize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.contract.sample import Extent, Pixels

BAR = 114  # grey beside a picture, as YOLO was trained with
MULTIPLE = 32  # of which a model that takes any size wants its sides
COMMON = 128  # pixels that neighbouring pieces share at least
STRETCH = 1.1  # a piece may be so much larger than asked for


@dataclass(frozen=True, slots=True)
class View:
    """What a model is shown of a picture; a place in it times ``gain`` plus ``offset`` is that in the picture."""

    pixels: Pixels
    gain: tuple[float, float]
    offset: tuple[float, float]


def letterboxed(pixels: Pixels, width: int, height: int, part: Extent | None = None) -> View:
    """A part of a picture in its proportions, in the middle of an input; 0 takes its own size, rounded up."""
    left, upper, right, lower = part or (0, 0, pixels.shape[1], pixels.shape[0])
    own = right - left, lower - upper
    size = width or _rounded(own[0], height, own[1]), height or _rounded(own[1], width, own[0])
    share = min(size[0] / own[0], size[1] / own[1])
    if not (width or height):
        share = 1.0
    inner = max(1, round(own[0] * share)), max(1, round(own[1] * share))
    piece = pixels if part is None else pixels[int(upper) : int(lower), int(left) : int(right)]
    if (inner[1], inner[0]) != piece.shape[:2]:
        piece = resize(np.ascontiguousarray(piece), *inner, by="bilinear")
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    shown = np.full((size[1], size[0], pixels.shape[2]), BAR, np.uint8)
    if has_alpha(pixels):
        shown[:, :, -1] = 255
    shown[y : y + inner[1], x : x + inner[0]] = piece
    gain = own[0] / inner[0], own[1] / inner[1]
    return View(shown, gain, (left - x * gain[0], upper - y * gain[1]))


def _rounded(side: float, other: int, other_side: float) -> int:
    """A side of an input that is free: in proportion to the other one where that is fixed."""
    wanted = side * other / other_side if other else side
    return max(MULTIPLE, ceil(wanted / MULTIPLE) * MULTIPLE)


def stretched(pixels: Pixels, width: int, height: int) -> View:
    """The whole picture, to be brought to exactly the input's size."""
    own = pixels.shape[1], pixels.shape[0]
    return View(pixels, (own[0] / (width or own[0]), own[1] / (height or own[1])), (0.0, 0.0))


def pieces(width: int, height: int, tile: int) -> Iterator[Extent]:
    """Pieces of about ``tile`` pixels a side, spread evenly; none where the picture is one itself."""
    across, down = _spread(width, tile), _spread(height, tile)
    if len(across) * len(down) > 1:
        for top, bottom in down:
            for left, right in across:
                yield (left, top, right, bottom)


def _spread(side: int, tile: int) -> list[tuple[int, int]]:
    longest = STRETCH * tile
    many = max(1, ceil((side - COMMON) / (longest - COMMON))) if side > longest else 1
    if many == 1:
        return [(0, side)]
    each = min(side, ceil((side + (many - 1) * COMMON) / many / MULTIPLE) * MULTIPLE)
    starts = [round(i * (side - each) / (many - 1)) for i in range(many)]
    return [(start, start + each) for start in starts]
