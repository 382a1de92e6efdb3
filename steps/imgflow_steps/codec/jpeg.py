"""The pixels of a JPEG of the usual kinds straight into numpy, and what a decoder's doubt means for a JPEG of any kind.

simplejpeg shows libjpeg-turbo the whole file at once. It is strict here, so that no doubt is lost; `docs/pictures.md`
says which doubts reject a picture. `bench/README.md` says what this is worth beside Pillow, whose pixels are the same.
"""

from __future__ import annotations

import random
import re
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING

import simplejpeg
from PIL import Image

from imgflow_steps.codec import jpeg_segments
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.codec.jpeg_segments import Head, Scan
    from imgflow_steps.contract.sample import Pixels

# What libjpeg says of a file that lacks a part of its picture, and of one that has all. Only the first is told.
LACKING = re.compile(r"premature end|instead of RST", re.IGNORECASE)
HARMLESS = re.compile(r"extraneous bytes|progression sequence", re.IGNORECASE)
MEMORY = re.compile(r"insufficient memory", re.IGNORECASE)
UNUSUAL = re.compile(r"subsampling level")  # which is simplejpeg's own limit, and says nothing of the file

ZEROS_AND_END = bytes(jpeg_segments.FEW + 1) + b"\xff\xd9"  # zeros fill up the scan that was cut, and no other follows

GUESSES = [bytes(random.Random(seed).choices(range(255), k=512)) for seed in (1, 2)]  # noqa: S311 - any bytes will do


def decode(data: bytes, head: Head, space: str, reduction: int) -> Pixels | None:
    """uint8 (h, w, channels) of a JPEG that is ``head.huffman``, as stored, sides divided by ``reduction``, rounded up.

    ``space`` is GRAY, RGB or CMYK, the last as it is stored, so that 0 is all ink. None where the sampling is not one
    that simplejpeg knows. Raises Rejected("truncated") where a part of the picture is missing, Rejected("undecodable")
    where libjpeg finds its data damaged.
    """
    if not head.huffman:
        raise ValueError("only Huffman JPEGs of 8 bits that are not lossless may be asked for at a stated size")
    least: dict[str, int] = {}
    if reduction > 1:
        least = {"min_width": -(-head.width // reduction), "min_height": -(-head.height // reduction)}
    try:
        pixels: Pixels = simplejpeg.decode_jpeg(data, space, **least)
    except ValueError as error:
        return None if UNUSUAL.search(str(error)) else _doubted(data, head, space, least)
    if head.parted(data):
        doubted = head.process in jpeg_segments.PROGRESSIVE and ZEROS_AND_END in data
        if jpeg_segments.lacks(data, head, jpeg_segments.scans(data, head), doubted=doubted):
            raise _lacking(data)
    return pixels


def _doubted(data: bytes, head: Head, space: str, least: dict[str, int]) -> Pixels:
    """A second try without all that the pixels do not need, then what remains of the doubt."""
    scans = list(jpeg_segments.scans(data, head))
    _check_strays(data, head, scans)
    plain = jpeg_segments.repaired(data, head, scans, coding=True)
    pixels, warned = _warned(plain, data, space, least)
    doubted = warned or not jpeg_segments.ended(data, scans)
    if doubted and (bare := jpeg_segments.without_zeros(plain)) is not plain:
        _warned(bare, data, space, least)  # zeros that stand for what is lost are not the picture's
    if jpeg_segments.lacks(data, head, scans, doubted=doubted):
        raise _lacking(data)
    return pixels


def _warned(plain: bytes, data: bytes, space: str, least: dict[str, int]) -> tuple[Pixels, bool]:
    """The pixels, and whether libjpeg said something harmless about them."""
    try:
        return simplejpeg.decode_jpeg(plain, space, **least), False
    except ValueError as error:
        warning = str(error)
        if MEMORY.search(warning):
            raise MemoryError(warning) from error
        if LACKING.search(warning):
            raise _lacking(data) from error
        if not HARMLESS.search(warning):
            raise Rejected("undecodable", f"this JPEG cannot be decoded: {warning}") from error
    return simplejpeg.decode_jpeg(plain, space, strict=False, **least), True


def whole(data: bytes, head: Head) -> bytes:
    """A file for Pillow, which tells no doubt, with nothing that it stumbles over beside the pixels.

    A picture that is all there does not depend on what stands behind its data: it is decoded with two things there.
    Arithmetic coding may leave zeros out at its end, so there an end is all that can be asked for.
    Raises Rejected: truncated where a part of the picture is missing, undecodable where its data is damaged.
    """
    scans = list(jpeg_segments.scans(data, head))
    _check_strays(data, head, scans)
    ended = jpeg_segments.ended(data, scans)
    if jpeg_segments.lacks(data, head, scans, doubted=not ended):
        raise _lacking(data)
    plain = jpeg_segments.repaired(data, head, scans)
    if head.process in jpeg_segments.ARITHMETIC:
        if not ended:
            raise _lacking(data)
    elif not _all_there(plain) or not _needs_no_zeros(plain):
        raise _lacking(data)
    return plain


def _check_strays(data: bytes, head: Head, scans: list[Scan]) -> None:
    if marker := jpeg_segments.stray(data, head, scans):
        reason = f"its data is damaged: the marker FF{marker:02X} in the middle of it belongs to no picture"
        raise Rejected("undecodable", f"this JPEG cannot be decoded: {reason}")


def _needs_no_zeros(plain: bytes) -> bool:
    """Whether the picture is all there without the zeros at the end, if there are more of them than it needs."""
    bare = jpeg_segments.without_zeros(plain)
    fewer = plain[: -2 - jpeg_segments.ZEROS // 2] + plain[-2:]
    return bare is plain or not _all_there(fewer) or _all_there(bare)


def _all_there(plain: bytes) -> bool:
    return len({_digest(plain[:-2] + guess + plain[-2:]) for guess in GUESSES}) == 1


def _digest(data: bytes) -> bytes:
    with Image.open(BytesIO(data), formats=["JPEG"]) as image:
        return sha256(image.tobytes()).digest()


def to_image(stored: Pixels, like: Image.Image) -> Image.Image:
    """What ``decode`` gave as the image that Pillow makes of it, with the colour profile of ``like``."""
    height, width, channels = stored.shape
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    image = Image.frombytes(mode, (width, height), (255 - stored if mode == "CMYK" else stored).tobytes())
    image.info = {"icc_profile": like.info.get("icc_profile")}
    return image


def _lacking(data: bytes) -> Rejected:
    return Rejected("truncated", f"a part of this JPEG's picture is missing: its data ends early ({len(data)} bytes)")
