"""What Pillow leaves undone with PNGs: exact transparent colours, rows that are missing, data beside the picture."""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageFile

from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

START = 8  # bytes of the signature
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
COLOUR, PALETTE = 2, 3  # colour types
# Column and row where each pass of Adam7 begins, and the steps between its pixels.
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
KEYS = {0: 2, COLOUR: 6}  # bytes of a transparent colour, where there may be one
LONGEST_KEY = 256  # bytes of transparency that a palette can have
SIZES = {b"gAMA": 4, b"sRGB": 1, b"cHRM": 32, b"cICP": 4}  # bytes of chunks that tell of colours
PROFILE = 1 << 20  # bytes of a profile or a text, unpacked, that Pillow takes
RAW_PROFILE = b"Raw profile type "
PIECE = 1 << 20  # bytes that are unpacked at a time


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a file: its name, its bytes, and whether these have their checksum."""

    name: bytes
    body: memoryview
    sound: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What IHDR says."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    @property
    def unpacked(self) -> int:
        """Bytes of all rows with their filters, as the specification cuts them: W3C PNG, 7.2 and 8."""
        passes = ADAM7 if self.interlaced else ((0, 0, 1, 1),)
        sizes = [(-(-(self.width - x) // dx), -(-(self.height - y) // dy)) for x, y, dx, dy in passes]
        bits = self.depth * CHANNELS.get(self.colour, 1)
        return sum(down * (1 + -(-across * bits // 8)) for across, down in sizes if across > 0 and down > 0)


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks up to IEND or to the first that the file does not hold whole."""
    view, at = memoryview(data), START
    while at + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        body = view[at + 8 : at + 8 + length]
        if at + 12 + length > len(data):
            return
        [checksum] = struct.unpack_from(">I", data, at + 8 + length)
        yield Chunk(name, body, zlib.crc32(body, zlib.crc32(name)) == checksum)
        if name == b"IEND":
            return
        at += 12 + length


def head(data: bytes) -> Head:
    """What the first chunk says. Raises ValueError where it is none."""
    if data[START + 4 : START + 8] != b"IHDR" or len(data) < START + 21:
        raise ValueError("its header (IHDR) is missing")
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, START + 8)
    return Head(width, height, depth, colour, bool(interlaced))


def ends_early(data: bytes) -> bool:
    """Whether the file stops in front of its last chunk."""
    at = START
    while at + 8 <= len(data):
        if data[at + 4 : at + 8] == b"IEND":
            return False
        at += 12 + int.from_bytes(data[at : at + 4])
    return True


