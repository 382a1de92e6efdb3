"""Photographs that are not read, known by name or by their first bytes, and the command that makes pictures of them."""

from __future__ import annotations

import re
import shlex

RAW = {
    "3fr": "Hasselblad", "arw": "Sony", "cr2": "Canon", "cr3": "Canon", "crw": "Canon", "dcr": "Kodak", "dng": "DNG",
    "erf": "Epson", "gpr": "GoPro", "iiq": "Phase One", "kdc": "Kodak", "mef": "Mamiya", "mos": "Leaf",
    "mrw": "Minolta", "nef": "Nikon", "nrw": "Nikon", "orf": "Olympus", "pef": "Pentax", "raf": "Fujifilm",
    "rw2": "Panasonic", "rwl": "Leica", "sr2": "Sony", "srf": "Sony", "srw": "Samsung", "x3f": "Sigma",
}  # fmt: skip
JPEG_XL, JPEG_2000, PDF = ("jxl",), ("jp2", "j2k", "jpf", "jpx"), ("pdf",)
SUFFIXES = frozenset(f".{suffix}" for suffix in (*RAW, *JPEG_XL, *JPEG_2000, *PDF))

# What such files begin with, and the suffix that they usually have. A DNG is known by its tags alone.
BEGINNINGS = (
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), "jxl"),
    (re.compile(rb"\0\0\0\x0cjP {2}\r\n\x87\n|\xff\x4f\xff\x51"), "jp2"),
    (re.compile(rb"%PDF-"), "pdf"),
    (re.compile(rb"II\*\0....CR\x02", re.DOTALL), "cr2"),
    (re.compile(rb"....ftypcrx ", re.DOTALL), "cr3"),
    (re.compile(rb"FUJIFILMCCD-RAW"), "raf"),
    (re.compile(rb"IIR[OS]|MMOR"), "orf"),
    (re.compile(rb"IIU\0"), "rw2"),
)

# What else is found under the names of pictures, and what would help.
SAVED = "save it as PNG, TIFF or JPEG"
PAGE = "a web page: whoever copied it was probably asked to sign in; copy it again"
COPIED_AS_TEXT = "a picture that was copied as text, which changed its bytes; copy it again, as binary"
OTHERS = (
    (rb"FOVb|II\x1a\0\0\0HEAPCCDR|\0MRM", "a raw photograph; develop it first, for example with `darktable-cli`"),
    (rb"II\xbc", f"JPEG XR; {SAVED}"),
    (rb"8BPS", f"a Photoshop document; {SAVED}"),
    (rb"gimp xcf", f"a GIMP document; {SAVED}"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript; export it as PNG"),
    (rb"\x76\x2f\x31\x01", f"OpenEXR; {SAVED}"),
    (rb"#\?R(?:ADIANCE|GBE)", f"Radiance HDR; {SAVED}"),
    (rb"P[1-7]\s", f"a PNM; {SAVED}"),
    (rb"qoif", f"QOI; {SAVED}"),
    (rb"DDS ", f"a DirectDraw texture; {SAVED}"),
    (rb"\0\0[\x01\x02]\0[^\0]\0", f"a Windows icon; {SAVED}"),
    (rb"icns", f"a macOS icon; {SAVED}"),
    (rb".{128}DICM", f"DICOM; {SAVED}"),
    (rb"RIFF.{4}AVI ", "a video (AVI)"),
    (rb"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    (rb"\0\x05\x16[\0\x07]", "what macOS keeps beside a file (AppleDouble), not the file itself"),
    (rb"bplist00", "a placeholder of a cloud's folder; have the cloud download the file itself"),
    (rb"version https://git-lfs", "a pointer of Git LFS; fetch the file itself with `git lfs pull`"),
    (rb"PK\x03\x04", "a zip or an office document; unpack it, or have `imgflow ingest` read it"),
    (rb"\x1f\x8b", "a file that gzip has compressed; unpack it"),
    (rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<svg", "SVG; export it as PNG"),
    (rb"(?i)(?:\xef\xbb\xbf)?\s*<(?:!doctype html|html|head)", PAGE),
    (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "an XML document, such as a store's error; copy the file again"),
    (rb"\s*[\[{]\s*[\"{]", "a JSON document; copy the file again"),
    (rb"\x89PNG|\xef\xbf\xbdPNG|\xc2\x89PNG|\xc3\xbf\xc3\x98|(?:\xef\xbf\xbd){3}", COPIED_AS_TEXT),
    (rb"\0{64}", "a file of zeros: its content was lost, as by a full disk or a copy that was stopped; copy it again"),
)  # fmt: skip
PATTERNS = [(re.compile(beginning, re.DOTALL), what) for beginning, what in OTHERS]


def by_name(key: str) -> str:
    """What a file is by its suffix, and the command that converts it; "" where such files are read or left out."""
    name = key.rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return said(suffix.lower(), name, stem) if f"{dot}{suffix.lower()}" in SUFFIXES else ""


def by_bytes(data: bytes) -> str:
    """The same by what it begins with, and of more kinds: a web page, a pointer, a copy that went wrong."""
    if suffix := next((suffix for begins, suffix in BEGINNINGS if begins.match(data)), ""):
        return said(suffix)
    return next((what for begins, what in PATTERNS if begins.match(data)), "")


def said(suffix: str, name: str = "", stem: str = "photo") -> str:
    """What a file with this suffix is and how to convert it, in one line."""
    file, to = shlex.quote(name or f"photo.{suffix}"), shlex.quote
    if suffix in RAW:
        return f"a raw photograph ({RAW[suffix]}); develop it first: `darktable-cli {file} {to(stem + '.jpg')}`"
    if suffix in JPEG_XL:
        return f"JPEG XL; convert it first: `djxl {file} {to(stem + '.png')}`"
    if suffix in JPEG_2000:
        return f"JPEG 2000; convert it first: `opj_decompress -i {file} -o {to(stem + '.png')}`"
    return f"a PDF; make pictures of its pages first: `pdftoppm -jpeg -r 300 {file} {to(stem)}`"
