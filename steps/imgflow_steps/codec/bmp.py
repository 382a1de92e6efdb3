"""BMPs whose pixels are cut into red, green, blue and alpha, or whose colours are counted, as Pillow does not know."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from numpy.typing import NDArray

INFO = 40  # bytes of the header that every version begins with
BITFIELDS, ALPHA_BITFIELDS = 3, 6
MASKS = (0xFF0000, 0xFF00, 0xFF)  # red, green, blue of 32 bits, as Pillow has it
ALPHA = 0xFF000000
HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # bytes of those that Pillow reads
DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
OTHERS = {4: "JPEG", 5: "PNG"}  # compressions
COLOURS = 46  # where the number of colours of the palette stands


def repaired(data: bytes) -> bytes:
    """The same picture in 32 bits with 8 for each colour, where masks say how its pixels are cut; else the same bytes.

    A count of colours that cannot be is left out where the file has the length and the palette that it states: where
    bytes were lost or came in, the pixels are out of step as well.

    Microsoft, BITMAPV4HEADER. Raises Rejected: truncated where rows are missing, unsupported-mode.
    """
    if len(data) < 14 + INFO + 12:
        return data
    start, size, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
    if compression in OTHERS:
        raise Rejected("unsupported-mode", f"this BMP holds a {OTHERS[compression]}, as for a printer; save it as that")
    odd = (
        f"a header of {size} bytes" if size not in HEADERS
        else f"{bits} bits a pixel" if size >= INFO and bits not in DEPTHS
        else f"a compression that nobody knows ({compression})" if size >= INFO and compression > ALPHA_BITFIELDS
        else ""
    )  # fmt: skip
    if odd:
        raise Rejected("unsupported-mode", f"this BMP has {odd}, which is not read; save it as PNG")
    [colours] = struct.unpack_from("<I", data, COLOURS)
    whole = len(data) == int.from_bytes(data[2:6], "little") and start == 14 + size + (4 << bits)
    if size >= INFO and bits <= 8 and colours > 1 << bits and whole:  # noqa: PLR2004 - bits of places in a palette
        return data[:COLOURS] + bytes(4) + data[COLOURS + 4 :]  # which is as many as there can be
    cut = compression in {BITFIELDS, ALPHA_BITFIELDS} and bits in {16, 32} and size >= INFO
    if not cut or width <= 0 or not height:
        return data
    with_alpha = compression == ALPHA_BITFIELDS or size >= INFO + 16
    masks = struct.unpack_from("<4I" if with_alpha else "<3I", data, 14 + INFO)
    row, rows = -(-width * bits // 32) * 4, abs(height)
    if len(data) < start + row * rows:
        raise Rejected("truncated", f"this BMP ends before its picture does ({len(data)} bytes)")
    pixels = np.frombuffer(data, f"<u{bits // 8}", row * rows // (bits // 8), start).reshape(rows, -1)[:, :width]
    made = np.zeros((rows, width), np.uint32)
    for mask, place in zip(masks, (*MASKS, ALPHA), strict=False):
        made |= _scaled(pixels, mask, place)
    alpha = len(masks) > len(MASKS) and masks[3]
    body = made.astype("<u4").tobytes()
    head = struct.pack("<IiiHHIIiiII", INFO + 68, width, height, 1, 32, BITFIELDS, len(body), 0, 0, 0, 0)
    head += struct.pack("<4I", *MASKS, ALPHA if alpha else 0) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


def _scaled(pixels: NDArray[np.unsignedinteger], mask: int, place: int) -> NDArray[np.uint32]:
    """What ``mask`` cuts out, from 0 to all of its bits, as 0 to 255 at ``place``."""
    if not mask:
        return np.zeros(pixels.shape, np.uint32)
    low = (mask & -mask).bit_length() - 1
    highest = mask >> low
    values = (pixels.astype(np.uint64) & mask) >> low
    return ((values * 255 + highest // 2) // highest << (place & -place).bit_length() - 1).astype(np.uint32)
