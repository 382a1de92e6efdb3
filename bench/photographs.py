"""Photographs to measure with: those that are given, or ones made from scikit-image's.

What makes a JPEG slow to decode is its bytes first and its pixels second. So the made ones have the sides that
cameras and phones give, and as many bytes per pixel (0.2 to 0.3): a real photograph is cut to the proportions,
enlarged, sharpened at half size, and given the grain of a sensor at half size and at full size. Web-sized ones are
cut out of the same photographs without enlarging.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from imgflow_cli.demo import jpeg

VERSION = 1  # raised when the same names get other content
COARSE, FINE = 5.0, 2.5  # standard deviation of grain at half and at full size, of 255
LARGE = 8_000_000 * 0.95  # pixels: cameras of "8 megapixels" have a little less
SMALL = 1_050_000  # pixels: 1 megapixel may be 1024 x 1024
SUFFIXES = {".jpg", ".jpeg"}

SIDES = {  # stored width and height, in pixels
    "camera-8": (3264, 2448),
    "camera-12": (4000, 3000),
    "camera-24": (6000, 4000),
    "phone-12": (4032, 3024),
}
ON_ITS_SIDE = {6, 8}  # EXIF orientations
WEB = {"web-0.2": (540, 400), "web-0.5": (800, 600), "web-0.8": (1024, 768)}


@dataclass(frozen=True, slots=True)
class Photograph:
    """A JPEG to measure with: its name, its bytes, and its stored sides in pixels."""

    name: str
    data: bytes
    width: int
    height: int

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height

    @property
    def large(self) -> bool:
        """Of a camera or phone: 8 megapixels and more."""
        return self.pixels >= LARGE

    @property
    def small(self) -> bool:
        """Of the web: 1 megapixel and less."""
        return self.pixels <= SMALL


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph to be made. ``orientation`` is how the camera was held, as EXIF counts."""

    kind: str
    source: str
    orientation: int = 1
    quality: int = 92

    @property
    def name(self) -> str:
        """Its file name."""
        return f"{self.kind}-{self.source.partition('.')[0]}.jpg"


SHOTS = (
    Shot("camera-8", "chelsea.png"),
    Shot("web-0.5", "retina.jpg", quality=85),
    Shot("camera-24", "coffee.png"),
    Shot("camera-12", "rocket.jpg"),
    Shot("phone-12", "astronaut.png", orientation=6),
    Shot("phone-12", "grass.png"),
    Shot("web-0.8", "hubble_deep_field.jpg", quality=80),
    Shot("camera-12", "brick.png"),
    Shot("camera-24", "ihc.png"),
    Shot("web-0.2", "rocket.jpg", quality=85),
    Shot("phone-12", "coffee.png", orientation=8),
    Shot("camera-8", "clock_motion.png"),
    Shot("web-0.2", "coffee.png", quality=75),
)
QUICK = 2  # the first of them: a large one and a small one


def photographs(images: Path | None, scratch: Path, *, quick: bool = False) -> list[Photograph]:
    """The JPEGs of a folder or, without one, those that ``make`` made below ``scratch``; if quick, the first few.

    Raises ValueError when the folder has no JPEG in it.
    """
    if images:
        paths = sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)
    else:
        paths = make(scratch / "photographs", SHOTS[:QUICK] if quick else SHOTS)
    if not paths:
        raise ValueError(f"there is no JPEG in {images}")
    return [_read(path) for path in (paths[:QUICK] if quick else paths)]


def make(folder: Path, shots: Sequence[Shot]) -> list[Path]:
    """Write the shots below ``folder``, those that are not there yet, and give their paths."""
    folder = folder / f"v{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / shot.name for shot in shots]
    for shot, path in zip(shots, paths, strict=True):
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(_written(shot))
            part.replace(path)
    return paths


def about(photographs: list[Photograph]) -> list[dict[str, str | int | float]]:
    """What was measured with, for the record."""
    return [
        {
            "name": one.name,
            "width": one.width,
            "height": one.height,
            "bytes": len(one.data),
            "bytes_per_pixel": round(len(one.data) / one.pixels, 3),
        }
        for one in photographs
    ]


def _read(path: Path) -> Photograph:
    with Image.open(path) as image:
        return Photograph(path.name, path.read_bytes(), *image.size)


def _written(shot: Shot) -> bytes:
    with (resources.files("skimage.data") / shot.source).open("rb") as file, Image.open(file) as opened:
        source = opened.convert("RGB")
    if shot.kind in WEB:
        return jpeg(ImageOps.fit(source, WEB[shot.kind]), quality=shot.quality)
    width, height = SIDES[shot.kind]
    sides = (height, width) if shot.orientation in ON_ITS_SIDE else (width, height)
    return jpeg(_enlarged(source, sides, shot.name), quality=shot.quality, orientation=shot.orientation)


def _enlarged(source: Image.Image, sides: tuple[int, int], seed: str) -> Image.Image:
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    width, height = sides
    half = ImageOps.fit(source, (width // 2, height // 2), Image.Resampling.BICUBIC)
    zoom = max(half.width / source.width, half.height / source.height)
    sharp = half.filter(ImageFilter.UnsharpMask(radius=zoom / 2, percent=180, threshold=0))
    full = _grained(sharp, COARSE, random).resize(sides, Image.Resampling.BICUBIC)
    return _grained(full, FINE, random)


def _grained(image: Image.Image, sigma: float, random: np.random.Generator) -> Image.Image:
    grain = random.standard_normal((image.height, image.width, 1), np.float32) * sigma
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
