"""The work of redact: everything that was found and is asked for is covered, or the image is put aside.

A box is grown by the margin, then outwards to a grid of 8 pixels, so that the noise of another processor moves no edge.
What covers it is computed from the pixels given, never from what covers another box, in whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from math import ceil, floor, sqrt
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from imgflow_steps.contract.sample import MANUAL, Rejected, beside
from imgflow_steps.pixels import places
from imgflow_steps.pixels.alpha import has_alpha

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.contract.sample import Apply, Pixels, Sample
    from imgflow_steps.redact import Redact

    Area = tuple[int, int, int, int]  # left, upper, right, lower, whole pixels
    Mask = NDArray[np.bool_]

GRID = 8
LEVELS = {"black": 0, "gray": 128, "white": 255}
OPAQUE = 255


def build(params: Redact) -> Apply:
    """A function that covers one sample.

    Rejected: ``no-finder`` where nobody has looked for things, ``too-many-objects`` where a finder has kept some back,
    ``nothing-found`` where that is asked for.
    """

    def apply(sample: Sample) -> Iterable[Sample]:
        boxes = list(_boxes(sample.found, params))
        if not boxes and params.none == "reject":
            raise Rejected("nothing-found", "nothing was found in it that could be covered; look at it, or none: keep")
        height, width, _ = sample.pixels.shape
        seen, covered = seen_of(sample.pixels), np.zeros((height, width), bool)
        pixels = seen.copy()
        count, back = 0, places.inverse(sample.at)
        for box in boxes:
            area = grown(places.around(back, box), width, height, params)
            if area is not None:
                count += 1
                cover(pixels, covered, seen, area, params)
        share = round(float(np.count_nonzero(covered)) / covered.size, 6)
        found = beside(sample.found, {"redacted": {"count": count, "share": share}})
        yield replace(sample, pixels=pixels, found=found)

    return apply


def seen_of(pixels: Pixels) -> Pixels:
    """The picture in colours that models are shown, over white: PNG and WebP keep what is hardly seen as well.

    What is wholly transparent has none. Alpha stays, and what is opaque.
    """
    if not has_alpha(pixels):
        return pixels
    seen, alpha = pixels.copy(), pixels[:, :, -1]
    seen[alpha == 0] = 0
    through = (alpha > 0) & (alpha < OPAQUE)
    share = alpha[through].astype(np.uint32)[:, np.newaxis]
    light = seen[through][:, :-1] * share + OPAQUE * (OPAQUE - share)
    seen[through, :-1] = (2 * light + OPAQUE) // (2 * OPAQUE)
    return seen


def _boxes(found: Mapping[str, Any], params: Redact) -> Iterator[tuple[float, float, float, float]]:
    """Boxes to cover, in source pixels, in the order of the row."""
    by_people = found.get(MANUAL)  # these are covered whatever is asked of models
    finders = [told for told in found.values() if isinstance(told, Mapping) and "boxes" in told]
    if not finders:
        raise Rejected("no-finder", "neither a model before redact nor a person has looked at it")
    for told in finders:
        if more := told.get("more", 0):
            raise Rejected(
                "too-many-objects",
                f"{more} things more were found than infer keeps, and they would stay visible; raise most of infer",
            )
        for label, score, left, upper, width, height in told["boxes"]:
            asked = (not params.labels or label in params.labels) and score >= params.score
            if asked or told is by_people:
                yield left, upper, left + width, upper + height


def grown(box: tuple[float, float, float, float], width: int, height: int, params: Redact) -> Area | None:
    """A box in pixels of the sample, with its margin, on the grid, inside the picture; None where it lies beside it."""
    left, upper, right, lower = box
    x, y = (right - left) * params.margin / 100, (lower - upper) * params.margin / 100
    left, upper, right, lower = left - x, upper - y, right + x, lower + y
    if right <= 0 or lower <= 0 or left >= width or upper >= height:
        return None
    return (
        max(0, floor(left / GRID) * GRID),
        max(0, floor(upper / GRID) * GRID),
        min(width, max(ceil(right / GRID), floor(left / GRID) + 1) * GRID),  # also of a box without width…
        min(height, max(ceil(lower / GRID), floor(upper / GRID) + 1) * GRID),  # …or height
    )


def cover(pixels: Pixels, covered: Mask, original: Pixels, area: Area, params: Redact) -> None:
    """Write what covers an area into ``pixels``, and where into ``covered``."""
    height, width, channels = pixels.shape
    left, upper, right, lower = around = _around(area, width, height) if params.shape == "ellipse" else area
    seen = original[upper:lower, left:right]
    if params.by == "fill":
        over = np.full(seen.shape, LEVELS[params.colour], np.uint8)
    else:
        over = mosaic(seen, params.cells)
        if params.by == "blur":
            over = _smooth(over, params.cells)
    over[:, :, channels - has_alpha(pixels) :] = OPAQUE  # PNG and WebP keep colour under what is transparent
    if params.shape == "ellipse":
        inside = _ellipse(area, around)
        np.copyto(pixels[upper:lower, left:right], over, where=inside[:, :, np.newaxis])
        covered[upper:lower, left:right] |= inside
    else:  # a mask that is all of it takes many times as long
        pixels[upper:lower, left:right] = over
        covered[upper:lower, left:right] = True


def _around(area: Area, width: int, height: int) -> Area:
    """What the ellipse through the corners of an area takes of the picture."""
    left, upper, right, lower = area
    x, y = (right - left) * (sqrt(2) - 1) / 2, (lower - upper) * (sqrt(2) - 1) / 2
    return (
        max(0, floor(left - x)),
        max(0, floor(upper - y)),
        min(width, ceil(right + x)),
        min(height, ceil(lower + y)),
    )


def _ellipse(area: Area, around: Area) -> Mask:
    """The pixels of the ellipse, and all of the area."""
    left, upper, right, lower = area
    middle_x, middle_y = (left + right) / 2, (upper + lower) / 2
    across, down = (right - left) / sqrt(2), (lower - upper) / sqrt(2)  # half axes
    y, x = np.mgrid[around[1] : around[3], around[0] : around[2]]
    inside: Mask = ((x + 0.5 - middle_x) / across) ** 2 + ((y + 0.5 - middle_y) / down) ** 2 <= 1
    inside[upper - around[1] : lower - around[1], left - around[0] : right - around[0]] = True
    return inside


def mosaic(pixels: Pixels, cells: int) -> Pixels:
    """Means of cells, this many along the longer side, rounded half up: (2 sum + n) // 2n."""
    side = -(-max(pixels.shape[:2]) // cells)
    made = np.empty_like(pixels)
    for y in range(0, pixels.shape[0], side):
        for x in range(0, pixels.shape[1], side):
            cell = pixels[y : y + side, x : x + side]
            n = cell.shape[0] * cell.shape[1]
            made[y : y + side, x : x + side] = (2 * cell.sum(axis=(0, 1), dtype=np.int64) + n) // (2 * n)
    return made


def _smooth(pixels: Pixels, cells: int) -> Pixels:
    """A Gaussian of half a cell. OpenCV counts it in whole numbers, and drops the axis of a single channel."""
    half = max(pixels.shape[:2]) / cells / 2
    parts = [np.ascontiguousarray(pixels[:, :, channel]) for channel in range(pixels.shape[2])]
    smooth = [cv2.GaussianBlur(part, (0, 0), half, borderType=cv2.BORDER_REPLICATE) for part in parts]
    return np.dstack([np.asarray(part, np.uint8) for part in smooth])
