"""Who takes part on one image: the same bytes in, a JPEG of quality 85 inside the same box out, upright.

Each is written as its own documentation tells to write it, and with one thread. A library that is not installed is
not left out in silence: it has a line that says so.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from bench.measure import Task, command, command_cpu, cpu
from bench.peers import QUALITY, Box, small
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from imgflow_steps import codec
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import Pipeline, parse

Shrink = Callable[[bytes], Any]

FLOOR = "entropy floor"
ON_ITS_SIDE = {5, 6, 7, 8}  # EXIF orientations
LANCZOS = Image.Resampling.LANCZOS


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do it. ``missing`` says what is not installed, and then the rest is not called."""

    name: str
    shrink: Shrink  # a JPEG's bytes to its own kind of picture
    encode: Callable[[Any], bytes]
    pixels: Callable[[Any], np.ndarray[Any, np.dtype[np.uint8]]]  # the picture, before it is encoded
    timed: Callable[[Callable[[], object]], Task] = cpu
    missing: str = ""
    note: str = ""

    def task(self, data: bytes) -> Task:
        """The whole way from bytes to bytes, to be timed."""
        return self.timed(lambda: self.encode(self.shrink(data)))


def pipeline(box: Box, *, grey: bool) -> Pipeline:
    """The pipeline that is measured."""
    scale = {"scale": {"width": box[0], "height": box[1]}}
    return parse({"steps": [scale, "grayscale"] if grey else [scale], "output": {"quality": QUALITY}})


def imgflow(box: Box, *, grey: bool) -> Contender:
    """As a computing process does it: decode what the plan says, the steps, encode."""
    asked = pipeline(box, grey=grey)
    plan, steps = decode_plan(asked), [call.step.build(call.params) for call in asked.steps]

    def shrink(data: bytes) -> Any:
        before = codec.decode(data, plan, asked.limits)
        sample = before.sample()
        for apply in steps:
            [sample] = apply(sample)
        return sample.pixels

    return Contender("imgflow", shrink, partial(codec.encode, output=asked.output), np.asarray)


def naive(box: Box, *, grey: bool) -> Contender:
    """Pillow as everybody writes it first."""

    def shrink(data: bytes) -> Image.Image:
        image = small(data, box)
        return image.convert("L") if grey else image

    return _pillow("naive Pillow", shrink)


def thumbnail(box: Box, *, grey: bool) -> Contender:
    """Pillow's own shortcut: it has the decoder reduce."""

    def shrink(data: bytes) -> Image.Image:
        with Image.open(BytesIO(data)) as image:
            image.thumbnail(box[::-1] if _lies(image) else box, LANCZOS)
            upright = ImageOps.exif_transpose(image)
        return upright.convert("L") if grey else upright

    return _pillow("Pillow thumbnail", shrink)


def floor() -> Contender:
    """What nobody who decodes the whole file gets below: entropy decoding; luma, an eighth of each side.

    By OpenCV, which hands libjpeg-turbo the file whole; Pillow hands it over in pieces.
    """
    cv2.setNumThreads(1)
    flag = cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_IGNORE_ORIENTATION
    note = "luma at an eighth of each side, decoded by OpenCV and no more"

    def shrink(data: bytes) -> Any:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)

    return Contender(FLOOR, shrink, lambda _: b"", np.asarray, note=note)


