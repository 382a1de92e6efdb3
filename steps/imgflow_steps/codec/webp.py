"""What Pillow leaves undone with WebPs: data beside the picture that is cut or miscounted, and small first pictures."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image, ImageFile

PICTURE = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
NAME = re.compile(rb"[A-Za-z0-9 ]{4}")  # of a chunk
ANIMATED = 0x02  # of VP8X
FLAGS = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # of VP8X: what stands beside the picture


def ends_early(data: bytes) -> bool:
    """Whether the file stops before it or one of its chunks does, by what these say of their size."""
    at = 12
    while at + 8 <= len(data) and NAME.fullmatch(data[at : at + 4]):
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if at > len(data):
            return True
        at += at % 2
    return int.from_bytes(data[4:8], "little") + 8 > len(data)


def load(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """An opened WebP with its pixels: with alpha where its first picture covers a part of the canvas, around it.

    Its own flag says nothing of that. RFC 9649, 2.7.1.1.
    """
    at = data.find(b"ANMF", 12)
    if image.mode == "RGB" and at >= 0 and data[12:16] == b"VP8X" and data[20] & ANIMATED:
        box = [int.from_bytes(data[at + i : at + i + 3], "little") for i in (8, 11, 14, 17)]
        if box != [0, 0, image.width - 1, image.height - 1]:
            image._mode = "RGBA"  # noqa: SLF001 - what Pillow's own plugin does from the flag
            image.rawmode = "RGBA"  # type: ignore[attr-defined]  # of that plugin
    image.load()
    return image


def repaired(data: bytes) -> bytes:
    """The same picture with the chunks that the file holds whole, counted anew (RFC 9649, 2.3 to 2.7).

    What follows a chunk has a name. Where it has none, bytes were lost or came in before it, perhaps among those of the
    picture, whose coding notices nothing: such a file is returned as it is.
    """
    at, kept, beside = 12, b"", 0
    stated = 8 + int.from_bytes(data[4:8], "little")  # where the file says that it ends
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if not NAME.fullmatch(name):
            if any(name) and at < stated:
                return data
            break
        whole = data[at : at + 8 + size]
        at += 8 + size + size % 2
        if len(whole) == 8 + size and name in PICTURE | {b"VP8X"} | FLAGS.keys():
            kept += whole + b"\0" * (size % 2)
            beside |= FLAGS.get(name, 0)
    if kept[:4] == b"VP8X":
        flags = kept[8] & ~sum(FLAGS.values()) | beside
        kept = kept[:8] + bytes([flags]) + kept[9:]
    return b"RIFF" + struct.pack("<I", len(kept) + 4) + b"WEBP" + kept
