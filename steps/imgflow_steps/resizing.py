"""The one resizer of this house, over pixels as steps see them.

cykooz-resizer binds fast_image_resize: the convolution that Pillow computes too, to within a few steps of 255 at single
pixels, in a quarter of the time, and to the same bytes whichever instructions a processor has. `bench/README.md` says
beside what it was chosen.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from cykooz_resizer import CropBox, FilterType, ImageData, PixelType, ResizeAlg, ResizeOptions, Resizer

from imgflow_steps.geometry import place

if TYPE_CHECKING:
    from imgflow_steps.contract import Extent, Pixels, Target

KINDS = (PixelType.U8, PixelType.U8x2, PixelType.U8x3, PixelType.U8x4)  # by number of channels, from 1

Filter = Literal["lanczos3", "bilinear", "box"]


def into(pixels: Pixels, target: Target, *, enlarge: bool = False, extent: Extent | None = None) -> Pixels:
    """uint8 (h, w, c) brought into a box by ``geometry.place``, with LANCZOS; what needs no resampling is only cut.

    ``extent`` is the part of ``pixels`` that is picture, as in ``Sample``.
    """
    height, width, _ = pixels.shape
    left, upper, right, lower = extent or (0, 0, width, height)
    placement = place(right - left, lower - upper, target, enlarge=enlarge)
    x, y, across, down = placement.box[0] + left, placement.box[1] + upper, placement.across, placement.down
    if (placement.width, placement.height) == (across, down):
        x, y = int(x), int(y)
        return np.ascontiguousarray(pixels[y : y + placement.height, x : x + placement.width])
    return resize(pixels, placement.width, placement.height, (x, y, across, down))


def resize(
    pixels: Pixels,
    width: int,
    height: int,
    part: tuple[float, float, float, float] | None = None,
    by: Filter = "lanczos3",
) -> Pixels:
    """uint8 (h, w, 1 to 4) to (``height``, ``width``, channels), colour weighted by alpha.

    ``part`` is left, upper, width and height of what is resized, in pixels; None is all of it.
    """
    rows, columns, channels = pixels.shape
    kind = KINDS[channels - 1]
    source, result = ImageData(columns, rows, kind, pixels.tobytes()), ImageData(width, height, kind)
    box = CropBox(*(part or (0, 0, columns, rows)))
    options = ResizeOptions(resize_alg=ResizeAlg.convolution(getattr(FilterType, by)), crop_box=box)
    _resizer().resize(source, result, options)
    return np.frombuffer(result.get_buffer(), np.uint8).reshape(height, width, channels)


@cache
def _resizer() -> Resizer:
    return Resizer()  # one for a process: it keeps its buffers
