"""The work of scale: one good resize."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imgflow_steps import scale
from imgflow_steps.geometry import GAP, place
from imgflow_steps.pixels import to_image, to_pixels

if TYPE_CHECKING:
    from imgflow_steps.contract import Apply, Pixels, Sample, Target


def build(params: scale.Scale) -> Apply:
    """A function that brings one sample into the box; what it is a piece of and what was found stay with it."""
    target = scale.target(params)

    def apply(sample: Sample) -> tuple[Sample]:
        return (replace(sample, pixels=resize(sample.pixels, target, enlarge=params.enlarge)),)

    return apply


def resize(pixels: Pixels, target: Target, *, enlarge: bool = False) -> Pixels:
    """uint8 (h, w, c) brought into the box; LANCZOS, colour weighted by alpha."""
    height, width, _ = pixels.shape
    placement = place(width, height, target, enlarge=enlarge)
    size, box = (placement.width, placement.height), placement.box
    if placement.reduction == 1 and size == (box[2] - box[0], box[3] - box[1]):
        left, upper, right, lower = (int(side) for side in box)
        return np.ascontiguousarray(pixels[upper:lower, left:right])
    return to_pixels(to_image(pixels).resize(size, Image.Resampling.LANCZOS, box, reducing_gap=GAP))
