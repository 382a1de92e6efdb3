"""What a JPEG file says of itself around its pixels: ITU-T T.81, annex B. Nothing here looks into coded pixels."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOI, EOI, SOS, DQT, DHT, DAC, DRI, COM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xCC, 0xDD, 0xFE
JFIF, EXIF, ICC, ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
FRAMES = frozenset(range(0xC0, 0xD0)) - {DHT, DAC, 0xC8} | {0xF7}
ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
CODING = frozenset({DQT, DHT, DAC, DRI})  # segments without which there are no pixels
BARE = CODING | {JFIF, ADOBE, COM}  # segments that tell nothing but how pixels are coded
BETWEEN = CODING | {SOS, 0xDC, COM, *range(0xE0, 0xF0)}  # what may stand between two scans
FOLLOWING = ALONE | {SOI, EOI, 0xDC, COM, *range(0xE0, 0xF0)}  # what may follow a picture's only scan

HUFFMAN = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what every decoder reads
PROGRESSIVE = frozenset({0xC2, 0xCA})
LOSSLESS, JPEG_LS = 0xC3, 0xF7
SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC9})
ARITHMETIC = frozenset({0xC9, 0xCA})
READ = HUFFMAN | ARITHMETIC | {LOSSLESS}

COEFFICIENTS = 64  # of a block

ZEROS = 64  # bytes at the end of the data; more may be what a copy has left out…
FEW = 4  # …but for some that may be the picture's

MARKER = re.compile(rb"\xff+([\x01-\xfe])")
SCAN_ENDS = re.compile(rb"\xff+(?:[\x01-\xcf\xd8-\xfe]|$)")  # neither a stuffed byte, nor a restart marker
RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker and what belongs to it, without its length."""

    marker: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Scan:
    """Which components and coefficients a scan carries, and where its entropy-coded bytes lie."""

    components: tuple[int, ...]  # identifiers
    band: tuple[int, int]  # Ss, Se
    bits: tuple[int, int]  # Ah, Al
    interval: int  # minimum coded units between two restart markers; 0 for none
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Head:
    """All of a file in front of its first scan."""

    process: int  # the marker of its frame: 0xC0 is baseline
    precision: int
    width: int
    height: int
    components: tuple[tuple[int, int, int], ...]  # identifier, horizontal and vertical sampling
    scan: int  # where the marker of the first scan stands
    segments: tuple[Segment, ...] = field(repr=False)

    @property
    def huffman(self) -> bool:
        """Whether it is of the kinds that may be asked for at a fraction of their size."""
        return self.process in HUFFMAN and self.precision == 8 and len(self.components) in {1, 3, 4}  # noqa: PLR2004

    @property
    def bare(self) -> bool:
        """Whether nothing but one block of EXIF may stand beside the pixels, as in most files of the web."""
        rest = [one for one in self.segments if one.marker not in BARE and one.marker not in FRAMES]
        return not rest or (len(rest) == 1 and rest[0].marker == EXIF and rest[0].body.startswith(b"Exif\0\0"))

    @property
    def exif(self) -> bytes:
        """The block of EXIF of a ``bare`` file; b"" where it has none."""
        return next((one.body for one in self.segments if one.marker == EXIF), b"")

    def parted(self, data: bytes) -> bool:
        """Whether its picture is spread over several scans, of which some may be missing."""
        return self.process in PROGRESSIVE or data[self.scan + 4] != len(self.components)


def read(data: bytes) -> Head | None:
    """The head of a file; None where there is none before it ends.

    Raises Rejected("unsupported-mode" or "unsupported-format") for kinds of JPEG that nothing here decodes.
    """
    segments: list[Segment] = []
    at, frame = 2, None
    while found := MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == EOI:
            return None
        if marker in ALONE or marker == SOI:
            continue
        if len(data) < at + 2:
            return None
        length = max(2, int.from_bytes(data[at : at + 2]))
        body = data[at + 2 : at + length]
        if marker in FRAMES and frame is None:
            frame = _frame(marker, body)
        if marker == SOS:
            return Head(*frame, found.end() - 2, tuple(segments)) if frame else None
        segments.append(Segment(marker, body))
        at += length
    return None


