"""Photographs of telephones: HEIC and AVIF, told apart by their brands (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from imgflow_steps.codec import boxes

if TYPE_CHECKING:
    from PIL import Image, ImageFile

FTYP = re.compile(rb"....ftyp", re.DOTALL)
AVIF = frozenset({b"avif", b"avis"})
HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
EITHER = frozenset({b"mif1", b"msf1", b"miaf"})
OTHERS = {  # what else is put into such files
    b"qt  ": "a video (QuickTime)",
    b"isom": "a video (MP4)",
    b"mp41": "a video (MP4)",
    b"mp42": "a video (MP4)",
    b"j2ki": "JPEG 2000 in HEIF; save it as PNG or JPEG",
}


def kind(data: bytes) -> str:
    """Pillow's name for what a file holds, AVIF or HEIF; "" for any other."""
    first, *more = brands(data) or [b""]
    if first in AVIF or (first in EITHER and AVIF.intersection(more)):
        return "AVIF"
    return "HEIF" if first in HEIC or (first in EITHER and HEIC.intersection(more)) else ""


def brands(data: bytes) -> list[bytes]:
    """The major brand, then those that it is compatible with; none where the file begins otherwise."""
    if not FTYP.match(data):
        return []
    end = min(int.from_bytes(data[:4]), 4096)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


def named(data: bytes) -> str:
    """What a file is that begins as these do and is not read, in words; "" where that is not known."""
    first, *_ = brands(data) or [b""]
    return OTHERS.get(first, "")


def ends_early(data: bytes) -> bool:
    """Whether a box at the top reaches beyond the end of the file."""
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4])
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16])
        if size == 0:
            return False
        at += max(size, 8)
    return at != len(data)


def load(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """An opened HEIC or AVIF with its pixels, and the colours that it tells by numbers where it has no profile."""
    image.load()
    told = boxes.properties(data)
    if "icc_profile" not in image.info and (numbers := boxes.colours(told)):
        image.info["cicp"] = numbers
    box = _aperture(image, told)
    return image.crop(box) if box else image


def size(image: ImageFile.ImageFile, data: bytes) -> tuple[int, int]:
    """Of the pixels that ``load`` gives."""
    box = _aperture(image, boxes.properties(data))
    return (box[2] - box[0], box[3] - box[1]) if box else image.size


def _aperture(image: ImageFile.ImageFile, told: list[boxes.Box]) -> boxes.Crop | None:
    """What libavif leaves to its caller, and libheif does itself."""
    return boxes.aperture(told, image.size) if image.format == "AVIF" else None


@cache
def prepare() -> None:
    """Make Pillow read HEIC, and both with one thread: processes fill the cores."""
    # A tenth of a second that only their pictures take.
    import pi_heif  # noqa: PLC0415
    from PIL import AvifImagePlugin  # noqa: PLC0415

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pi_heif.options.DECODE_THREADS = 1
    pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
