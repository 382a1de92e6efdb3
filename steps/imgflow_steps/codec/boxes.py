"""What the boxes of a HEIC or AVIF say of its picture: ISO/IEC 14496-12 and 23008-12."""

from __future__ import annotations

import struct
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Box = tuple[bytes, bytes]
    Crop = tuple[int, int, int, int]


def properties(data: bytes) -> list[Box]:
    """Name and content of what is told of the primary picture, in order; nothing where boxes are damaged."""
    try:
        meta = _all(next(body for name, body in _boxes(data) if name == b"meta")[4:])
        kept = _all(meta[b"iprp"])
        primary = struct.unpack_from(">H" if meta[b"pitm"][0] == 0 else ">I", meta[b"pitm"], 4)[0]
        told = list(_boxes(kept[b"ipco"]))
        return [told[index - 1] for index in _associated(kept[b"ipma"], primary) if 0 < index <= len(told)]
    except (KeyError, StopIteration, IndexError, struct.error):
        return []


def _boxes(data: bytes) -> Iterator[Box]:
    at = 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at : at + 4]), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        size = size or len(data) - at
        if size < head:
            return
        yield data[at + 4 : at + 8], data[at + head : at + size]
        at += size


def _all(data: bytes) -> dict[bytes, bytes]:
    return dict(_boxes(data))


def _associated(body: bytes, item: int) -> Iterator[int]:
    """Which properties belong to an item, counted from 1."""
    wide, long = body[3] & 1, body[0] > 0
    [count], at = struct.unpack_from(">I", body, 4), 8
    for _ in range(count):
        (found, number), at = struct.unpack_from(">IB" if long else ">HB", body, at), at + (5 if long else 3)
        if found == item:
            indices = struct.unpack_from(f">{number}{'H' if wide else 'B'}", body, at)
            yield from (index & (0x7FFF if wide else 0x7F) for index in indices)
            return
        at += number * (2 if wide else 1)


def colours(told: list[Box]) -> tuple[int, int] | None:
    """Primaries and transfer by their numbers in H.273, where they are told so."""
    body = next((body for name, body in told if name == b"colr" and body[:4] == b"nclx" and len(body) >= 8), None)  # noqa: PLR2004 - two numbers
    return None if body is None else struct.unpack_from(">HH", body, 4)


def aperture(told: list[Box], size: tuple[int, int]) -> Crop | None:
    """Left, upper, right and lower of what is to be shown of a picture; None for all of it, and for what cannot be."""
    body = next((body for name, body in told if name == b"clap" and len(body) >= 32), None)  # noqa: PLR2004 - four fractions
    if body is None:
        return None
    numbers = struct.unpack_from(">4I", body) + struct.unpack_from(">iIiI", body, 16)
    if not all(numbers[1::2]):
        return None
    across, down, right, lower = (Fraction(*numbers[i : i + 2]) for i in range(0, 8, 2))
    left, upper = floor(right + (size[0] - across) / 2), floor(lower + (size[1] - down) / 2)
    box = (left, upper, left + round(across), upper + round(down))
    inside = 0 <= left < box[2] <= size[0] and 0 <= upper < box[3] <= size[1]
    return box if inside and box != (0, 0, *size) else None