def _frame(marker: int, body: bytes) -> tuple[int, int, int, int, tuple[tuple[int, int, int], ...]] | None:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:  # noqa: PLR2004 - as T.81, B.2.2 has it
        return None
    precision, height, width, count = struct.unpack_from(">BHHB", body)
    if reason := _unread(marker, precision, height, count):
        raise Rejected("unsupported-format" if marker == JPEG_LS else "unsupported-mode", reason)
    components = tuple((body[i], body[i + 1] >> 4, body[i + 1] & 15) for i in range(6, 6 + 3 * count, 3))
    return marker, precision, width, height, components


def _unread(marker: int, precision: int, height: int, count: int) -> str:
    """Why nothing here decodes a frame, in words; "" where something does."""
    save = "save it as a baseline JPEG of 8 bits, as PNG or as TIFF"
    if marker == JPEG_LS:
        return f"this is a JPEG-LS file, which is not read; {save}, for example with ffmpeg"
    if marker not in READ:
        kind = "lossless with arithmetic coding" if marker == 0xCB else "hierarchical"  # noqa: PLR2004 - SOF11
        return f"this JPEG is {kind}, which is not read; {save}"
    if precision != 8:  # noqa: PLR2004 - all that is read
        return f"this JPEG has {precision} bits a sample (12 bit or the like), of which only 8 are read; {save}"
    if count not in {1, 3, 4}:
        return f"this JPEG has {count} components; read are 1 (grey), 3 (colour) and 4 (CMYK)"
    if not height:
        return f"this JPEG has its height only behind its pixels (DNL), which is not read; {save}"
    return ""


def scans(data: bytes, head: Head) -> Iterator[Scan]:
    """Every scan, in order; they end where the file or what belongs to its picture does.

    It searches entropy-coded data for its end, at about a nanosecond a byte: only for files in doubt or of many scans.
    """
    at, interval = head.scan, 0
    for segment in head.segments:
        interval = _interval(segment, interval)
    while found := MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        length = max(2, int.from_bytes(data[at : at + 2]))
        body = data[at + 2 : at + length]
        if marker not in BETWEEN or len(body) < length - 2:
            return
        at += length
        interval = _interval(Segment(marker, body), interval)
        if marker != SOS:
            continue
        if not body or len(body) < 1 + 2 * body[0] + 3:
            return
        first, last, bits = body[1 + 2 * body[0] :][:3]
        end = found.start() if (found := SCAN_ENDS.search(data, at)) else len(data)
        yield Scan(tuple(body[1 : 1 + 2 * body[0] : 2]), (first, last), (bits >> 4, bits & 15), interval, at, end)
        at = end


def _interval(segment: Segment, before: int) -> int:
    return int.from_bytes(segment.body[:2]) if segment.marker == DRI else before


def lacks(data: bytes, head: Head, found: Iterable[Scan], *, doubted: bool) -> bool:
    """Whether something of the picture is missing that no decoder complains of.

    A progressive file may leave out the finest bits on purpose; one in doubt, or without an end, has lost them.
    Without a doubt, ``found`` is read only until there is something of every coefficient of every component.
    """
    progressive = head.process in PROGRESSIVE
    missing = {(identifier, k) for identifier, *_ in head.components for k in range(COEFFICIENTS if progressive else 1)}
    seen = []
    for scan in found:
        if not (doubted or missing):
            break
        seen.append(scan)
        band = range(scan.band[0], scan.band[1] + 1) if progressive else (0,)
        missing -= {(identifier, k) for identifier in scan.components for k in band}
    if missing or not doubted:
        return bool(missing)
    if progressive and not all(_complete([one for one in seen if i in one.components]) for i, *_ in head.components):
        return True
    return any(_restarts_missing(data, head, scan) for scan in seen)


def _complete(own: list[Scan]) -> bool:
    exact = {k for scan in own if scan.bits[1] == 0 for k in range(scan.band[0], scan.band[1] + 1)}
    return len(exact) == COEFFICIENTS


