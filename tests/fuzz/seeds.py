"""What fuzzing begins with: small files of every format, depth, layout and kind of side data, made here."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, PngImagePlugin
from tests import jpegs, photographs, tiffs

from imgflow_service.wire.processor_pb2 import ProcessRequest

PHOTOGRAPH = photographs.pixels(5, 37, 29)
GREY = PHOTOGRAPH.convert("L")
BOUNDARY = b"----imgflow"


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """As Pillow writes it."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@cache
def pictures() -> dict[str, bytes]:
    """Pictures, each with a name that says what is special about it."""
    return _of_pillow() | _of_tiffs() | {f"jpeg {name}": data for name, data in jpegs.ALL.items()}


def _of_pillow() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "imgflow"
    text = PngImagePlugin.PngInfo()
    text.add_text("Title", "a street " * 9, zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    modes = {"1": GREY.convert("1"), "L": GREY, "LA": GREY.convert("LA"), "P": PHOTOGRAPH.quantize(16)}
    modes |= {"RGB": PHOTOGRAPH, "RGBA": PHOTOGRAPH.convert("RGBA"), "I;16": GREY.convert("I;16")}
    heif = io.BytesIO()
    pillow_heif.from_pillow(PHOTOGRAPH).save(heif, quality=80)
    return {
        **{f"png {mode}": encoded(image, "PNG") for mode, image in modes.items()},
        "png with side data": encoded(PHOTOGRAPH, "PNG", pnginfo=text, exif=exif, dpi=(72, 72)),
        "png with a key": encoded(GREY, "PNG", transparency=9),
        "jpeg with side data": encoded(PHOTOGRAPH, "JPEG", exif=exif, comment=b"a street", dpi=(72, 72)),
        "mpo": encoded(PHOTOGRAPH, "MPO", save_all=True, append_images=[PHOTOGRAPH]),
        "webp": encoded(PHOTOGRAPH, "WEBP", exif=exif),
        "webp lossless alpha": encoded(PHOTOGRAPH.convert("RGBA"), "WEBP", lossless=True),
        "webp moving": encoded(PHOTOGRAPH, "WEBP", save_all=True, append_images=[PHOTOGRAPH.rotate(9)]),
        "gif": encoded(PHOTOGRAPH, "GIF"),
        "gif moving": encoded(PHOTOGRAPH.quantize(8), "GIF", save_all=True, append_images=[PHOTOGRAPH.rotate(9)]),
        **{f"bmp {mode}": encoded(modes[mode], "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")},
        "avif": encoded(PHOTOGRAPH, "AVIF", quality=70, exif=exif),
        "heic": heif.getvalue(),
    }


def _of_tiffs() -> dict[str, bytes]:
    colour = np.asarray(PHOTOGRAPH, np.uint32)
    made = {}
    for compression in tiffs.COMPRESSIONS:
        for bits in (8, 16):
            for planar in (False, True):
                name = f"tiff {compression} {bits} {'planar' if planar else 'chunky'}"
                wide = colour * (257 if bits == 16 else 1)
                made[name] = tiffs.tiff(wide, bits, 2, planar=planar, compression=compression)
    grey = np.asarray(GREY, np.uint32)[:, :, np.newaxis]
    made["tiff bilevel"] = tiffs.tiff(grey >> 7, 1, 0)
    made["tiff twelve bits"] = tiffs.tiff(grey * 16, 12, 1)
    made["tiff big"] = tiffs.tiff(colour, 8, 2, big=True, order=">")
    made["tiff tiles"] = tiffs.tiff(colour, 8, 2, tile=(16, 16), compression="lzw", predictor=True)
    made["tiff alpha"] = tiffs.tiff(np.dstack([colour, colour[:, :, :1]]), 8, 2, extra=(2,))
    return made


@cache
def tables() -> dict[str, bytes]:
    """Tables beside photographs, as people write them."""
    text = 'id;Straße;"aufgenommen am";Höhe\n1;Hauptstraße;24.12.2025;1,5\n2;"Am ""Ring""\n2";01.01.2026;\n'
    parquet = io.BytesIO()
    pq.write_table(pa.table({"id": ["1", "2"], "taken": [1.5, None], "tags": [["a"], []]}), parquet)
    return {
        "csv": b"id,name,count\n1,one,1\n2,two,\n",
        "csv of Excel": text.encode("cp1252"),
        "csv in UTF-16": text.encode("utf-16"),
        "csv with a mark": b"\xef\xbb\xbfsep=;\n" + text.encode(),
        "tsv": b"path\tlabel\nimages/1.jpg\tfa\xc3\xa7ade\n",
        "parquet": parquet.getvalue(),
    }


@cache
def archives() -> dict[str, bytes]:
    """Archives of photographs, and such with names that lead elsewhere."""
    good = ("1.jpg", "a/2.jpg", ".hidden/5.jpg", "a\\6.jpg")
    made = {}
    for what, names in {"": good, " with ways out": (*good, "../3.jpg", "/4.jpg")}.items():
        made[f"zip{what}"] = _zip(names)
        made |= {f"tar {kind}{what}": _tar(names, kind) for kind in ("", "gz", "xz")}
    return made


def _zip(names: Sequence[str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), photographs.jpeg(1, 16, 12))
    return packed.getvalue()


def _tar(names: Sequence[str], kind: str) -> bytes:
    photograph, packed = photographs.jpeg(1, 16, 12), io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(photograph)
            archive.addfile(member, io.BytesIO(photograph))
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(link)
    return packed.getvalue()


@cache
def pipelines() -> dict[str, bytes]:
    """Pipelines as people write them."""
    whole = {
        "steps": [{"scale": {"width": 64, "height": 48, "mode": "cover"}}, "grayscale", {"blur": {"sigma": 2}}],
        "output": {"format": "jpeg", "quality": 80},
        "limits": {"pixels": 1_000_000},
    }
    return {
        "yaml": b"steps:\n  - scale: 64x48\n  - crop: 16:9\n  - split\noutput: png\n",
        "short": b"[scale:1024x768, grayscale, 'rotate:90']\n",
        "json": json.dumps(whole).encode(),
        "anchors": b"steps: &a\n  - scale: {width: 010, height: 0x10}\n  - <<: {grayscale: {}}\noutput: *a\n",
    }


@cache
def forms() -> dict[str, bytes]:
    """Bodies of multipart/form-data, of ``BOUNDARY``."""
    parts = [
        b'Content-Disposition: form-data; name="actions"\r\n\r\n[["grayscale", true]]',
        b'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
        + photographs.jpeg(1, 16, 12),
        b"Content-Disposition: form-data; name=\"files\"; filename*=UTF-8''%e2%82%ac.png\r\n\r\nno picture",
    ]
    body = b"".join(b"--" + BOUNDARY + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + BOUNDARY + b"--\r\n"
    return {"form": body, "empty": b"--" + BOUNDARY + b"--\r\n", "preamble": b"hello\r\n" + body + b"epilogue"}


@cache
def messages() -> dict[str, bytes]:
    """Messages to processors."""
    pipeline = json.dumps({"steps": [{"scale": {"width": 8, "height": 8}}], "output": {"format": "png"}})
    request = ProcessRequest(image=photographs.jpeg(1, 16, 12), pipeline_json=pipeline, name="a.jpg")
    return {"request": request.SerializeToString(), "no pipeline": ProcessRequest(image=b"x").SerializeToString()}
