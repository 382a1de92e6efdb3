"""What a picture looks like, in 128 bits that stay nearly the same when it is resized or encoded again.

It is the difference hash of Neal Krawetz ("Kind of Like That", hackerfactor.com, 2013), along rows and along columns as
in Ben Hoyt's "Duplicate image detection with perceptual hashing in Python" (2017): the picture is averaged down to
9 x 9 fields of luma, and a bit each says whether a field is lighter than the one left of it (in 8 rows of 8), and
whether it is lighter than the one above it (likewise).

What lies in stores was made by this formula: another one needs a field of another name in ``Row``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.pixels import resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.contract.sample import Extent, Pixels

SIDE = 8  # bits along a row and along a column
READ = 192  # rows at least that stand for all of a taller picture: a bit of difference, at a small part of the cost
BLANK = 2  # steps of 255 from the darkest field to the lightest, at most: nothing but noise would decide
LUMA = np.array([299, 587, 114])  # ITU-R BT.601, in thousandths: whole numbers, which no processor rounds otherwise


def dhash(pixels: Pixels, extent: Extent | None = None) -> str:
    """32 hex digits for uint8 (h, w, 1 to 4), of which ``extent`` is picture as in ``Sample``; "" when it is blank.

    A picture that was decoded at a fraction of its size, or as luma only, has the same ones but for a few bits.
    """
    height, width, _ = pixels.shape
    left, upper, right, lower = extent or (0, 0, width, height)
    every = max(1, height // READ)
    rows = pixels[every // 2 :: every]
    top, bottom = upper / every, min(lower / every, len(rows))
    part = (left, top, right - left, bottom - top)
    fields = _luma(resize.resize(rows, SIDE + 1, SIDE + 1, part, "box"))
    if fields.max() - fields.min() <= BLANK:
        return ""
    lighter = [fields[:SIDE, 1:] > fields[:SIDE, :-1], fields[1:, :SIDE] > fields[:-1, :SIDE]]
    return np.packbits(lighter).tobytes().hex()


def _luma(pixels: Pixels) -> NDArray[np.int_]:
    """Of pixels over white, in steps of 255."""
    channels = pixels.shape[2]
    whole = pixels.astype(np.int_)
    luma = (whole[:, :, :3] @ LUMA + 500) // 1000 if channels >= len(LUMA) else whole[:, :, 0]
    if channels % 2:
        return luma
    alpha = whole[:, :, -1]
    return (luma * alpha + 255 * (255 - alpha) + 127) // 255
