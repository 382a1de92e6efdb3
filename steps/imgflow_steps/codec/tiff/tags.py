"""The first directory of a TIFF or BigTIFF: its tags as they stand in the file, and a new one made of them.

Layouts of header, directory and entry: TIFF 6.0, section 2, and for 64-bit offsets the BigTIFF design of libtiff.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOR_MAP = 292, 293, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, INK_SET, EXTRA_SAMPLES, SAMPLE_FORMAT = (
    322,
    323,
    324,
    325,
    332,
    338,
    339,
)
JPEG_TABLES, YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE, XMP, ICC = 347, 529, 530, 532, 700, 34675
DNG_VERSION = 50706
KIND, OLD_KIND, BELOW = 254, 255, 330  # NewSubfileType, SubfileType, SubIFDs
REDUCED_OR_MASK, OLD_REDUCED = 0b101, 2
OLD_JPEG = range(512, 522)

PIXELS = frozenset({
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES,
    PLANAR, T4_OPTIONS, T6_OPTIONS, PREDICTOR, COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, INK_SET,
    EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE, *OLD_JPEG,
})  # fmt: skip
TAGS_READ = PIXELS | {ORIENTATION, XMP, ICC, DNG_VERSION, KIND, OLD_KIND, BELOW}  # others are nobody's business

SHORT, LONG, RATIONAL, UNDEFINED = 3, 4, 5, 7
MOST_PICTURES = 32  # of a file that are looked at
BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
WHOLE = {1: "u1", 3: "u2", 4: "u4", 6: "i1", 8: "i2", 9: "i4", 13: "u4", 16: "u8", 17: "i8", 18: "u8"}


@dataclass(frozen=True, slots=True)
class Value:
    """What a tag holds, as it lies in the file."""

    kind: int
    count: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Directory:
    """The tags of a picture; ``order`` is numpy's sign for the file's byte order, ``size`` its bytes.

    ``missing`` are tags whose values would lie behind the end of the file.
    """

    order: str
    big: bool
    size: int
    values: Mapping[int, Value]
    missing: frozenset[int]
    following: int  # where the next directory stands; 0 for none

    @property
    def beside(self) -> bool:
        """Whether it says that its picture is a small one of another, or a mask."""
        with suppress(Rejected):
            return bool(self.first(KIND, 0) & REDUCED_OR_MASK) or self.first(OLD_KIND, 0) == OLD_REDUCED
        return False

    @property
    def kind(self) -> str:
        """What people call such a file."""
        return "BigTIFF" if self.big else "TIFF"

    def names(self, tag: int) -> bool:
        """Whether a tag is there, though its values may not be."""
        return tag in self.values or tag in self.missing

    def array(self, tag: int, most: int) -> NDArray[np.int64]:
        """The first whole numbers of a tag, ``most`` of them; none without it.

        Raises Rejected: truncated, undecodable.
        """
        if tag in self.missing:
            raise Rejected("truncated", f"this {self.kind} ends before the values of its tag {tag}")
        value = self.values.get(tag)
        if value is None:
            return np.empty(0, np.int64)
        if value.kind not in WHOLE:
            raise Rejected("undecodable", f"tag {tag} of this {self.kind} does not hold whole numbers")
        numbers = np.frombuffer(value.data, f"{self.order}{WHOLE[value.kind]}", count=min(most, value.count))
        return numbers.astype(np.int64)  # a number of 64 bits that becomes negative is nonsense either way

    def whole(self, tag: int, most: int = 256) -> list[int]:
        """The same as a list."""
        numbers: list[int] = self.array(tag, most).tolist()
        return numbers

    def first(self, tag: int, default: int) -> int:
        """The first whole number of a tag."""
        return next(iter(self.whole(tag, 1)), default)

    def fractions(self, tag: int, default: Sequence[float]) -> tuple[float, ...]:
        """The rationals of a tag, of which there have to be as many as in ``default``."""
        value = self.values.get(tag)
        if value is None or value.kind != RATIONAL or value.count < len(default):
            return tuple(default)
        pairs = np.frombuffer(value.data, f"{self.order}u4").reshape(-1, 2)[: len(default)].tolist()
        return tuple(above / below for above, below in pairs) if all(below for _, below in pairs) else tuple(default)

    def blob(self, tag: int) -> bytes:
        """The bytes of a tag that is not about pixels; none where there is something wrong with it."""
        value = self.values.get(tag)
        return value.data if value is not None and BYTES[value.kind] == 1 else b""


def read(data: bytes) -> Directory:
    """The first directory of a file that begins with one of TIFF's four magic numbers.

    Where that says that it is a small picture or a mask, it is the first behind or below it that does not, with the
    orientation of the very first: cameras and scanners write so. Raises Rejected: truncated.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = 43 in data[2:4]  # noqa: PLR2004 - BigTIFF's number, where TIFF has 42
    word, kind = ("Q", "BigTIFF") if big else ("I", "TIFF")
    try:
        (start,) = struct.unpack_from(f"{order}{word}", data, 8 if big else 4)
    except struct.error as error:
        raise Rejected("truncated", f"this {kind} ends before its directory ({len(data)} bytes)") from error
    first = _read(data, start, order, big=big)
    return first if not first.beside else _picture(data, first)


