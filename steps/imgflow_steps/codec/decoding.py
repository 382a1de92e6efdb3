"""Bytes to pixels: what is let in, how much of it is decoded, and what is said of the rest."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, TypeVar

from PIL import Image, ImageFile, JpegImagePlugin, UnidentifiedImageError
from PIL.ExifTags import Base

from imgflow_steps.codec import bmp, colour, gif, heif, jpeg, jpeg_segments, metadata, png, tiff, upright, webp
from imgflow_steps.contract import foreign
from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.contract.step import Target
from imgflow_steps.pixels.arrays import to_pixels
from imgflow_steps.pixels.geometry import GAP, place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from imgflow_steps.codec.exif import ExifValues
    from imgflow_steps.codec.jpeg_segments import Head
    from imgflow_steps.contract.options import DecodePlan, Limits
    from imgflow_steps.contract.sample import Extent, Pixels

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
    "PNG": png.ends_early,
    "WEBP": webp.ends_early,
    "TIFF": lambda _: False,  # its own module has said so by then
    "GIF": lambda data: not data.endswith(b";"),
    "BMP": lambda data: int.from_bytes(data[2:6], "little") > len(data),
    "AVIF": heif.ends_early,
    "HEIF": heif.ends_early,
}
LACKING = re.compile(r"truncated|not enough image data", re.IGNORECASE)  # as Pillow says it
# As libraries say that data is damaged, and that a picture inside of HEIF is of another kind than they read.
DAMAGED = re.compile(
    r"data stream|decoder|frame|plugin|cannot load|could not|failed to|out of range|unsupported BMP", re.IGNORECASE
)
OTHER_CODING = re.compile(r"has not been built in|unsupported (?:codec|feature)", re.IGNORECASE)
# As libraries say it. What libheif calls an allocation beyond its security limit is the file's fault.
OF_MEMORY = re.compile(r"out of memory|insufficient memory|memory allocation(?!.*security limit)", re.IGNORECASE)

# Asked only of a file that Pillow could not decode: the same picture as Pillow takes it, else the same bytes.
REPAIRED: dict[str, Callable[[bytes], bytes]] = {
    "PNG": png.repaired, "GIF": gif.repaired, "BMP": bmp.repaired, "WEBP": webp.repaired,
}  # fmt: skip
LOADED: dict[str, Callable[[ImageFile.ImageFile, bytes], Image.Image]] = {  # an opened file with its pixels
    "PNG": png.load, "GIF": gif.load, "BMP": bmp.load, "WEBP": webp.load, "AVIF": heif.load, "HEIF": heif.load,
}  # fmt: skip

TIFF_LIKE = (b"II*\0", b"MM\0*")  # raw photographs begin so, too, and hold a small picture first
DCT_REDUCTIONS = (8, 4, 2)  # what a JPEG decoder can leave out at next to no cost
COLOURS = 3  # of a JPEG whose samples are no ink
DCT_SIDE = 8  # pixels; below it simplejpeg may round a fraction of a side up to the next one


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Decoded:
    """A picture as the first step gets it, with the extent that ``Sample`` tells of.

    ``width`` and ``height`` are the original's, upright, in pixels; ``exif_values`` is what the file says of it
    besides, as ``codec.metadata`` reads it, and ``exif`` what of that goes out with a result.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    extent: Extent | None = None
    exif_values: ExifValues = field(default_factory=dict)
    exif: bytes = b""

    def sample(self, image: str = "") -> Sample:
        """What the first step is given; ``image`` is the picture's key below its source."""
        height, width, _ = self.pixels.shape
        left, upper, right, lower = self.extent or (0, 0, width, height)
        across, down = self.width / (right - left), self.height / (lower - upper)
        at = (across, 0.0, -left * across, 0.0, down, -upper * down)
        return Sample(self.pixels, extent=self.extent, image=image, at=at, exif=self.exif)


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
        if OF_MEMORY.search(str(error)):
            raise MemoryError(str(error)) from error
        raise _verdict(data, name, error) from error


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its picture before any pixel is decoded: its size, upright as far as that can be told."""

    width: int
    height: int
    format: str
    certain: bool  # whether the sides may not come the other way round: a PNG may tell it behind its pixels


def header(data: bytes, limits: Limits) -> Header:
    """The size of a picture, from the head of its file.

    Raises Rejected: empty, too-many-bytes, too-many-pixels, unsupported-format, truncated, undecodable.
    """
    name = _admit(data, limits)
    try:
        with warnings.catch_warnings(), _no_more_pixels(limits):
            warnings.simplefilter("ignore")
            return _or_repaired(data, name, lambda data: _header(data, name, limits))
    except (Rejected, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Rejected("too-many-pixels", f"more than the limit of {limits.pixels} pixels") from error
    except Exception as error:
        raise _verdict(data, name, error) from error


def _header(data: bytes, name: str, limits: Limits) -> Header:
    turn, certain = 1, True
    if name == "TIFF":
        layout = tiff.layout_of(data)
        (width, height), kind, turn = (layout.width, layout.height), "tiff", tiff.orientation(layout)
    elif (head := jpeg_segments.read(data) if name == "JPEG" else None) and head.bare and head.width:
        (width, height), kind, turn = (head.width, head.height), "jpeg", _turn(head.exif)
    else:
        with _open(data, name, head) as image:
            (width, height), kind = heif.size(image, data), (image.format or name).lower()
            certain = name != "PNG" or "exif" in image.info
            if certain:
                turn = _orientation(image)
    _check_size(width, height, limits)
    if turn in upright.SWAPS_SIDES:
        width, height = height, width
    return Header(width, height, kind, certain)


def _admit(data: bytes, limits: Limits) -> str:
    if not data:
        raise Rejected("empty", "the file has no bytes")
    if len(data) > limits.bytes:
        raise Rejected("too-many-bytes", f"{len(data)} bytes; the limit is {limits.bytes}")
    if data[:4] in TIFF_LIKE and (what := foreign.by_bytes(data)):
        raise Rejected("unsupported-format", f"it is {what}")
    for name, magic in FORMATS.items():
        if magic.match(data):
            return name
    if name := heif.kind(data):
        return name
    known = ", ".join([*FORMATS, "AVIF", "HEIC"])
    if what := foreign.by_bytes(data) or heif.named(data):
        raise Rejected("unsupported-format", f"this is {what}. Read are {known} and MPO")
    raise Rejected("unsupported-format", f"neither {known} nor MPO: it begins with {repr(data[:8])[1:]}")


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
    if name == "TIFF":
        return _tiff(data, plan, limits)
    return _or_repaired(data, name, lambda data: _decode_once(data, name, plan, limits))


def _or_repaired(data: bytes, name: str, attempt: Callable[[bytes], T]) -> T:
    """What ``attempt`` makes of a file, or else of the same picture as Pillow takes it."""
    try:
        return attempt(data)
    except (Rejected, MemoryError, Image.DecompressionBombError):
        raise
    except Exception:
        if name not in REPAIRED or (repaired := REPAIRED[name](data)) == data:
            raise
    return attempt(repaired)


def _decode_once(data: bytes, name: str, plan: DecodePlan, limits: Limits) -> Decoded:
    head = jpeg_segments.read(data) if name == "JPEG" else None
    if head and (decoded := _bare(data, head, plan, limits)):
        return decoded
    with _open(data, name, head) as image:
        width, height = image.size
        _check_size(width, height, limits)
        reduced, pixels = 1, None
        if head and isinstance(image, JpegImagePlugin.JpegImageFile):
            reduced, pixels = _jpeg(image, data, head, plan)
        if pixels is None:
            loaded = _load(image, data, name)
            (width, height), pixels = loaded.size, _canonical(loaded, plan)
        turn = _orientation(image)  # after load: PNG may tell it late
        kind, info = (image.format or name).lower(), image.info
    decoded = _upright(pixels, kind, turn, (width, height), reduced)
    return _told(decoded, metadata.exif_of(info), metadata.packet_of(info), plan)


def _bare(data: bytes, head: Head, plan: DecodePlan, limits: Limits) -> Decoded | None:
    """A JPEG of which Pillow would tell EXIF at most: opening it there takes a tenth of a small picture's time."""
    if not head.bare or not head.huffman or len(head.components) > COLOURS:
        return None
    size = head.width, head.height
    _check_size(*size, limits)
    turn = _turn(head.exif)
    reduction = _reduction(size, plan, turn)
    if reduction > 1 and max(size) < DCT_SIDE:
        return None
    stored = jpeg.decode(data, head, "GRAY" if plan.luma or len(head.components) == 1 else "RGB", reduction)
    return None if stored is None else _told(_upright(stored, "jpeg", turn, size, reduction), head.exif, b"", plan)


