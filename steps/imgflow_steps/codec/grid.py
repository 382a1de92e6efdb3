"""Pictures row by row on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING

from PIL import Image

from imgflow_steps.contract.step import Target
from imgflow_steps.pixels import resize
from imgflow_steps.pixels.arrays import to_image

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

Colour = tuple[int, int, int]


def grid(pictures: Sequence[Pixels], side: int, gutter: int, paper: Colour, *, enlarge: bool = False) -> Image.Image:
    """uint8 pictures of (h, w, 1 to 4) in a square of ``side`` pixels, as many across as down, on ``paper``.

    ``gutter`` pixels are between them; with ``enlarge`` small ones fill their cell. Transparency shows the paper.
    """
    across = ceil(sqrt(len(pictures))) or 1
    cell = (side - (across - 1) * gutter) // across
    small = [to_image(resize.into(pixels, Target(cell, cell), enlarge=enlarge)) for pixels in pictures]
    width = max((image.width for image in small), default=side) + gutter
    height = max((image.height for image in small), default=side) + gutter
    down = ceil(len(small) / across) or 1
    sheet = Image.new("RGB", (across * width - gutter, down * height - gutter), paper)
    for number, image in enumerate(small):
        colour = image.convert("RGBA")
        sheet.paste(colour, (number % across * width, number // across * height), colour)
    return sheet