def _picture(data: bytes, first: Directory) -> Directory:
    waiting, seen = [first.following], {0}
    with suppress(Rejected):  # what is wrong with them costs them alone
        waiting = [*first.whole(BELOW, MOST_PICTURES), *waiting]
    while waiting and len(seen) <= MOST_PICTURES:
        start = waiting.pop(0)
        if start in seen:
            continue
        seen.add(start)
        with suppress(Rejected):
            found = _read(data, start, first.order, big=first.big)
            if not found.beside and found.names(WIDTH):
                upright = {tag: value for tag, value in first.values.items() if tag in {ORIENTATION, XMP}}
                return replace(found, values={**upright, **found.values})
            waiting.append(found.following)
    return first


def _read(data: bytes, start: int, order: str, *, big: bool) -> Directory:
    """One directory. Of a tag that stands there twice the first counts, as in libtiff."""
    word = "Q" if big else "I"
    entry = struct.Struct(f"{order}HH{word}")
    size, kind = entry.size + struct.calcsize(f"={word}"), "BigTIFF" if big else "TIFF"
    try:
        (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
    except struct.error as error:
        raise Rejected("truncated", f"this {kind} ends before its directory ({len(data)} bytes)") from error
    first = start + (8 if big else 2)
    if first + count * size > len(data):
        raise Rejected("truncated", f"this {kind} ends in its directory ({len(data)} bytes)")
    values: dict[int, Value] = {}
    missing = set()
    for at in range(first, first + count * size, size):
        tag, form, number = entry.unpack_from(data, at)
        if tag not in TAGS_READ or tag in values:
            continue
        length = BYTES.get(form, 0) * number
        where = at + entry.size
        if length > size - entry.size:
            (where,) = struct.unpack_from(f"{order}{word}", data, where)
        if where + length > len(data):
            missing.add(tag)
        elif length:
            values[tag] = Value(form, number, data[where : where + length])
    behind = first + count * size
    following = int.from_bytes(data[behind : behind + struct.calcsize(f"={word}")], "little" if order == "<" else "big")
    return Directory(order, big, len(data), values, frozenset(missing - values.keys()), following)


def whole(order: str, numbers: Sequence[int] | NDArray[np.int64]) -> Value:
    """Numbers, of which there is one at least, as a tag holds them: in 16 bits where they fit."""
    found = np.asarray(numbers)
    kind = SHORT if found.max() <= 0xFFFF else LONG  # noqa: PLR2004 - 16 bits
    return Value(kind, len(found), found.astype(f"{order}{WHOLE[kind]}").tobytes())


def written(order: str, values: Mapping[int, Value], at: int) -> bytes:
    """A directory of a TIFF with these tags, to stand at ``at``, with the values behind it and no other after it."""
    entries, beside = b"", b""
    behind = at + 2 + 12 * len(values) + 4
    for tag in sorted(values):
        value = values[tag]
        if len(value.data) > 4:  # noqa: PLR2004 - an entry of a TIFF has room for four bytes
            place = struct.pack(f"{order}I", behind + len(beside))
            beside += value.data + b"\0" * (len(value.data) % 2)
        else:
            place = value.data.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, value.kind, value.count) + place
    return struct.pack(f"{order}H", len(values)) + entries + bytes(4) + beside


def header(order: str, at: int) -> bytes:
    """The 8 bytes that a TIFF begins with whose directory stands at ``at``."""
    return (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