def _told(decoded: Decoded, block: bytes, packet: bytes, plan: DecodePlan) -> Decoded:
    """With what EXIF and XMP say of the picture."""
    if not (block or packet):
        return decoded
    values = metadata.of_blocks(block, packet)
    return replace(decoded, exif_values=values, exif=metadata.outgoing(block, plan.metadata))


def _reduction(size: tuple[int, int], plan: DecodePlan, turn: int) -> int:
    """What a JPEG's sides may be divided by, so that enough is left for the box of the plan."""
    if not (plan.width and plan.height):
        return 1
    box = (plan.height, plan.width) if turn in upright.SWAPS_SIDES else (plan.width, plan.height)
    room = place(*size, Target(*box, plan.mode)).reduction / GAP
    return next((n for n in DCT_REDUCTIONS if n <= room), 1)


def _tiff(data: bytes, plan: DecodePlan, limits: Limits) -> Decoded:
    layout = tiff.layout_of(data)
    _check_size(layout.width, layout.height, limits)
    image, turn = tiff.load(data, layout)
    decoded = _upright(_canonical(image, plan), "tiff", turn, (layout.width, layout.height), 1)
    return _told(decoded, data, layout.directory.blob(tiff.XMP), plan)


def _check_size(width: int, height: int, limits: Limits) -> None:
    if width * height > limits.pixels:
        raise Rejected("too-many-pixels", f"{width} x {height} pixels; the limit is {limits.pixels} in all")


