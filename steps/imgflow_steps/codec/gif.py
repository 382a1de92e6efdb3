"""What Pillow leaves undone with GIFs: a first picture that covers a part of the screen only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageFile


def load(image: ImageFile.ImageFile) -> Image.Image:
    """An opened GIF with the pixels of its first picture; around it, it is transparent, as browsers show it."""
    box = image.tile[0].extents if image.tile else None
    image.load()
    if box is None or box == (0, 0, *image.size):
        return image
    shown = Image.new("RGBA", image.size)
    left, upper, right, lower = map(int, box)
    shown.paste(image.convert("RGBA").crop((left, upper, right, lower)), (left, upper))
    return shown
