"""Photographs that tell something of themselves, in every format that can."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pillow_heif
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests import photographs

pillow_heif.register_heif_opener()

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="t" xmlns:dc="d" {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
TITLE = '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{}</rdf:li></rdf:Alt></dc:title>'
FORMATS = ("JPEG", "TIFF", "PNG", "WEBP", "HEIF", "AVIF")


def block(
    taken: str = "2026:05:01 12:34:56", *, where: tuple[float, float] | None = (52.0918, -5.1166), turn: int = 1,
    more: dict[int, Any] | None = None, first: dict[int, Any] | None = None,
) -> Image.Exif:  # fmt: skip
    """EXIF of a photograph: when, where (degrees), with what."""
    exif = Image.Exif()
    exif.update({0x010F: "Canon", 0x0110: "Canon EOS 5D", 0x0112: turn, **(first or {})})
    exposure = {0x9003: taken, 0x9011: "+02:00", 0x829A: 1 / 250, 0x829D: 2.8, 0x8827: 400, 0x920A: 50.0}
    exif.get_ifd(0x8769).update(exposure | {0xA434: "EF50mm f/1.8"} | (more or {}))
    if where:
        exif.get_ifd(0x8825).update(
            {
                1: "N" if where[0] >= 0 else "S",
                2: parts(where[0]),
                3: "E" if where[1] >= 0 else "W",
                4: parts(where[1]),
                5: b"\1",
                6: 12.5,
            }
        )
    return exif


def parts(degrees: float) -> tuple[float, float, float]:
    """Degrees, minutes, seconds."""
    whole, rest = divmod(abs(degrees), 1)
    minutes, rest = divmod(rest * 60, 1)
    return whole, minutes, round(rest * 60, 4)


def photograph(form: str = "JPEG", exif: Image.Exif | bytes | None = None, xmp: bytes = b"", seed: int = 1) -> bytes:
    """A small one in a format of Pillow's."""
    out = BytesIO()
    whole = block() if exif is None else exif
    told: dict[str, Any] = {"exif": whole if isinstance(whole, bytes) else whole.tobytes()} if whole else {}
    if xmp and form == "PNG":
        told["pnginfo"] = PngInfo()
        told["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif xmp:
        told |= {"tiffinfo": {700: xmp}} if form == "TIFF" else {"xmp": xmp}
    photographs.pixels(seed).save(out, form, **told)
    return out.getvalue()
