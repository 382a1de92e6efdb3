"""Bytes to pixels: what is let in, how much of it is decoded, and what is said of the rest."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, JpegImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base

from imgflow_steps.contract import Rejected, Target
from imgflow_steps.geometry import GAP, place
from imgflow_steps.picture import colour, jpeg
from imgflow_steps.pixels import to_image, to_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgflow_steps.contract import Extent, Pixels
    from imgflow_steps.pipeline import DecodePlan, Limits

# What a file begins with, and the one Pillow plugin that may then look at it. MPO is opened as the JPEG it begins with.
FORMATS = {
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
    "TIFF": re.compile(rb"II[*+]\0|MM\0[*+]"),
    "GIF": re.compile(rb"GIF8[79]a"),
    "BMP": re.compile(rb"BM"),
}

# Asked only of a file that could not be decoded: does it end before its format says it may?
ENDS_EARLY: dict[str, Callable[[bytes], bool]] = {
    "JPEG": lambda data: not data[-64:].rstrip(b"\0").endswith(b"\xff\xd9"),
    "PNG": lambda data: b"IEND" not in data[-64:],
    "WEBP": lambda data: int.from_bytes(data[4:8], "little") + 8 > len(data),
    "TIFF": lambda _: False,
    "GIF": lambda data: not data.endswith(b";"),
    "BMP": lambda data: int.from_bytes(data[2:6], "little") > len(data),
}

DCT_REDUCTIONS = (8, 4, 2)  # what a JPEG decoder can leave out at next to no cost

UPRIGHT = {  # EXIF orientation: what turns the stored picture upright, and which sides come left, up, right, down
    2: (Image.Transpose.FLIP_LEFT_RIGHT, (2, 1, 0, 3)),
    3: (Image.Transpose.ROTATE_180, (2, 3, 0, 1)),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, (0, 3, 2, 1)),
    5: (Image.Transpose.TRANSPOSE, (1, 0, 3, 2)),
    6: (Image.Transpose.ROTATE_270, (3, 0, 1, 2)),
    7: (Image.Transpose.TRANSVERSE, (3, 2, 1, 0)),
    8: (Image.Transpose.ROTATE_90, (1, 2, 3, 0)),
}
SWAPS_SIDES = frozenset({5, 6, 7, 8})


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as the first step gets it, with the extent that ``Sample`` tells of.

    ``width`` and ``height`` are the original's, upright, in pixels.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    extent: Extent | None = None


def decode(data: bytes, plan: DecodePlan, limits: Limits) -> Decoded:
    """The first picture of a file, as little of it as ``plan`` needs; the same bytes and plan give the same pixels.

    With ``plan.luma`` the result has 1 channel, or 2 with alpha. The luma of a JPEG is taken as it is stored, which
    differs by rounding from decoding colour first, and by more only where that would clip. A JPEG may come with its
    sides divided by 2, 4 or 8, at ``GAP`` times the box or more; where that leaves a part of a pixel, ``extent`` says
    which, so that proportions stay exact.

    Raises Rejected: empty, too-many-bytes, too-many-pixels, unsupported-format, unsupported-mode, truncated,
    undecodable. MemoryError is let through: whether the image or the machine is at fault is not known here.
    """
    name = _admit(data, limits)
    try:
        # Decoding runs in processes with one computing thread; catch_warnings alone would not do for several.
        with warnings.catch_warnings(), _no_more_pixels(limits):
            warnings.simplefilter("ignore")
            return _decode(data, name, plan, limits)
    except (Rejected, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Rejected("too-many-pixels", f"more than the limit of {limits.pixels} pixels") from error
    except Exception as error:
        raise _verdict(data, name, error) from error


def _admit(data: bytes, limits: Limits) -> str:
    if not data:
        raise Rejected("empty", "the file has no bytes")
    if len(data) > limits.bytes:
        raise Rejected("too-many-bytes", f"{len(data)} bytes; the limit is {limits.bytes}")
    for name, magic in FORMATS.items():
        if magic.match(data):
            return name
    raise Rejected("unsupported-format", f"neither {', '.join(FORMATS)} nor MPO; it begins with {repr(data[:8])[1:]}")


@contextmanager
def _no_more_pixels(limits: Limits) -> Iterator[None]:
    """Pillow's own limit is for the whole process, which may have other pictures to open."""
    before = Image.MAX_IMAGE_PIXELS
    # Pillow raises above twice this number, in places that are reached before the size can be asked (WebP, GIF).
    Image.MAX_IMAGE_PIXELS = (limits.pixels + 1) // 2
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _decode(data: bytes, name: str, plan: DecodePlan, limits: Limits) -> Decoded:
    with Image.open(BytesIO(data), formats=[name]) as image:
        width, height = image.size
        if width * height > limits.pixels:
            raise Rejected("too-many-pixels", f"{width} x {height} pixels; the limit is {limits.pixels} in all")
        reduced, pixels = 1, None
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            reduced, pixels = _jpeg(image, data, plan)
        if pixels is None:
            image.load()
            pixels = to_pixels(colour.canonical(image, luma=plan.luma))
        turn = _orientation(image)  # after load: Pillow turns TIFF itself, and PNG may tell it late
        kind = (image.format or name).lower()
    filled = (0.0, 0.0, pixels.shape[1] - width / reduced, pixels.shape[0] - height / reduced)  # from each side
    if turn in UPRIGHT:
        transpose, sides = UPRIGHT[turn]
        pixels = to_pixels(to_image(pixels).transpose(transpose))
        left, upper, right, lower = (filled[side] for side in sides)
        filled = (left, upper, right, lower)
    if turn in SWAPS_SIDES:
        width, height = height, width
    return Decoded(pixels, width, height, kind, _extent(pixels, filled))


def _extent(pixels: Pixels, filled: Extent) -> Extent | None:
    left, upper, right, lower = filled
    return (left, upper, pixels.shape[1] - right, pixels.shape[0] - lower) if any(filled) else None


def _jpeg(image: JpegImagePlugin.JpegImageFile, data: bytes, plan: DecodePlan) -> tuple[int, Pixels | None]:
    """By how much a JPEG's sides are divided, and its pixels as stored; None leaves them to Pillow, told the same."""
    width, height = image.size
    reduction = 1
    if plan.width and plan.height:
        box = (plan.height, plan.width) if _orientation(image) in SWAPS_SIDES else (plan.width, plan.height)
        room = place(width, height, Target(*box, plan.mode)).reduction / GAP
        reduction = next((n for n in DCT_REDUCTIONS if n <= room), 1)
    srgb = colour.is_srgb(image) if image.mode == "RGB" else image.mode == "L" and "icc_profile" not in image.info
    luma = image.mode == "L" or (plan.luma and srgb)
    image.draft("L" if luma else None, (width // reduction, height // reduction))
    return reduction, jpeg.decode(data, (width, height), reduction, luma=luma) if srgb else None


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(Base.Orientation, 1))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything; the picture beside it is still good
        return 1


def _verdict(data: bytes, name: str, error: Exception) -> Rejected:
    if "truncated" in str(error).lower() or ENDS_EARLY[name](data):
        return Rejected("truncated", f"this {name} ends before its picture does ({len(data)} bytes)")
    reason = str(error) or type(error).__name__
    if isinstance(error, UnidentifiedImageError):  # its text holds a memory address, which differs from run to run
        reason = "its header is damaged"
    return Rejected("undecodable", f"this {name} cannot be decoded: {reason}")
