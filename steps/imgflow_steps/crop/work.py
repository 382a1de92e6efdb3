"""The work of crop: a part of the pixels, untouched."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels import places

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Apply, Sample
    from imgflow_steps.crop import Crop


def build(params: Crop) -> Apply:
    """A function that keeps a part of one sample.

    A box that sticks out is cut at the image's edge; an image that has nothing of it is Rejected as ``outside``.
    """

    def apply(sample: Sample) -> tuple[Sample]:
        height, width, _ = sample.pixels.shape
        left, top, right, bottom = box(width, height, params)
        if left >= right or top >= bottom:
            raise Rejected("outside", f"{width} x {height} pixels have none at {params.left or 0}, {params.top or 0}")
        at = places.then((1, 0, left, 0, 1, top), sample.at)
        return (replace(sample, pixels=np.ascontiguousarray(sample.pixels[top:bottom, left:right]), at=at),)

    return apply


def box(width: int, height: int, params: Crop) -> tuple[int, int, int, int]:
    """Left, upper, right and lower edge of what is kept, in pixels."""
    across, down = params.width or width, params.height or height
    if not (params.width or params.height):
        wide, high = map(int, params.aspect.split(":"))
        across, down = max(1, min(width, height * wide // high)), max(1, min(height, width * high // wide))
    left = (width - min(across, width)) // 2 if params.left is None else params.left
    top = (height - min(down, height)) // 2 if params.top is None else params.top
    return left, top, min(left + across, width), min(top + down, height)
