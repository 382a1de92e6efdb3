"""Pixels as steps see them, and the Pillow image over the same memory. No file formats here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

MODES = ("L", "LA", "RGB", "RGBA")  # by number of channels, from 1
STRIP = 65_536  # pixels that are copied at once: read piece by piece from the cache, colour takes half the time


def to_image(pixels: Pixels) -> Image.Image:
    """A Pillow image of uint8 (h, w, 1 to 4); L shares the memory, the others are copied."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def to_pixels(image: Image.Image) -> Pixels:
    """C-contiguous uint8 (h, w, channels) of an image in L, LA, RGB or RGBA."""
    width, height, channels = image.width, image.height, len(image.getbands())
    pixels = np.empty((height, width, channels), np.uint8)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = pixels[top : top + rows]
        strip[:] = np.asarray(image.crop((0, top, width, top + len(strip)))).reshape(strip.shape)
    return pixels


def to_luma(image: Image.Image) -> Image.Image:
    """RGB to L and RGBA to LA by ITU-R BT.601; L and LA as they are. The one rule for luma in this house."""
    return image.convert({"RGB": "L", "RGBA": "LA"}.get(image.mode, image.mode))
