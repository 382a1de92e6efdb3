"""Strips and tiles of a TIFF as samples: unpacked by libtiff, JPEG and WebP by their own decoders, bits by numpy."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from imgflow_steps.codec import jpeg, jpeg_segments
from imgflow_steps.codec.tiff import layout as kinds
from imgflow_steps.codec.tiff import tags, ycbcr
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.codec.tiff.layout import Layout

Samples = NDArray[np.unsignedinteger[Any]]

SLAB = 1 << 20  # samples that are unpacked at once: their bits would take sixteen times as much as they do
REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8)[:, ::-1]).tobytes()
SOI, EOI = b"\xff\xd8", b"\xff\xd9"
HEADER = 8


def rows_of(data: bytes, layout: Layout, index: int) -> Iterator[tuple[int, Samples]]:
    """The samples of a chunk, some rows at a time: how many rows stand above, and (rows, width, together).

    Raises Rejected: truncated, undecodable.
    """
    if layout.compression in kinds.PICTURES:
        yield 0, _picture(data, layout, index)
        return
    width, rows = shape(layout, index)
    packed = np.frombuffer(_unpacked(data, layout, index), np.uint8).reshape(rows, width)
    step = max(1, SLAB // (layout.chunk_width * layout.together))
    for top in range(0, rows, step):
        samples = _samples(packed[top : top + step], layout)
        yield top * layout.subsampling[1], _differences_added(samples, layout)


def shape(layout: Layout, index: int) -> tuple[int, int]:
    """Bytes in a row of an unpacked chunk, and its rows, or its rows of units where chroma is subsampled."""
    across, down = layout.subsampling
    rows = layout.rows(index)
    if layout.subsampling != (1, 1):
        return -(-layout.chunk_width // across) * (across * down + 2), -(-rows // down)
    return -(-layout.chunk_width * layout.together * layout.bits // 8), rows


def _unpacked(data: bytes, layout: Layout, index: int) -> bytes:
    width, rows = shape(layout, index)
    if layout.compression == kinds.NONE:
        start, needed = int(layout.offsets[index]), width * rows
        found = data[start : start + needed]
        if len(found) < needed:
            raise cut(data, layout)
        return found.translate(REVERSED) if layout.backwards else found
    stored = _stored(data, layout, index)
    try:
        if layout.compression not in kinds.FAX:
            return _through_libtiff(stored, layout, width, rows)
        # libtiff paints what a fax lacks. One that is all there does not depend on what stands behind it.
        found, other = (_through_libtiff(stored + guess, layout, width, rows) for guess in jpeg.GUESSES)
        if found == other:
            return found
        raise Rejected("truncated", f"a part of strip or tile {index + 1} of this {layout.kind} is missing")
    except (OSError, SyntaxError, ValueError) as error:
        if _is_cut(data, layout, index):
            raise cut(data, layout) from error
        raise Rejected("undecodable", f"strip or tile {index + 1} of this {layout.kind} is damaged") from error


def is_cut(data: bytes, layout: Layout) -> bool:
    """Whether the file ends before the last of its strips and tiles does."""
    needed = min(layout.in_plane * layout.planes, len(layout.offsets), len(layout.lengths))
    return any(_is_cut(data, layout, index) for index in range(needed) if not layout.sparse[index])


def _is_cut(data: bytes, layout: Layout, index: int) -> bool:
    width, rows = shape(layout, index)
    length = width * rows if layout.compression == kinds.NONE else int(layout.lengths[index])
    return int(layout.offsets[index]) + length > len(data)


def cut(data: bytes, layout: Layout) -> Rejected:
    """What is said of a file that ends early."""
    return Rejected("truncated", f"this {layout.kind} ends before its picture does ({len(data)} bytes)")


def _stored(data: bytes, layout: Layout, index: int) -> bytes:
    start = int(layout.offsets[index])
    return data[start : start + int(layout.lengths[index])]


def _through_libtiff(stored: bytes, layout: Layout, width: int, rows: int) -> bytes:
    """One chunk as a TIFF of its own, grey with as many pixels as bytes, so that no sample is looked at."""
    fax = layout.compression in kinds.FAX
    numbers = {
        tags.WIDTH: layout.chunk_width if fax else width,
        tags.HEIGHT: rows,
        tags.BITS: 1 if fax else 8,
        tags.COMPRESSION: layout.compression,
        tags.PHOTOMETRIC: kinds.BLACK_IS_ZERO,
        tags.FILL_ORDER: 2 if layout.backwards else 1,
        tags.STRIP_OFFSETS: HEADER,
        tags.SAMPLES: 1,
        tags.ROWS_PER_STRIP: rows,
        tags.STRIP_BYTES: len(stored),
    }
    numbers |= {tag: layout.directory.first(tag, 0) for tag in (tags.T4_OPTIONS, tags.T6_OPTIONS) if fax}
    at = HEADER + len(stored) + len(stored) % 2
    values = {tag: tags.whole("<", [number]) for tag, number in numbers.items()}
    file = tags.header("<", at) + stored + b"\0" * (len(stored) % 2) + tags.written("<", values, at)
    with _any_size(), Image.open(BytesIO(file), formats=["TIFF"]) as image:
        return image.tobytes()


@contextmanager
def _any_size() -> Iterator[None]:
    """The picture's size was looked at before; its bytes may be more than the limit on pixels."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _picture(data: bytes, layout: Layout, index: int) -> Samples:
    """A JPEG or a WebP that is a strip or tile: (rows, width, together), YCbCr as RGB."""
    name = "WebP" if layout.compression == kinds.WEBP else "JPEG"
    stored, read = _stored(data, layout, index), _webp if layout.compression == kinds.WEBP else _jpeg
    try:
        samples = read(stored, layout)
    except (Rejected, OSError, SyntaxError, ValueError) as error:
        if _is_cut(data, layout, index) or tags.JPEG_TABLES in layout.directory.missing:
            raise cut(data, layout) from error
        where = f"in strip or tile {index + 1} of this {layout.kind}"
        if isinstance(error, Rejected):
            raise Rejected(error.code, f"{where}, {error}") from error
        raise Rejected("undecodable", f"the {name} {where} is damaged") from error
    rows = min(layout.rows(index), layout.height)
    if samples.shape[0] < rows or samples.shape[1] < layout.chunk_width or samples.shape[2] != layout.together:
        raise Rejected("undecodable", f"the {name} in strip or tile {index + 1} of this {layout.kind} has another size")
    return samples[: layout.rows(index), : layout.chunk_width]


