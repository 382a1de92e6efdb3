"""Pixels to bytes: the one lossy encoding, and small pictures for reports."""

from __future__ import annotations

from io import BytesIO
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

from PIL import Image

from imgflow_steps import resizing
from imgflow_steps.contract import Rejected, Target
from imgflow_steps.picture.decoding import decode
from imgflow_steps.pipeline import DecodePlan, Limits, Output
from imgflow_steps.pixels import to_image, to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_steps.contract import Extent, Pixels

SUFFIX = {"jpeg": "jpg", "png": "png", "webp": "webp"}
CONTENT_TYPE = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}

MAX_SIDE = {"jpeg": 65_500, "png": 2**31 - 1, "webp": 16_383}  # pixels; what the formats can say
PNG_LEVEL = 4  # on photographs within 2 % of the size of the default 6, in half its time

THUMBNAIL = 240  # pixels of the longer side
SHEET = 9  # pictures at most that share a thumbnail
GUTTER = 4  # pixels between them
THUMBNAIL_OUTPUT = Output(format="jpeg", quality=80)


def encode(pixels: Pixels, output: Output) -> bytes:
    """uint8 (h, w, 1 to 4) as JPEG (alpha over white), PNG or WebP, without metadata.

    Raises Rejected("unencodable") when a side is longer than the format can say, and ValueError for format none.
    """
    if output.format == "none":
        raise ValueError("a pipeline with output none publishes findings, not pictures")
    height, width, _ = pixels.shape
    longest = MAX_SIDE[output.format]
    if max(width, height) > longest:
        raise Rejected(
            "unencodable", f"{width} x {height} pixels; {output.format} ends at {longest} a side; png does not"
        )
    image = to_image(pixels)
    options: dict[str, Any] = {"quality": output.quality}
    if output.format == "jpeg":
        image = _over_white(image)
    elif output.format == "png":
        options = {"compress_level": PNG_LEVEL}
    out = BytesIO()
    image.save(out, output.format, **options)
    return out.getvalue()


def _over_white(image: Image.Image) -> Image.Image:
    if "A" not in image.getbands():
        return image
    opaque = image.convert(image.mode.removesuffix("A"))
    return Image.composite(opaque, Image.new(opaque.mode, image.size, "white"), image.getchannel("A"))


def thumbnail(data: bytes, limits: Limits) -> bytes:
    """A small colour JPEG of an encoded picture. Raises Rejected as ``decode`` does."""
    decoded = decode(data, DecodePlan(width=THUMBNAIL, height=THUMBNAIL), limits)
    return thumbnail_of(decoded.pixels, decoded.extent)


def thumbnail_of_all(pictures: Sequence[Pixels]) -> bytes:
    """A small JPEG of the first nine pictures that were made of one, row by row; of a single one, its own."""
    if len(pictures) == 1:
        return thumbnail_of(pictures[0])
    across = ceil(sqrt(min(len(pictures), SHEET)))
    cell = (THUMBNAIL - (across - 1) * GUTTER) // across
    small = [to_image(resizing.into(pixels, Target(cell, cell))) for pixels in pictures[:SHEET]]
    width, height = max(image.width for image in small) + GUTTER, max(image.height for image in small) + GUTTER
    sheet = Image.new("RGB", (across * width - GUTTER, ceil(len(small) / across) * height - GUTTER), "white")
    for i, image in enumerate(small):
        sheet.paste(_over_white(image).convert("RGB"), (i % across * width, i // across * height))
    return encode(to_pixels(sheet), THUMBNAIL_OUTPUT)


def thumbnail_of(pixels: Pixels, extent: Extent | None = None) -> bytes:
    """A small JPEG of a decoded picture: at most 240 pixels a side."""
    return encode(resizing.into(pixels, Target(THUMBNAIL, THUMBNAIL), extent=extent), THUMBNAIL_OUTPUT)
