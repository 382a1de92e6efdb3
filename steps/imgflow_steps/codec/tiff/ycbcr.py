"""Luma and chroma that no JPEG decoder puts together: TIFF 6.0, section 21."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.codec.tiff import tags

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.codec.tiff.layout import Layout

BT_601 = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)  # of Y, Cb and Cr, where JPEG has them
SLAB = 1 << 18  # pixels that are converted at once


def upsampled(packed: NDArray[np.uint8], layout: Layout) -> NDArray[np.uint8]:
    """(rows of units, bytes) as (rows, width, 3): a unit is some lumas, row by row, then the Cb and Cr they share."""
    across, down = layout.subsampling
    units = packed.reshape(len(packed), -1, across * down + 2)
    lumas = units[:, :, :-2].reshape(*units.shape[:2], down, across).swapaxes(1, 2)
    luma = lumas.reshape(len(units) * down, -1)
    chroma = units[:, :, -2:].repeat(down, axis=0).repeat(across, axis=1)
    return np.dstack([luma, chroma])[:, : layout.chunk_width]


def is_usual(layout: Layout) -> bool:
    """Whether Pillow's own YCbCr, which is JPEG's, is meant."""
    coefficients = layout.directory.fractions(tags.YCBCR_COEFFICIENTS, BT_601)
    reference = layout.directory.fractions(tags.REFERENCE_BLACK_WHITE, FULL_RANGE)
    return bool(np.allclose(coefficients, BT_601, atol=1e-3)) and reference == FULL_RANGE


def to_rgb(pixels: NDArray[np.uint8], layout: Layout) -> None:
    """The first three channels of (height, width, channels), in place, by the coefficients and range of the file."""
    red, green, blue = layout.directory.fractions(tags.YCBCR_COEFFICIENTS, BT_601)
    zero_y, one_y, zero_b, one_b, zero_r, one_r = layout.directory.fractions(tags.REFERENCE_BLACK_WHITE, FULL_RANGE)
    if green == 0 or one_y == zero_y or one_b == zero_b or one_r == zero_r:
        red, green, blue = BT_601
        zero_y, one_y, zero_b, one_b, zero_r, one_r = FULL_RANGE
    step = max(1, SLAB // layout.width)
    for top in range(0, layout.height, step):
        part = pixels[top : top + step]
        y, cb, cr = np.moveaxis(part[:, :, :3].astype(np.float32), 2, 0)
        y = (y - zero_y) * (255 / (one_y - zero_y))
        cb = (cb - zero_b) * (127 / (one_b - zero_b)) * (2 - 2 * blue)
        cr = (cr - zero_r) * (127 / (one_r - zero_r)) * (2 - 2 * red)
        planes = (y + cr, y - (blue * cb + red * cr) / green, y + cb)
        for channel, plane in enumerate(planes):
            part[:, :, channel] = np.clip(np.rint(plane), 0, 255)