def load(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """An opened PNG with all its pixels, and the colour that is transparent as its pixels have it.

    Raises Rejected("truncated") where rows are missing, which Pillow leaves black.
    """
    said = head(data)
    if said.colour == PALETTE and image.palette is None:
        raise Rejected("undecodable", "this PNG cannot be decoded: its pixels are places in a palette that it lacks")
    key = image.info.pop("transparency", None) if said.colour != PALETTE else None
    image.load()
    last = image.crop((0, image.height - 1, image.width, image.height))
    # What an interlaced picture lacks may be any rows but the last.
    doubted = said.interlaced or not last.getbbox(alpha_only=False)
    if doubted and _unpacked(data, said.unpacked) < said.unpacked:
        raise Rejected("truncated", f"rows are missing at the end of this PNG's picture ({len(data)} bytes)")
    if numbers := _numbers(data):  # which count for more than a profile and a gamma
        image.info = {**image.info, "cicp": numbers, "srgb": 0}
    return image if key is None else _with_key(image, data, said, key)


def _numbers(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer by their numbers in H.273, where they are told so before the pixels."""
    if data.find(b"cICP", 0, data.find(b"IDAT")) < 0:
        return None
    before = itertools.takewhile(lambda chunk: chunk.name != b"IDAT", chunks(data))
    told = (
        chunk.body for chunk in before if chunk.name == b"cICP" and chunk.sound and len(chunk.body) == SIZES[b"cICP"]
    )
    return next(((body[0], body[1]) for body in told), None)


def _unpacked(data: bytes, enough: int) -> int:
    """How many bytes of rows there are, up to ``enough``."""
    unpack, found = zlib.decompressobj(), 0
    try:
        for chunk in chunks(data):
            rest = chunk.body if chunk.name == b"IDAT" else b""
            while rest and found < enough:
                found += len(unpack.decompress(rest, PIECE))
                rest = unpack.unconsumed_tail
    except zlib.error:
        pass  # Pillow has had all that it can give
    return found


def _with_key(image: Image.Image, data: bytes, said: Head, key: int | tuple[int, ...]) -> Image.Image:
    """Pixels of one colour become transparent: compared in the bits that the file has, not in those of ``image``."""
    highest = (1 << said.depth) - 1
    if isinstance(key, int):
        if image.mode == "1":
            image = image.convert("L")
            key = key and highest
        scale = 255 // highest if said.depth < 8 else 1  # noqa: PLR2004 - bits of a byte
        image.info["transparency"] = (key & highest) * scale
        return image
    alpha = np.asarray(image) == np.array([value >> (said.depth - 8) & 255 for value in key], np.uint8)
    if said.depth == 16:  # noqa: PLR2004 - Pillow keeps the high bytes
        alpha &= np.asarray(_low_bytes(data)) == np.array([value & 255 for value in key], np.uint8)
    image.putalpha(Image.fromarray(np.where(alpha.all(axis=2), 0, 255).astype(np.uint8)))
    return image


def _low_bytes(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data), formats=["PNG"])
    assert isinstance(image, ImageFile.ImageFile)  # noqa: S101 - narrows the type
    image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]  # takes the other byte of two
    image.load()
    return image


def repaired(data: bytes) -> bytes:
    """The same picture without the chunks that Pillow stumbles over: those that no pixel needs, or that are damaged.

    Raises Rejected("undecodable") where what is damaged is needed for the pixels, Rejected("unsupported-format") for
    the PNGs inside of iPhone programs, which are none by the specification.
    """
    kept, colour = [], -1
    rows = [chunk for chunk in chunks(data) if chunk.name == b"IDAT"]
    for chunk in chunks(data):
        if chunk.name == b"CgBI":
            raise Rejected("unsupported-format", "this is Apple's own kind of PNG (CgBI); turn it back with `pngdefry`")
        if chunk.name == b"PLTE" and colour != PALETTE:
            continue
        if chunk.name in {b"IHDR", b"PLTE"} and not chunk.sound:
            name = chunk.name.decode()
            raise Rejected("undecodable", f"this PNG cannot be decoded: {name}, which its pixels need, is damaged")
        if chunk.name == b"IHDR":
            colour = chunk.body[9] if len(chunk.body) > 9 else -1  # noqa: PLR2004 - where the colour type stands
        if chunk.name == b"IDAT" and rows:
            kept.append(_written(chunk.name, _summed(rows)))
            rows = []
        if chunk.name in {b"IHDR", b"PLTE", b"IEND"} or _needed(chunk, colour):
            most = LONGEST_KEY if chunk.name == b"tRNS" else None
            kept.append(_written(chunk.name, bytes(chunk.body[:most])))
    whole = kept and not ends_early(data)
    return data if not whole else data[:START] + b"".join(kept)


def _summed(rows: list[Chunk]) -> bytes:
    """What rows are packed into, with the checksum that they have where that alone is wrong: libpng does not mind it.

    Where a chunk has not its own checksum either, bytes have changed.
    """
    packed = b"".join(chunk.body for chunk in rows)
    unpack, checksum, rest = zlib.decompressobj(-zlib.MAX_WBITS), 1, packed[2:]
    try:
        while rest and not unpack.eof:
            checksum, rest = zlib.adler32(unpack.decompress(rest, PIECE), checksum), unpack.unconsumed_tail
    except zlib.error:
        return packed
    if not unpack.eof or not all(chunk.sound for chunk in rows):
        return packed
    return packed[: len(packed) - len(unpack.unused_data)] + checksum.to_bytes(4)


def _needed(chunk: Chunk, colour: int) -> bool:
    """Whether a chunk tells of colours or of the way up, and can be understood."""
    if chunk.name == b"tRNS":
        return len(chunk.body) >= KEYS.get(colour, 1)
    if not chunk.sound:
        return False
    if chunk.name in SIZES:
        return len(chunk.body) == SIZES[chunk.name]
    if chunk.name == b"iCCP":
        _, _, packed = bytes(chunk.body).partition(b"\0")
        return packed[:1] == b"\0" and _unpacks(packed[1:])
    if chunk.name == b"iTXt":
        keyword, _, rest = bytes(chunk.body).partition(b"\0")
        packed = rest[2:].split(b"\0", 2)[-1] if rest[:1] == b"\1" else b""
        fits = _unpacks(packed) if packed else rest[:1] == b"\0" and len(rest) < PROFILE
        return keyword == b"XML:com.adobe.xmp" and fits
    return chunk.name == b"eXIf" or _is_raw_profile(chunk)


def _is_raw_profile(chunk: Chunk) -> bool:
    """Whether it tells EXIF as ImageMagick writes it, plain or packed."""
    if chunk.name not in {b"tEXt", b"zTXt"} or bytes(chunk.body[:17]) != RAW_PROFILE:
        return False
    return chunk.name == b"tEXt" or _unpacks(bytes(chunk.body).partition(b"\0")[2][1:])


def _unpacks(packed: bytes) -> bool:
    unpack = zlib.decompressobj()
    try:
        unpack.decompress(packed, PROFILE)
    except zlib.error:
        return False
    return not unpack.unconsumed_tail


def _written(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
