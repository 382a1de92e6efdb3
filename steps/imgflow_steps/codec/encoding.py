"""Pixels to bytes: the one lossy encoding, and small pictures for reports."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from PIL import Image

from imgflow_steps.codec.decoding import decode
from imgflow_steps.codec.grid import grid
from imgflow_steps.contract.options import DecodePlan, Encoding, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.contract.step import Target
from imgflow_steps.pixels import resize
from imgflow_steps.pixels.arrays import to_image, to_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_steps.contract.sample import Extent, Pixels

MAX_SIDE = {"jpeg": 65_500, "png": 2**31 - 1, "webp": 16_383}  # pixels; what the formats can say
LONGEST_EXIF = 65_500  # bytes: a segment of a JPEG holds no more
PNG_LEVEL = 4  # on photographs within 2 % of the size of the default 6, in half its time

THUMBNAIL = 240  # pixels of the longer side
SHEET = 9  # pictures at most that share a thumbnail
GUTTER = 4  # pixels between them
WHITE = (255, 255, 255)
THUMBNAIL_OUTPUT = Encoding(format="jpeg", quality=80)


def encode(pixels: Pixels, output: Encoding, exif: bytes = b"") -> bytes:
    """uint8 (h, w, 1 to 4) as JPEG (alpha over white), PNG or WebP, with no metadata but ``exif``.

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
    if exif and len(exif) <= LONGEST_EXIF:
        options["exif"] = exif
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
    sheet = grid(pictures[:SHEET], THUMBNAIL, GUTTER, WHITE)
    return encode(to_pixels(sheet), THUMBNAIL_OUTPUT)


def thumbnail_of(pixels: Pixels, extent: Extent | None = None) -> bytes:
    """A small JPEG of a decoded picture: at most 240 pixels a side."""
    return encode(resize.into(pixels, Target(THUMBNAIL, THUMBNAIL), extent=extent), THUMBNAIL_OUTPUT)
