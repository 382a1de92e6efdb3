"""A stored picture as it is to be seen, by the orientation that EXIF gives it: 2 to 8; 1 is upright."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imgflow_steps.pixels.arrays import to_image, to_pixels

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

SIDES = {  # of the stored picture, those that come left, up, right and down
    2: (2, 1, 0, 3),
    3: (2, 3, 0, 1),
    4: (0, 3, 2, 1),
    5: (1, 0, 3, 2),
    6: (3, 0, 1, 2),
    7: (3, 2, 1, 0),
    8: (1, 2, 3, 0),
}
SWAPS_SIDES = frozenset({5, 6, 7, 8})
FLIPS = {  # down and across, once sides are swapped
    2: (1, -1),
    3: (-1, -1),
    4: (-1, 1),
    5: (1, 1),
    6: (1, -1),
    7: (-1, -1),
    8: (-1, 1),
}
TRANSPOSE = {  # the same for Pillow
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SMALL = 1 << 20  # samples up to which numpy turns a picture in half the time that Pillow takes; beyond it is slower


def turned(pixels: Pixels, turn: int) -> Pixels:
    """uint8 (h, w, channels) turned upright from an orientation of ``SIDES``."""
    if pixels.size > SMALL:
        return to_pixels(to_image(pixels).transpose(TRANSPOSE[turn]))
    channels = pixels.shape[2]
    one = np.dtype(np.uint8) if channels == 1 else np.dtype(f"V{channels}")  # a pixel is moved as a whole
    whole = np.ascontiguousarray(pixels).view(one)[:, :, 0]
    down, across = FLIPS[turn]
    upright = np.ascontiguousarray((whole.T if turn in SWAPS_SIDES else whole)[::down, ::across])
    return upright.view(np.uint8).reshape(*upright.shape, channels)
