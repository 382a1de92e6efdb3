"""BMPs whose pixels are cut into red, green, blue and alpha, or whose colours are counted, as Pillow does not know.

Headers: Microsoft, BITMAPV5HEADER, and IBM's OS/2 2.0, whose header may end behind its first 16 bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image, ImageFile

CORE, OS2_SHORT, INFO, OS2 = 12, 16, 40, 64  # bytes of headers
BITFIELDS, ALPHA_BITFIELDS = 3, 6
MASKS = (0xFF0000, 0xFF00, 0xFF)  # red, green, blue of 32 bits, as Pillow has it
ALPHA = 0xFF000000
HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # bytes of those that Pillow reads
DEPTHS = frozenset({1, 4, 8, 16, 24, 32})
OTHERS = {4: "JPEG", 5: "PNG"}  # compressions
OTHERS_OF_OS2 = {3: "a fax (Huffman 1D)", 4: "run lengths of 24 bits"}
COLOURS = 46  # where the number of colours of the palette stands


def load(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """An opened BMP with its pixels. An alpha that hides all of them was never meant: browsers do not mind it either.

    Raises ValueError where Pillow takes a palette of black and white for one bit a pixel, whatever the file says.
    """
    size = int.from_bytes(data[14:18], "little")
    if image.mode == "1" and data[24 if size == CORE else 28] != 1:
        raise ValueError("it has fewer colours than its bits a pixel can tell")
    image.load()
    hidden = image.mode == "RGBA" and not image.getchannel("A").getbbox()
    return image.convert("RGB") if hidden else image


def repaired(data: bytes) -> bytes:
    """The same picture in 32 bits with 8 for each colour, where masks say how its pixels are cut; else the same bytes.

    A count of colours that cannot be is left out where the file has the length and the palette that it states: where
    bytes were lost or came in, the pixels are out of step as well.

    Raises Rejected: truncated where rows are missing, unsupported-mode.
    """
    if data[14:18] == struct.pack("<I", OS2_SHORT):
        moved = int.from_bytes(data[10:14], "little") + INFO - OS2_SHORT
        return data[:10] + struct.pack("<II", moved, INFO) + data[18:30] + bytes(INFO - OS2_SHORT) + data[30:]
    if len(data) < 14 + INFO + 12 or data[14:18] == struct.pack("<I", CORE):
        return data
    size, width, height, _, bits, compression = struct.unpack_from("<IiiHHI", data, 14)
    _check(size, bits, compression)
    if bits <= 8:  # noqa: PLR2004 - bits of places in a palette
        return _with_palette(data)
    cut = compression in {BITFIELDS, ALPHA_BITFIELDS}
    return _with_masks(data) if cut and width > 0 and height else data


def _with_palette(data: bytes) -> bytes:
    """The same picture with as many colours as its bits can tell."""
    start, size, bits = *struct.unpack_from("<II", data, 10), data[28]
    [colours] = struct.unpack_from("<I", data, COLOURS)
    whole = len(data) == int.from_bytes(data[2:6], "little") and start == 14 + size + (4 << bits)
    if colours > 1 << bits and whole:
        return data[:COLOURS] + bytes(4) + data[COLOURS + 4 :]  # which is as many as there can be
    if bits == 1 or not 0 < colours <= 2:  # noqa: PLR2004 - what Pillow takes for one bit a pixel
        return data
    palette = data[14 + size : 14 + size + 4 * colours].ljust(4 << bits, b"\0")
    head = data[:10] + struct.pack("<I", 14 + size + len(palette)) + data[14:COLOURS] + bytes(4)
    return head + data[COLOURS + 4 : 14 + size] + palette + data[start:]


def _with_masks(data: bytes) -> bytes:
    """The same picture in 32 bits with 8 for each colour."""
    start, size, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", data, 10)
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


def _check(size: int, bits: int, compression: int) -> None:
    """Raise Rejected("unsupported-mode") for what is not read, by name."""
    if size == OS2 and compression in OTHERS_OF_OS2:
        odd = f"its pixels stored as {OTHERS_OF_OS2[compression]}, as OS/2 knew it"
    elif compression in OTHERS:
        raise Rejected("unsupported-mode", f"this BMP holds a {OTHERS[compression]}, as for a printer; save it as that")
    elif size not in HEADERS:
        odd = f"a header of {size} bytes"
    elif bits not in DEPTHS:
        odd = f"{bits} bits a pixel"
    elif compression > ALPHA_BITFIELDS:
        odd = f"a compression that nobody knows ({compression})"
    elif compression in {BITFIELDS, ALPHA_BITFIELDS} and bits not in {16, 32}:
        odd = f"masks for {bits} bits a pixel"
    else:
        return
    raise Rejected("unsupported-mode", f"this BMP has {odd}, which is not read; save it as PNG")


def _scaled(pixels: NDArray[np.unsignedinteger], mask: int, place: int) -> NDArray[np.uint32]:
    """What ``mask`` cuts out, from 0 to all of its bits, as 0 to 255 at ``place``."""
    if not mask:
        return np.zeros(pixels.shape, np.uint32)
    low = (mask & -mask).bit_length() - 1
    highest = mask >> low
    values = (pixels.astype(np.uint64) & mask) >> low
    return ((values * 255 + highest // 2) // highest << (place & -place).bit_length() - 1).astype(np.uint32)
