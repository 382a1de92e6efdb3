"""Photographs of a face in many forms, and whether anything that a run leaves behind shows a face.

Everything is looked at: not files with the name of a picture, but every run of bytes that decodes as one, in a log, a
page, a row or an archive as well, also in Base64 and also where it is cut off.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFile
from skimage import data

from imgflow_cli.demo_faces import finder
from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys

if TYPE_CHECKING:
    from imgflow_steps.store import Store

BEGINS = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|RIFF....WEBP", re.DOTALL)  # JPEG, PNG, WebP
BASE64 = re.compile(rb"[A-Za-z0-9+/]{400,}={0,2}")
LEAST = 16  # pixels of a side; less shows nobody
SURE = 0.35  # what counts as a face
MODEL = "models/faces.onnx"


def astronaut(form: str, orientation: int = 1, *, alpha: bool = False, preview: bool = False) -> bytes:
    """One face, in 512 x 512 pixels."""
    image = Image.fromarray(data.astronaut())
    if alpha:
        image.putalpha(Image.new("L", image.size, 0))  # PNG keeps the colour beneath
    image = image.rotate({1: 0, 3: 180, 6: 90, 8: -90}[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    if preview:
        small = BytesIO()
        image.resize((160, 160)).save(small, "JPEG")
        exif.get_ifd(0x8769)[0x927C] = small.getvalue()  # a maker note with a picture in it
    out = BytesIO()
    image.save(out, form, exif=exif)
    return out.getvalue()


def png(pixels: Any) -> bytes:
    """Pixels as a PNG file."""
    out = BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def dataset(store: Store, municipality: str = "Demo") -> int:
    """Six photographs: five with the face, of which one is broken, and a cat. Gives their number."""
    files = {
        "plain.jpg": astronaut("JPEG"),
        "turned.jpg": astronaut("JPEG", 6, preview=True),
        "over.jpg": astronaut("JPEG", 3),
        "clear.png": astronaut("PNG", alpha=True),
        "broken.jpg": astronaut("JPEG")[:9000],
        "cat.png": png(data.chelsea()),
    }
    for name, content in files.items():
        store.write(keys.images(municipality) + name, content)
    return len(files)


def covering(store: Store, folder: Path, output: str = "png", **infer: Any) -> Pipeline:
    """A pipeline that covers faces, whose model is in the store."""
    store.write(MODEL, finder(folder).read_bytes())
    steps: list[Any] = [{"infer": {"model": MODEL, **infer}}, "redact", "scale:400x400"]
    return parse({"steps": steps, "output": output})


def pictures(content: bytes) -> Iterator[Any]:
    """Every picture in some bytes, as RGB: what lies under alpha is seen as well."""
    texts = [content, *(b64decode(found[0][: len(found[0]) // 4 * 4]) for found in BASE64.finditer(content))]
    for text in texts:
        for begin in BEGINS.finditer(text):
            try:
                with Image.open(BytesIO(text[begin.start() :])) as image:
                    if min(image.size) >= LEAST:
                        yield np.asarray(image.convert("RGB"))
            except (OSError, SyntaxError, ValueError):  # bytes that only begin like a picture
                continue


def in_store(store: Store, *prefixes: str) -> Iterator[tuple[str, bytes]]:
    """Everything in a store, or below some prefixes, but the originals and models."""
    for entry in (entry for prefix in prefixes or ("",) for entry in store.entries(prefix)):
        if not entry.key.startswith(("datasets/", "models/")):
            yield entry.key, store.read(entry.key)


def in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes()


def showing(places: Iterable[tuple[str, bytes]], folder: Path) -> tuple[list[str], int]:
    """Names of what shows a face, and how many different pictures were looked at."""
    ask = build(Infer(model=str(finder(folder)), score=SURE))
    seen: set[str] = set()
    shown = []
    cut_off, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        for name, content in places:
            for pixels in pictures(content):
                digest = hashlib.sha256(pixels.tobytes()).hexdigest()
                if digest not in seen:
                    seen.add(digest)
                    [said] = ask(Sample(np.ascontiguousarray(pixels)))
                    shown += [name] if said.found["objects"]["count"] else []
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = cut_off
    return shown, len(seen)