def _webp(stored: bytes, layout: Layout) -> Samples:
    with Image.open(BytesIO(stored), formats=["WEBP"]) as image:
        image.load()
        samples = np.asarray(image)
    if layout.together > samples.shape[2]:  # alpha that hides nothing was left out
        samples = np.pad(samples, ((0, 0), (0, 0), (0, 1)), constant_values=255)
    return samples


def _jpeg(stored: bytes, layout: Layout) -> Samples:
    """As stored, but for YCbCr. Raises Rejected: truncated, undecodable, unsupported-mode."""
    whole = _whole_jpeg(stored, layout)
    head = jpeg_segments.read(whole)
    if head is None or len(head.components) != layout.together:
        raise Rejected("undecodable", "the header of its JPEG is damaged")
    space = {1: "GRAY", 3: "RGB", 4: "CMYK"}[layout.together]
    samples = jpeg.decode(whole, head, space, 1) if head.huffman else None
    if samples is not None:
        return samples
    with Image.open(BytesIO(jpeg.whole(whole, head)), formats=["JPEG"]) as image:
        pixels = np.asarray(image).reshape(head.height, head.width, -1)
    return 255 - pixels if space == "CMYK" else pixels  # Pillow turns inks round where there is Adobe's mark


def _whole_jpeg(stored: bytes, layout: Layout) -> bytes:
    """With the tables that all chunks share, and one mark that says how colours are stored, as the TIFF does."""
    tables = layout.directory.blob(tags.JPEG_TABLES).removeprefix(SOI).removesuffix(EOI)
    joined = SOI + tables + stored.removeprefix(SOI)
    head = jpeg_segments.read(joined)
    if head is None:
        raise Rejected("undecodable", "the header of its JPEG is damaged")
    shared = layout.photometric == kinds.RGB and len({component[1:] for component in head.components}) > 1
    transform = 1 if layout.photometric == kinds.YCBCR or shared else 0  # red, green and blue are never shared
    mark = jpeg_segments.Segment(jpeg_segments.ADOBE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    needed = (one for one in head.segments if one.marker in jpeg_segments.CODING | jpeg_segments.FRAMES)
    plain = replace(head, segments=(mark, *needed))
    return jpeg_segments.repaired(joined, plain, list(jpeg_segments.scans(joined, plain)))


def _samples(packed: NDArray[np.uint8], layout: Layout) -> Samples:
    """(rows, bytes) as (rows, width, together)."""
    shaped = (len(packed), layout.chunk_width, layout.together)
    if layout.subsampling != (1, 1):
        return ycbcr.upsampled(packed, layout)
    if layout.bits == 8:  # noqa: PLR2004 - bits of a sample
        return packed.reshape(shaped)
    if layout.bits == 16:  # noqa: PLR2004 - bits of a sample
        return packed.view(f"{layout.directory.order}u2").astype(np.uint16).reshape(shaped)
    bits = np.unpackbits(packed, axis=1, count=layout.chunk_width * layout.together * layout.bits)
    weights = 1 << np.arange(layout.bits - 1, -1, -1, dtype=np.uint16)
    return (bits.reshape(*shaped, layout.bits) @ weights).astype(np.uint16)


def _differences_added(samples: Samples, layout: Layout) -> Samples:
    """Undoes the horizontal predictor. Like libtiff, plain bytes and words that were not compressed have none."""
    if not layout.predictor or (layout.compression == kinds.NONE and layout.bits in (8, 16)):
        return samples
    summed: Samples = np.cumsum(samples, axis=1, dtype=samples.dtype)
    return np.bitwise_and(summed, (1 << layout.bits) - 1, dtype=samples.dtype)
