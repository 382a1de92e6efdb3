"""Pixels as steps see them, and the Pillow image over the same memory. No file formats here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from imgflow_steps.contract import Pixels

MODES = ("L", "LA", "RGB", "RGBA")  # by number of channels, from 1


def to_image(pixels: Pixels) -> Image.Image:
    """A Pillow image of uint8 (h, w, 1 to 4); L shares the memory, the others are copied."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def to_pixels(image: Image.Image) -> Pixels:
    """C-contiguous uint8 (h, w, channels) of an image in L, LA, RGB or RGBA."""
    pixels = np.asarray(image)
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels  # noqa: PLR2004 - height and width


def to_luma(image: Image.Image) -> Image.Image:
    """RGB to L and RGBA to LA by ITU-R BT.601; L and LA as they are. The one rule for luma in this house."""
    return image.convert({"RGB": "L", "RGBA": "LA"}.get(image.mode, image.mode))