def reference(data: bytes, size: Box, *, grey: bool) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The best that can be had: every pixel decoded, luma as it is stored, one LANCZOS to ``size``."""
    with Image.open(BytesIO(data)) as opened:
        opened.draft("L" if grey else None, opened.size)
        image = ImageOps.exif_transpose(opened)
    return np.asarray(image.resize(size, LANCZOS) if image.size != size else image)


def pyvips(box: Box, *, grey: bool) -> Contender:
    """libvips, which is what to beat."""
    name = "pyvips thumbnail"
    if not find_spec("pyvips"):
        return _absent(name, "pip install pyvips pyvips-binary")
    try:
        import pyvips as vips  # noqa: PLC0415 - may not be installed
    except (ImportError, OSError) as error:  # or be there without the library that it calls
        return replace(_absent(name, ""), missing=f"not measured: {cannot(error)}")

    def shrink(data: bytes) -> Any:
        image = vips.Image.thumbnail_buffer(data, box[0], height=box[1], size="down")
        return image.colourspace("b-w") if grey else image

    return Contender(
        name,
        shrink,
        lambda image: image.jpegsave_buffer(Q=QUALITY, keep="none"),
        lambda image: image.copy_memory().numpy(),
        note="its grey is another: luminance in linear light" if grey else "",
    )


def opencv(box: Box, *, grey: bool) -> Contender:
    """OpenCV: the decoder reduces as far as the box allows, and averaging does the rest."""
    name = "OpenCV reduced decode"
    cv2.setNumThreads(1)
    kind = "GRAYSCALE" if grey else "COLOR"
    flags = {n: getattr(cv2, f"IMREAD_REDUCED_{kind}_{n}") for n in (8, 4, 2)} | {1: getattr(cv2, f"IMREAD_{kind}")}

    def shrink(data: bytes) -> Any:
        with Image.open(BytesIO(data)) as header:
            width, height = header.size[::-1] if _lies(header) else header.size
        room = max(width / box[0], height / box[1])
        by = next((n for n in (8, 4, 2) if n <= room), 1)
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags[by])
        height, width = image.shape[:2]
        share = min(box[0] / width, box[1] / height)
        size = (max(1, round(width * share)), max(1, round(height * share)))
        return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if share < 1 else image

    def encode(image: Any) -> bytes:
        return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])

    return Contender(name, shrink, encode, lambda image: image if grey else image[:, :, ::-1])


def imagemagick(box: Box, *, grey: bool) -> Contender:
    """A command, so the start of a process for each image is in its time."""
    name = "ImageMagick"
    program = next(filter(None, map(shutil.which, ("magick", "convert-im6.q16", "convert"))), "")
    if not program:
        return _absent(name, "install ImageMagick")
    size = f"{box[0]}x{box[1]}"
    colour = ["-colorspace", "Gray"] if grey else []
    hint = f"jpeg:size={2 * box[0]}x{2 * box[1]}"
    words = [program, "-define", hint, "-", "-auto-orient", "-thumbnail", f"{size}>", *colour]

    def shrink(data: bytes) -> bytes:
        return command([*words, "-quality", str(QUALITY), "jpeg:-"], input=data)()

    def pixels(encoded: bytes) -> Any:
        return np.asarray(Image.open(BytesIO(encoded)))

    return Contender(name, shrink, bytes, pixels, command_cpu, note="a process for each image, its start included")


Maker = Callable[..., Contender]
CONTENDERS: tuple[Maker, ...] = (imgflow, naive, thumbnail, pyvips, opencv, imagemagick)


def _pillow(name: str, shrink: Shrink) -> Contender:
    def encode(image: Image.Image) -> bytes:
        out = BytesIO()
        image.save(out, "JPEG", quality=QUALITY)
        return out.getvalue()

    return Contender(name, shrink, encode, np.asarray)


def able(contender: Contender, data: bytes) -> Contender:
    """The contender, or that it cannot be measured and why: what is called ``convert`` need not be ImageMagick."""
    if contender.missing:
        return contender
    try:
        contender.encode(contender.shrink(data))
        contender.pixels(contender.shrink(data))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is that contender's, and the others are measured
        return replace(contender, missing=f"not measured: {cannot(error)}")
    return contender


def cannot(error: Exception) -> str:
    """Why somebody has no figure, in one line."""
    said = getattr(error, "stderr", None)
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(error)
    last = (text.strip().splitlines() or ["it says nothing"])[-1]
    return f"cannot be measured, because of {type(error).__name__}: {last[:200]}"


def _absent(name: str, how: str) -> Contender:
    return Contender(name, bytes, bytes, np.asarray, missing=f"not measured: not installed ({how})")


def _lies(image: Image.Image) -> bool:
    """Whether the camera was held on its side, so that width and height are swapped when it is upright."""
    return int(image.getexif().get(Base.Orientation, 1)) in ON_ITS_SIDE
