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

from imgflow_steps.pixels.geometry import place

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Extent, Pixels
    from imgflow_steps.contract.step import Target

KINDS = (PixelType.U8, PixelType.U8x2, PixelType.U8x3, PixelType.U8x4)  # by number of channels, from 1

Part = tuple[float, float, float, float]  # left, upper, width, height, in pixels
Filter = Literal["lanczos3", "bilinear", "box"]


def into(pixels: Pixels, target: Target, *, enlarge: bool = False, extent: Extent | None = None) -> Pixels:
    """uint8 (h, w, c) brought into a box by ``geometry.place``, with LANCZOS; what needs no resampling is only cut.

    ``extent`` is the part of ``pixels`` that is picture, as in ``Sample``.
    """
    (width, height), (x, y, across, down) = placed(pixels, target, enlarge=enlarge, extent=extent)
    if (width, height) == (across, down):
        x, y = int(x), int(y)
        return np.ascontiguousarray(pixels[y : y + height, x : x + width])
    return resize(pixels, width, height, (x, y, across, down))


def placed(
    pixels: Pixels, target: Target, *, enlarge: bool = False, extent: Extent | None = None
) -> tuple[tuple[int, int], Part]:
    """How large ``into`` makes what part of the pixels."""
    height, width, _ = pixels.shape
    left, upper, right, lower = extent or (0, 0, width, height)
    placement = place(right - left, lower - upper, target, enlarge=enlarge)
    x, y, across, down = placement.box[0] + left, placement.box[1] + upper, placement.across, placement.down
    if (placement.width, placement.height) == (across, down):
        x, y = int(x), int(y)
    return (placement.width, placement.height), (x, y, across, down)


def resize(
    pixels: Pixels,
    width: int,
    height: int,
    part: Part | None = None,
    by: Filter = "lanczos3",
) -> Pixels:
    """uint8 (h, w, 1 to 4) to (``height``, ``width``, channels), colour weighted by alpha.

    ``part`` is left, upper, width and height of what is resized, in pixels; None is all of it.
    Raises MemoryError before it begins.
    """
    rows, columns, channels = pixels.shape
    kind = KINDS[channels - 1]
    _ask_for_memory(rows, columns, channels, width, height)
    source, result = ImageData(columns, rows, kind, pixels.tobytes()), ImageData(width, height, kind)
    box = CropBox(*(part or (0, 0, columns, rows)))
    options = ResizeOptions(resize_alg=ResizeAlg.convolution(getattr(FilterType, by)), crop_box=box)
    _resizer().resize(source, result, options)
    return np.frombuffer(result.get_buffer(), np.uint8).reshape(height, width, channels)


def _ask_for_memory(rows: int, columns: int, channels: int, width: int, height: int) -> None:
    """Raise MemoryError where the resizer, which is compiled, would end the process for want of memory."""
    between = max(width * rows, columns * height) + width * height
    np.empty((2 * rows * columns + between) * channels, np.uint8)  # a copy to hand over, and one weighted by alpha


@cache
def _resizer() -> Resizer:
    return Resizer()  # one for a process: it keeps its buffers
