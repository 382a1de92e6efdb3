"""A block of EXIF as its tags: bounded, and never at the cost of the picture beside it.

Layout: EXIF 2.32, that is a TIFF whose first directory points at one about the exposure and one about the position.
"""

from __future__ import annotations

import math
import re
import struct
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

PREFIX = b"Exif\0\0"
FIRST = frozenset({0x010E, 0x010F, 0x0110, 0x0112, 0x8769, 0x8825, 0x9C9B})
EXPOSURE = frozenset({0x829A, 0x829D, 0x8827, 0x9003, 0x9004, 0x9011, 0x9012, 0x9291, 0x9292, 0x920A, 0xA405, 0xA434})
POSITION = frozenset(range(1, 7))
BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 7: "B", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
PAIRS = {5: "I", 10: "i"}
LONGEST = 1000  # bytes of a text that are looked at
ENTRIES = 512  # of one directory that are looked at
SHOWN = 200  # characters of a text that are kept
WHEN = re.compile(r"(\d{4})[:/.-](\d\d)[:/.-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
FRACTION = re.compile(r"\d{1,6}", re.ASCII)
ZONE = re.compile(r"([+-])(\d\d):?(\d\d)|Z", re.ASCII)
MOST = float(1 << 53)  # beyond it a double is no longer exact, and Arrow takes no whole number for one

Value = tuple[int, int, bytes]  # kind, count, bytes as they lie in the file
Tags = dict[int, Value]
ExifValues = dict[str, str | float | int]


def values(block: bytes) -> ExifValues:
    """What a block, or a whole TIFF or BigTIFF, says of its picture. Whatever is wrong with a value leaves that out."""
    block = block.removeprefix(PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]), "")
    if not order or block[2:4] not in {b"*\0", b"\0*", b"+\0", b"\0+"}:
        return {}
    big = 43 in block[2:4]  # noqa: PLR2004 - BigTIFF's number, where TIFF has 42
    first = _directory(block, _pointer(block, order, 8 if big else 4, big=big), order, FIRST, big=big)
    exposure, position = (
        _directory(block, next(_numbers(first.get(tag), order), 0), order, wanted, big=big)
        for tag, wanted in ((0x8769, EXPOSURE), (0x8825, POSITION))
    )
    return {**_camera(first, order), **_exposure(exposure, order), **_position(position, order)}


def _pointer(block: bytes, order: str, at: int, *, big: bool) -> int:
    with suppress(struct.error):
        return int(struct.unpack_from(order + ("Q" if big else "I"), block, at)[0])
    return 0


def _directory(block: bytes, start: float, order: str, wanted: Collection[int], *, big: bool) -> Tags:
    """The wanted tags of the directory at a place, of several the first; none where it does not lie in the block."""
    size, room = (20, 8) if big else (12, 4)
    found: Tags = {}
    at = int(start)
    if not 0 < at <= len(block):
        return found
    with suppress(struct.error):
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), block, at)
        at += 8 if big else 2
        entry = struct.Struct(order + ("HHQ" if big else "HHI"))
        for place in range(at, at + size * min(count, ENTRIES), size):
            tag, kind, number = entry.unpack_from(block, place)
            length = BYTES.get(kind, 0) * number
            if tag not in wanted or tag in found or not length:
                continue
            where = place + entry.size
            if length > room:
                where = _pointer(block, order, where, big=big)
            if where + length <= len(block):
                found[tag] = (kind, number, bytes(block[where : where + min(length, LONGEST)]))
    return found