def _restarts_missing(data: bytes, head: Head, scan: Scan) -> bool:
    if not scan.interval:
        return False
    found = [mark[0] & 7 for mark in RESTARTS.findall(data, scan.start, scan.end)]
    expected = -(-_units(head, scan) // scan.interval) - 1
    return found != [i % 8 for i in range(expected)]


def _units(head: Head, scan: Scan) -> int:
    """Minimum coded units of a scan: T.81, A.2."""
    across, down = max(h for _, h, _ in head.components), max(v for _, _, v in head.components)
    side = 1 if head.process == LOSSLESS else 8
    if len(scan.components) > 1:
        return ceil(head.width / (side * across)) * ceil(head.height / (side * down))
    h, v = next((h, v) for identifier, h, v in head.components if identifier in scan.components)
    return ceil(ceil(head.width * h / across) / side) * ceil(ceil(head.height * v / down) / side)


def ended(data: bytes, all_scans: list[Scan]) -> bool:
    """Whether the end marker follows the last scan; what stands behind that is nobody's business."""
    found = MARKER.search(data, all_scans[-1].end) if all_scans else None
    return bool(found and found[1][0] == EOI)


def stray(data: bytes, head: Head, all_scans: list[Scan]) -> int:
    """The marker in the middle of a picture's only scan, where none may be; 0 for none.

    Damage makes such a one out of coded data: all that follows it is lost, and what precedes it is out of step. One
    without a meaning may also be of what a telephone puts behind a picture, unless the picture's end comes after it.
    """
    if head.process not in SEQUENTIAL | {LOSSLESS} or head.parted(data) or not all_scans:
        return 0
    behind = (found[1][0] for found in MARKER.finditer(data, all_scans[0].end))
    marker = next(behind, EOI)
    if marker in FOLLOWING:
        return 0
    in_front = marker in CODING | FRAMES | {SOS}
    return marker if in_front or next((one for one in behind if one in {SOI, EOI}), SOI) == EOI else 0


def repaired(data: bytes, head: Head, all_scans: list[Scan], *, coding: bool = False) -> bytes:
    """The same picture with nothing in front of it that a decoder could stumble over, and an end behind it.

    With ``coding``, what tells of orientation and profile is left out, too. Pixels stay as they are: a transform that
    decoders do not know is written as the one that they then assume.
    """
    body = bytearray(data[head.scan : all_scans[-1].end if all_scans else len(data)])
    if head.process in SEQUENTIAL:
        for scan in all_scans:
            body[scan.start - 3 - head.scan : scan.start - head.scan] = b"\0\x3f\0"
    colours = len(head.components)
    kept = b"".join(_written(segment) for one in head.segments if (segment := _mended(one, colours, coding=coding)))
    return b"\xff\xd8" + kept + body + b"\xff\xd9"


def without_zeros(plain: bytes) -> bytes:
    """A repaired file with a few of the zeros that its data ends with, where they are many; else the same object."""
    bare = plain[:-2].rstrip(b"\0")
    return bare + bytes(FEW) + plain[-2:] if len(plain) - 2 - len(bare) > ZEROS else plain


def _written(segment: Segment) -> bytes:
    return b"\xff" + bytes([segment.marker]) + (len(segment.body) + 2).to_bytes(2) + segment.body


def _mended(segment: Segment, colours: int, *, coding: bool) -> Segment | None:
    """A segment as decoders expect it; None for one that no pixel needs."""
    marker, body = segment.marker, segment.body
    if marker in CODING or marker in FRAMES:
        return segment
    if marker == JFIF and body.startswith(b"JFIF\0"):
        return Segment(marker, b"JFIF\0\1\1" + (body[7:14] if len(body) >= 14 else b"\0\0\1\0\1\0\0"))  # noqa: PLR2004
    if marker == ADOBE and body.startswith(b"Adobe") and len(body) >= 12:  # noqa: PLR2004 - as libjpeg has it
        assumed = 2 if colours == 4 else 1  # noqa: PLR2004 - YCCK, YCbCr
        return Segment(marker, body[:11] + bytes([body[11] if body[11] in {0, assumed} else assumed]))
    told = marker == EXIF and body.startswith((b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"))
    profile = marker == ICC and body.startswith(b"ICC_PROFILE\0") and len(body) > 14  # noqa: PLR2004 - of its own head
    return segment if (told or profile) and not coding else None
