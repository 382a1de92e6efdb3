"""What a file tells of its picture beside the pixels: read once at the decoder, and written only where that is asked.

Blocks come from whatever decoded the file. Nothing in them ever costs the picture: what is damaged is left out.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.ExifTags import IFD

from imgflow_steps.codec import exif

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_steps.codec.exif import ExifValues
    from imgflow_steps.contract.options import Metadata

XMP = 256 << 10  # bytes of a block that are looked at
TITLE = re.compile(rb"<dc:title\b[^<>]{0,200}>\s{0,99}<rdf:Alt>\s{0,99}<rdf:li\b[^<>]{0,200}>([^<>]{1,2000})</rdf:li>")
TITLE_SHORT = re.compile(rb"\bdc:title=\"([^\"<>]{1,2000})\"")
TURN = re.compile(rb"\btiff:Orientation\s{0,9}(?:=\s{0,9}[\"']|>)\s{0,9}([1-8])\b")
TAKEN = re.compile(rb"\b(?:exif:DateTimeOriginal|photoshop:DateCreated)(?:=\"|>)([-0-9T:.+Z]{19,40})")

FIRST_OUT = frozenset({0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298, 0x9C9B, 0x9C9D, 0x9C9E})  # Make, Artist…
NOT_OUT = frozenset({0x927C, 0xA000, 0xA001, 0xA002, 0xA003, 0xA005})  # MakerNote, and what is of the file that was
SAYS_WHERE = frozenset({0x9286, 0xA420})  # UserComment may hold anything, ImageUniqueID leads to the original


def packet_of(info: Mapping[Any, Any]) -> bytes:
    """The packet of XMP beside a picture, as Pillow found it."""
    packet = info.get("xmp") or info.get("XML:com.adobe.xmp") or b""
    return packet.encode() if isinstance(packet, str) else packet if isinstance(packet, bytes) else b""


def exif_of(info: Mapping[Any, Any]) -> bytes:
    """The block of EXIF beside a picture; of a PNG also as ImageMagick writes it, in hexadecimal."""
    block = info.get("exif")
    if isinstance(block, bytes):
        return block
    try:
        return bytes.fromhex("".join(info["Raw profile type exif"].split("\n")[3:]))
    except (KeyError, ValueError, AttributeError):
        return b""


def of_blocks(block: bytes, packet: bytes) -> ExifValues:
    """The same of a block of EXIF, or a whole TIFF, and of a packet of XMP. EXIF counts, but for a title."""
    try:
        known = exif.values(block)
        said = _of_xmp(packet[:XMP]) if packet else {}
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - whatever is wrong beside a picture never costs it
        return {}
    return {**said, **known, **({"title": said["title"]} if "title" in said else {})}


def _of_xmp(packet: bytes) -> ExifValues:
    found: ExifValues = {}
    if match := TITLE.search(packet) or TITLE_SHORT.search(packet):
        exif.keep(found, "title", exif.clean(html.unescape(match[1].decode("utf-8", "replace"))))
    if match := TURN.search(packet):
        found["orientation"] = int(match[1])
    if match := TAKEN.search(packet):
        text = match[1].decode()
        fraction, zone = re.fullmatch(r".{19}(?:\.(\d+))?(.*)", text, re.DOTALL).groups("")  # type: ignore[union-attr]  # fits
        found |= exif.moment(text, fraction, zone)
    return found


def outgoing(block: bytes, keep: Metadata) -> bytes:
    """The EXIF that goes out with a result: who, when, with what and, if asked, where; b"" where there is none.

    It is written anew: no thumbnail, which would show the picture before its steps, nothing else that is long enough to
    be one, no notes of a maker, and the picture is upright. XMP does not go out. What cannot be read is left out.
    """
    if keep == "strip" or not block:
        return b""
    position = keep == "keep"
    try:
        before, after = Image.Exif(), Image.Exif()
        before.load(block)
        after.update({tag: value for tag, value in _few(before).items() if tag in FIRST_OUT})
        hidden = NOT_OUT if position else NOT_OUT | SAYS_WHERE
        kept = {tag: value for tag, value in _few(before.get_ifd(IFD.Exif)).items() if tag not in hidden}
        after.get_ifd(IFD.Exif).update(kept)
        if position:
            after.get_ifd(IFD.GPSInfo).update(_few(before.get_ifd(IFD.GPSInfo)))
        if not any((after, kept, position and after.get_ifd(IFD.GPSInfo))):
            return b""
        return after.tobytes()
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - see above
        return b""


def _few(tags: Mapping[Any, Any]) -> dict[Any, Any]:
    """The tags whose values are too short to hold a picture, as a comment of the user or a private tag may."""
    return {tag: value for tag, value in tags.items() if not hasattr(value, "__len__") or len(value) <= exif.LONGEST}