def _numbers(value: Value | None, order: str) -> Iterator[float]:
    """The numbers of a tag, whatever kind it says they are; a fraction over nothing is none."""
    if value is None:
        return
    kind, _, data = value
    if kind in PAIRS:
        for above, below in struct.iter_unpack(f"{order}2{PAIRS[kind]}", data[: len(data) // 8 * 8]):
            yield above / below if below else math.nan
    elif kind in NUMBERS:
        form = struct.Struct(order + NUMBERS[kind])
        for (number,) in form.iter_unpack(data[: len(data) // form.size * form.size]):
            yield number


def _number(value: Value | None, order: str, least: float = 0.0, most: float = MOST) -> float | None:
    found = next(_numbers(value, order), math.nan)
    return found if least < found < most else None


def _text(value: Value | None) -> str:
    if value is None or BYTES[value[0]] != 1:
        return ""
    return clean(value[2].split(b"\0")[0].decode("utf-8", "replace"))


def clean(text: str) -> str:
    """A text in one line without what cannot be printed, cut where it is long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SHOWN]


def _camera(tags: Tags, order: str) -> ExifValues:
    make, model = _text(tags.get(0x010F)), _text(tags.get(0x0110))
    found: ExifValues = {}
    named = model if model.casefold().startswith(make.split(" ")[0].casefold()) else f"{make} {model}"
    keep(found, "camera", (named if model else make).strip())
    turn = next(_numbers(tags.get(0x0112), order), 0)
    keep(found, "orientation", int(turn) if turn in range(1, 9) else None)
    keep(found, "description", _text(tags.get(0x010E)))
    if wide := tags.get(0x9C9B):  # XPTitle, as Windows writes it
        keep(found, "title", clean(wide[2][: len(wide[2]) & ~1].decode("utf-16-le", "replace").split("\0")[0]))
    return found


def _exposure(tags: Tags, order: str) -> ExifValues:
    found: ExifValues = {}
    for when, fraction, zone in ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012)):  # taken, else digitized
        if "taken" not in found:
            found |= moment(_text(tags.get(when)), _text(tags.get(fraction)), _text(tags.get(zone)))
    keep(found, "lens", _text(tags.get(0xA434)))
    for name, tag in (("exposure", 0x829A), ("aperture", 0x829D), ("iso", 0x8827), ("focal_length", 0x920A)):
        keep(found, name, _number(tags.get(tag), order))
    keep(found, "focal_length_35mm", _number(tags.get(0xA405), order))
    return found


def moment(text: str, fraction: str = "", zone: str = "") -> ExifValues:
    """``taken``, by the clock of the camera, and ``zone``, where that is known; nothing for a date that is none."""
    if not (match := WHEN.match(text)):
        return {}
    try:
        when = datetime(*map(int, match.groups())).isoformat()  # type: ignore[arg-type]  # noqa: DTZ001 - as it was there
    except ValueError:
        return {}
    digits = FRACTION.match(fraction)
    found: ExifValues = {"taken": f"{when}.{digits[0]}" if digits else when}
    if known := ZONE.fullmatch(zone.strip()):
        sign, hours, minutes = known.groups()
        if sign is None or (int(hours) <= 14 and int(minutes) < 60):  # noqa: PLR2004 - as far as zones go
            found["zone"] = f"{sign}{hours}:{minutes}" if sign else "+00:00"
    return found


def _position(tags: Tags, order: str) -> ExifValues:
    found: ExifValues = {}
    sides = [
        _degrees(list(_numbers(tags.get(tag), order)), _text(tags.get(tag - 1)), most)
        for tag, most in ((2, 90), (4, 180))
    ]
    if None in sides or not any(sides):  # a camera that knows no place may write zeros
        return found
    found["latitude"], found["longitude"] = sides  # type: ignore[assignment]  # neither is None
    height = _number(tags.get(6), order, least=-1.0, most=100_000)
    if height is not None:
        below = next(_numbers(tags.get(5), order), 0) == 1
        found["altitude"] = round(-height if below else height, 3)
    return found


def _degrees(parts: Sequence[float], side: str, most: int) -> float | None:
    """Degrees, minutes and seconds as one number; None for what lies nowhere. South and west are negative."""
    known = [*parts[:3], 0.0, 0.0][:3]
    if not parts or not all(0 <= part < 1 << 20 for part in known):
        return None
    value = known[0] + known[1] / 60 + known[2] / 3600
    return round(-value if side[:1].upper() in {"S", "W"} else value, 7) if value <= most else None


def keep(found: ExifValues, name: str, value: str | float | None) -> None:
    """Note a value, if there is one."""
    if value not in (None, ""):
        found[name] = round(value, 6) if isinstance(value, float) else value


def merged(*blocks: Mapping[str, str | float | int]) -> ExifValues:
    """What several sources tell, the first of them counting."""
    return {name: value for block in reversed(blocks) for name, value in block.items()}
