"""What Pillow leaves undone with GIFs: a first picture that covers a part of the screen only, odd extensions before it.

Blocks: CompuServe, GIF89a, sections 15 to 27.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image

SCREEN = 13  # bytes of the header and of what tells of the screen
IMAGE, EXTENSION, CONTROL = b",", b"!", b"\xf9"

if TYPE_CHECKING:
    from PIL import ImageFile


def load(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """An opened GIF with the pixels of its first picture; around it, it is transparent, as browsers show it."""
    box = image.tile[0].extents if image.tile else None
    if image.tile:
        image.fp = BytesIO(data[: _blocks_end(data, image.tile[0].offset)])  # what it lacks is not in the next picture
    image.load()
    if box is None or box == (0, 0, *image.size):
        return image
    shown = Image.new("RGBA", image.size)
    left, upper, right, lower = map(int, box)
    shown.paste(image.convert("RGBA").crop((left, upper, right, lower)), (left, upper))
    return shown


def repaired(data: bytes) -> bytes:
    """The same first picture without the extensions before it, but for a graphic control that is long enough."""
    at = SCREEN + _palette(data[10:11])
    head, control = data[:at], b""
    while data[at : at + 1] == EXTENSION:
        if data[at + 1 : at + 2] == CONTROL:
            said = data[at + 3 : at + 3 + int.from_bytes(data[at + 2 : at + 3])]
            control = EXTENSION + CONTROL + b"\4" + said[:4] + b"\0" if len(said) >= 4 else b""  # noqa: PLR2004 - its bytes
        at = _blocks_end(data, at + 2)
    return head + control + data[at:] if data[at : at + 1] == IMAGE else data


def _palette(flags: bytes) -> int:
    """Bytes of the palette that flags tell of."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 128 else 0


def _blocks_end(data: bytes, at: int) -> int:
    """Where the blocks end that begin at a place."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1
