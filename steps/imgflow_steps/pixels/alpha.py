"""Colour weighted by alpha, for steps that mix neighbouring pixels: what is transparent then has no colour to give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imgflow_steps.pixels.arrays import MODES, to_image, to_pixels

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

WEIGHTED = {"LA": "La", "RGBA": "RGBa"}


def has_alpha(pixels: Pixels) -> bool:
    """Whether the last channel is alpha."""
    return pixels.shape[2] in {2, 4}


def weighted(pixels: Pixels) -> Pixels:
    """LA or RGBA with colour multiplied by alpha; L and RGB as they are."""
    if not has_alpha(pixels):
        return pixels
    return to_pixels(to_image(pixels).convert(WEIGHTED[MODES[pixels.shape[2] - 1]]))


def unweighted(pixels: Pixels) -> Pixels:
    """The reverse of ``weighted``; colour that alpha forbids is clipped to what it allows."""
    if not has_alpha(pixels):
        return pixels
    height, width, channels = pixels.shape
    mode = MODES[channels - 1]
    image = Image.frombuffer(WEIGHTED[mode], (width, height), np.ascontiguousarray(pixels), "raw", WEIGHTED[mode], 0, 1)
    return to_pixels(image.convert(mode))