def _upright(pixels: Pixels, kind: str, turn: int, size: tuple[int, int], reduced: int) -> Decoded:
    """What was decoded as it is to be seen; ``size`` is the stored picture's, its sides were divided by ``reduced``."""
    width, height = size
    filled = (0.0, 0.0, pixels.shape[1] - width / reduced, pixels.shape[0] - height / reduced)  # from each side
    if turn in upright.SIDES:
        pixels = upright.turned(pixels, turn)
        left, upper, right, lower = (filled[side] for side in upright.SIDES[turn])
        filled = (left, upper, right, lower)
    if turn in upright.SWAPS_SIDES:
        width, height = height, width
    return Decoded(pixels, width, height, kind, _extent(pixels, filled))


def _extent(pixels: Pixels, filled: Extent) -> Extent | None:
    left, upper, right, lower = filled
    return (left, upper, pixels.shape[1] - right, pixels.shape[0] - lower) if any(filled) else None


def _open(data: bytes, name: str, head: Head | None) -> ImageFile.ImageFile:
    """The file as Pillow sees it; without its side data where that is what Pillow stumbles over."""
    try:
        return _pillow(data, name)
    except (MemoryError, Image.DecompressionBombError):
        raise
    except Exception:
        if head is None:
            raise
    plain = jpeg_segments.repaired(data, head, list(jpeg_segments.scans(data, head)))
    return _pillow(plain, name)


def _pillow(data: bytes, name: str) -> ImageFile.ImageFile:
    if name in {"AVIF", "HEIF"}:
        heif.prepare()
    image = Image.open(BytesIO(data), formats=[name])
    assert isinstance(image, ImageFile.ImageFile)  # noqa: S101 - narrows the type: all that it opens are files
    return image


def _jpeg(image: JpegImagePlugin.JpegImageFile, data: bytes, head: Head, plan: DecodePlan) -> tuple[int, Pixels]:
    """By how much a JPEG's sides are divided, and its pixels as stored. Only the usual kinds are asked for a size."""
    width, height = image.size
    reduction = _reduction(image.size, plan, _orientation(image)) if head.huffman else 1
    srgb = colour.is_srgb(image) if image.mode == "RGB" else image.mode == "L" and "icc_profile" not in image.info
    luma = image.mode == "L" or (plan.luma and srgb)
    if head.huffman:
        small = reduction > 1 and max(image.size) < DCT_SIDE  # Pillow's to divide; its doubts are found out here
        stored = jpeg.decode(data, head, "GRAY" if luma else image.mode, 1 if small else reduction)
        if stored is not None and not small:
            return reduction, stored if srgb else _canonical(jpeg.to_image(stored, image), plan)
    with _pillow(jpeg.whole(data, head), "JPEG") as plain:
        if head.huffman:
            plain.draft("L" if luma else None, (width // reduction, height // reduction))
        plain.load()
        return reduction, _canonical(plain, plan)


def _load(image: ImageFile.ImageFile, data: bytes, name: str) -> Image.Image:
    if name in LOADED:
        return LOADED[name](image, data)
    image.load()
    return image


def _canonical(image: Image.Image, plan: DecodePlan) -> Pixels:
    return to_pixels(colour.canonical(image, luma=plan.luma))


def _orientation(image: Image.Image) -> int:
    if image.format in {"AVIF", "HEIF"}:  # turned by the file itself, to which XMP may not add
        return _turn(image.info.get("exif") or b"")
    return _turn_of(image.getexif, metadata.packet_of(image.info))


def _turn(block: bytes) -> int:
    """The orientation that a block of EXIF gives its picture."""
    return _turn_of(partial(_loaded, block)) if block else 1


def _turn_of(exif: Callable[[], Image.Exif], packet: bytes = b"") -> int:
    try:
        value = exif().get(Base.Orientation)
        if value is None:
            found = metadata.TURN.search(packet)
            return int(found[1]) if found else 1
        return int(value[0] if isinstance(value, (bytes, tuple)) else value)  # of type BYTE, or more than one
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - damaged EXIF raises anything; the picture beside it is still good
        return 1


def _loaded(block: bytes) -> Image.Exif:
    found = Image.Exif()
    found.load(block)
    return found


def _verdict(data: bytes, name: str, error: Exception) -> Rejected:
    if (LACKING.search(str(error)) and name != "TIFF") or ENDS_EARLY[name](data):
        return Rejected("truncated", f"this {name} ends before its picture does ({len(data)} bytes)")
    reason = str(error) or type(error).__name__
    if name == "HEIF" and OTHER_CODING.search(reason):
        how = "in a coding that is not read; save it as JPEG or PNG"
        return Rejected("unsupported-mode", f"this {name} holds its picture {how}")
    if DAMAGED.search(reason):
        reason = "its data is damaged"
    if isinstance(error, UnidentifiedImageError):  # its text holds a memory address, which differs from run to run
        reason = "its header is damaged"
    return Rejected("undecodable", f"this {name} cannot be decoded: {reason}")
