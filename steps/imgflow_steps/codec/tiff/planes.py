"""A TIFF put together from its strips, tiles and planes, in the layouts that Pillow reads wrongly or not at all."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imgflow_steps.codec.tiff import chunks, ycbcr
from imgflow_steps.codec.tiff import layout as kinds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.codec.tiff.chunks import Samples
    from imgflow_steps.codec.tiff.layout import Layout

MODES = {  # opaque, with alpha, premultiplied
    kinds.WHITE_IS_ZERO: ("L", "LA", "La"),
    kinds.BLACK_IS_ZERO: ("L", "LA", "La"),
    kinds.RGB: ("RGB", "RGBA", "RGBa"),
    kinds.PALETTE: ("RGB", "RGBA", "RGBa"),
    kinds.YCBCR: ("RGB", "RGBA", "RGBa"),
    kinds.CMYK: ("CMYK", "CMYK", "CMYK"),
    kinds.LAB: ("LAB", "LAB", "LAB"),
}


def image(data: bytes, layout: Layout) -> Image.Image:
    """The picture as stored, not yet upright. A strip or tile that was left out holds zeros.

    Alpha of inks and of L*a*b*, for which Pillow has no mode, is an image of its own in its ``info``.

    Raises Rejected: truncated, undecodable.
    """
    opaque, straight, premultiplied = MODES[layout.photometric]
    mode = opaque if layout.alpha is None else premultiplied if layout.premultiplied else straight
    beside = layout.alpha is not None and straight == opaque
    channels = Image.getmodebands(mode)
    pixels = np.empty((layout.height, layout.width, channels + beside), np.uint8)
    wanted = {sample: slice(sample, sample + 1) for sample in range(layout.colours)}
    if layout.photometric == kinds.PALETTE:
        wanted = {0: slice(0, 3)}
    if layout.alpha is not None:
        wanted[layout.alpha] = slice(pixels.shape[2] - 1, pixels.shape[2])
    for index in range(layout.in_plane * layout.planes):
        _paint(pixels, wanted, data, layout, index)
    if layout.photometric == kinds.YCBCR and layout.compression not in kinds.PICTURES:
        if mode == "RGB" and ycbcr.is_usual(layout):
            mode = "YCbCr"
        else:
            ycbcr.to_rgb(pixels, layout)
    if beside and layout.premultiplied:
        _divide(pixels, signed=layout.photometric == kinds.LAB)
    made = Image.frombytes(mode, (layout.width, layout.height), pixels[:, :, :channels].tobytes(), "raw", mode)
    if beside:
        made.info["alpha"] = Image.fromarray(np.ascontiguousarray(pixels[:, :, channels]))
    return made


def _divide(pixels: NDArray[np.uint8], *, signed: bool) -> None:
    """Colours by the alpha behind them, in place; ``signed`` are the second and the third, as of L*a*b*."""
    for row in pixels:
        values = row[:, :-1].astype(np.int32)
        least, most = np.array([0]), np.array([255])
        if signed:
            values[:, 1:] = np.ascontiguousarray(row[:, 1:-1]).view(np.int8)
            least, most = np.array([0, -128, -128]), np.array([255, 127, 127])
        divided = np.rint(values * (255 / np.maximum(row[:, -1:], 1)))
        row[:, :-1] = np.clip(divided, least, most).astype(np.int16).astype(np.uint8)


def _paint(pixels: NDArray[np.uint8], wanted: dict[int, slice], data: bytes, layout: Layout, index: int) -> None:
    """One chunk into its place, each wanted sample into its channels."""
    plane, place = divmod(index, layout.in_plane)
    here = [plane] if layout.planar else range(layout.samples)
    taken = [(at, sample) for at, sample in enumerate(here) if sample in wanted]
    y, x = place // layout.across * layout.chunk_height, place % layout.across * layout.chunk_width
    into = pixels[y : y + layout.chunk_height, x : x + layout.chunk_width]
    if layout.sparse[index]:
        for _, sample in taken:
            into[:, :, wanted[sample]] = _seen(np.zeros((1, 1), np.uint8), layout, sample)
    elif taken:
        for top, samples in chunks.rows_of(data, layout, index):
            part = into[top : top + len(samples)]
            for at, sample in taken:
                seen = samples[: part.shape[0], : part.shape[1], at]
                part[:, :, wanted[sample]] = _seen(seen, layout, sample)


def _seen(samples: Samples, layout: Layout, sample: int) -> NDArray[np.uint8]:
    """(rows, width) of one sample as (rows, width, channels) of 8 bits, in which 0 is black."""
    if layout.photometric == kinds.PALETTE and sample == 0:
        return (layout.color_map >> 8).astype(np.uint8).T[samples]
    inverted = layout.photometric == kinds.WHITE_IS_ZERO and sample == 0
    if layout.bits == 8 and not inverted:  # noqa: PLR2004 - bits of a sample
        return samples[:, :, np.newaxis].astype(np.uint8, copy=False)
    return _levels(layout.bits, inverted=inverted, grey=layout.photometric in kinds.GREY)[samples][:, :, np.newaxis]


@cache
def _levels(bits: int, *, inverted: bool, grey: bool) -> NDArray[np.uint8]:
    """A sample of `bits` in 8 bits. Of 16-bit colour the high byte is kept, as by Pillow: so layouts do not differ."""
    white = (1 << bits) - 1
    values = np.arange(white + 1, dtype=np.uint32)
    levels = values >> 8 if bits == 16 and not grey else (values * 255 + white // 2) // white  # noqa: PLR2004 - bits
    return (255 - levels if inverted else levels).astype(np.uint8)
