"""TIFF and BigTIFF: what the file says of its samples decides who reads it, and what is told of those not read.

Pillow, and under it libtiff, gets the layouts that it reads rightly, as a file in which nothing is left but the
picture: so neither a damaged profile nor a 64-bit header costs one. All others are put together here.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, _imaging

from imgflow_steps.codec import metadata
from imgflow_steps.codec.tiff import chunks, planes, tags
from imgflow_steps.codec.tiff import layout as kinds
from imgflow_steps.codec.tiff.layout import Layout
from imgflow_steps.codec.tiff.tags import XMP
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imgflow_steps.codec.tiff.tags import Value

__all__ = ["XMP", "Layout", "layout_of", "load"]

# What Pillow reads rightly, given that it is compressed and samples lie together: colour, bits, samples, ExtraSamples.
PILLOW = {
    *((grey, bits, 1, ()) for grey in (kinds.WHITE_IS_ZERO, kinds.BLACK_IS_ZERO) for bits in (1, 2, 4, 8)),
    *((kinds.PALETTE, bits, 1, ()) for bits in (1, 2, 4, 8)),
    (kinds.BLACK_IS_ZERO, 16, 1, ()),
    *((kinds.RGB, bits, 3, ()) for bits in (8, 16)),
    *((kinds.RGB, bits, 4, extra) for bits in (8, 16) for extra in ((), (0,), (1,), (2,))),
    *((kinds.CMYK, bits, 4, ()) for bits in (8, 16)),
    (kinds.LAB, 8, 3, ()),
}
COPIED = (  # tags that tell a decoder how to unpack
    tags.PREDICTOR, tags.YCBCR_COEFFICIENTS, tags.YCBCR_SUBSAMPLING,
    tags.REFERENCE_BLACK_WHITE, *tags.OLD_JPEG,
)  # fmt: skip

# libtiff would write what it finds wrong to stderr, where nobody could tell of which image: we say so ourselves.
with suppress(AttributeError, OSError):  # a Pillow that was built otherwise keeps it to itself
    ctypes.CDLL(_imaging.__file__).TIFFSetErrorHandler(None)


def layout_of(data: bytes) -> Layout:
    """How the first picture of a file lies in it. Raises Rejected: truncated, undecodable, unsupported-mode."""
    return kinds.read(tags.read(data))


def load(data: bytes, layout: Layout) -> tuple[Image.Image, int]:
    """The picture as stored, with its profile in ``info``, and the orientation in which to show it.

    Raises Rejected: truncated, undecodable, unsupported-mode.
    """
    kinds.check_size(layout)  # not before the picture's own size was looked at: that is what a limit is about
    image = _through_pillow(data, layout) if _is_pillows(layout) else planes.image(data, layout)
    profile = layout.directory.blob(tags.ICC)
    if profile:
        image.info["icc_profile"] = profile
    return image, orientation(layout)


def orientation(layout: Layout) -> int:
    """As the file's own tag says, else as its XMP says."""
    try:
        turn = layout.directory.first(tags.ORIENTATION, 0)
    except Rejected:  # what is wrong with it costs the turn, not the picture
        turn = 0
    found = metadata.TURN.search(layout.directory.blob(tags.XMP)) if turn == 0 else None
    return int(found[1]) if found else turn or 1


def _is_pillows(layout: Layout) -> bool:
    if layout.compression in kinds.PILLOW_ALONE:
        return True
    here = (layout.photometric, layout.bits, layout.samples, layout.extra)
    ours = layout.compression in {kinds.NONE, *kinds.PICTURES, *kinds.FAX} or layout.planar or layout.backwards
    return here in PILLOW and not ours and not layout.sparse.any()


def _through_pillow(data: bytes, layout: Layout) -> Image.Image:
    if layout.compression == kinds.OLD_JPEG and chunks.is_cut(data, layout):
        raise chunks.cut(data, layout)  # its decoder would paint what is missing
    try:
        with Image.open(BytesIO(_picture_alone(data, layout)), formats=["TIFF"]) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError) as error:
        if chunks.is_cut(data, layout):
            raise chunks.cut(data, layout) from error
        raise Rejected("undecodable", f"the strips or tiles of this {layout.kind} are damaged") from error


def _picture_alone(data: bytes, layout: Layout) -> bytes:
    """The file with another directory at its end, in which only what describes the pixels is left."""
    order = layout.directory.order
    where = (tags.TILE_OFFSETS, tags.TILE_BYTES) if layout.tiled else (tags.STRIP_OFFSETS, tags.STRIP_BYTES)
    numbers: dict[int, list[int] | NDArray[np.int64]] = {
        tags.WIDTH: [layout.width],
        tags.HEIGHT: [layout.height],
        tags.BITS: [layout.bits] * layout.samples,
        tags.COMPRESSION: [layout.compression],
        tags.PHOTOMETRIC: [layout.photometric],
        tags.FILL_ORDER: [2 if layout.backwards else 1],
        tags.SAMPLES: [layout.samples],
        tags.EXTRA_SAMPLES: list(layout.extra),
        where[0]: layout.offsets,
        where[1]: np.clip(len(data) - layout.offsets, 0, layout.lengths),  # what is put behind the data is not theirs
    }
    if layout.tiled:
        numbers |= {tags.TILE_WIDTH: [layout.chunk_width], tags.TILE_HEIGHT: [layout.chunk_height]}
    else:
        numbers[tags.ROWS_PER_STRIP] = [layout.chunk_height]
    if layout.photometric == kinds.PALETTE:
        numbers[tags.COLOR_MAP] = layout.color_map.reshape(-1)
    values: dict[int, Value] = {tag: tags.whole(order, found) for tag, found in numbers.items() if len(found)}
    values |= {tag: layout.directory.values[tag] for tag in COPIED if tag in layout.directory.values}
    at = len(data) + len(data) % 2
    end = tags.written(order, values, at)
    return b"".join([tags.header(order, at), memoryview(data)[chunks.HEADER :], b"\0" * (len(data) % 2), end])
