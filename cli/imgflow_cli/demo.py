"""The demo municipality: photographs that come with scikit-image, brought to the size and the variety of real ones.

``python -m imgflow_cli.demo DIR`` writes them. Each is a view (a cut, perhaps mirrored) of a photograph inside
scikit-image's wheel, enlarged to 8 to 24 megapixels with a film's grain, in the formats, colours and states that
come in from cameras and scanners. The last ones are no good on purpose: imgflow shall put them aside.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from PIL import ExifTags, Image, ImageFilter, ImageOps

from imgflow_steps.store.arriving import replacing

VERSION = 1  # raised when the same names get other content
NOTE = "LICENCES.txt"
GRAIN = 4.0  # standard deviation of luma at half size
THREADS = 4  # one takes up to half a gigabyte

# As scikit-image's own documentation of skimage.data says; what says nothing there is not used.
LICENCES = {
    "astronaut.png": "Eileen Collins, NASA; public domain",
    "brick.png": "CC0Textures; CC0",
    "camera.png": "Lav Varshney; CC0",
    "chelsea.png": "Stefan van der Walt; CC0",
    "clock_motion.png": "Stefan van der Walt; public domain",
    "coffee.png": "Rachel Michetti, courtesy of Pikolo Espresso Bar; CC0",
    "coins.png": "Brooklyn Museum; no known copyright restrictions",
    "grass.png": "linolafett; CC0",
    "gravel.png": "CC0Textures; CC0",
    "hubble_deep_field.jpg": "NASA; public domain",
    "ihc.png": "Center for Microscopy And Molecular Imaging; no known copyright restrictions",
    "retina.jpg": "Mikael Häggström; CC0",
    "rocket.jpg": "SpaceX; public domain",
    "text.png": "public domain",
}

Box = tuple[float, float, float, float]  # left, top, right, bottom, as shares of the source
Write = Callable[[Image.Image], bytes]

WHOLE: Box = (0, 0, 1, 1)
WIDE: Box = (0, 0.02, 1, 0.77)
LOW: Box = (0, 0.25, 1, 1)
TALL: Box = (0.22, 0, 0.97, 1)
LEFT: Box = (0, 0, 0.8, 0.6)
RIGHT: Box = (0.2, 0.3, 1, 0.9)
CLOSE: Box = (0.2, 0.1, 0.9, 0.625)

NIGHT = ("black", 0.7)
GLARE = ("white", 0.75)
FOG = ("grey", 0.85)


# How an upright picture comes to lie on the sensor, by EXIF orientation.
HELD = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def jpeg(image: Image.Image, *, quality: int = 92, orientation: int = 1) -> bytes:
    """As a camera writes it: turned on its side if it was held so, with its name, the time and the place."""
    turn = HELD[orientation]
    stored = image if turn is None else image.transpose(turn)
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Demo", "Camera 1"
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.DateTime] = "2024:05:17 10:30:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: (52.0, 5.0, 26.9),
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: (5.0, 7.0, 17.0),
        }
    )
    return _saved(stored, "JPEG", quality=quality, exif=exif)


def grey_jpeg(image: Image.Image) -> bytes:
    """One channel."""
    return jpeg(image.convert("L"))


def cmyk_jpeg(image: Image.Image, *, marked: bool = True) -> bytes:
    """As a printer's shop sends it, with or without Adobe's marker."""
    data = _saved(image.convert("CMYK"), "JPEG", quality=90)
    if marked:
        return data
    start = data.index(b"\xff\xee\x00\x0eAdobe")
    return data[:start] + data[start + 16 :]


def progressive_jpeg(image: Image.Image) -> bytes:
    """As web sites like it."""
    return _saved(image, "JPEG", quality=88, progressive=True)


def cut_out(image: Image.Image, form: str, **options: Any) -> bytes:
    """An oval with a soft edge, transparent around."""
    y, x = (np.linspace(-1, 1, n) ** 2 for n in image.size[::-1])
    mask = np.clip(8 - 8 * (x[np.newaxis] + y[:, np.newaxis]), 0, 1) * 255
    image.putalpha(Image.fromarray(mask.astype(np.uint8)))
    return _saved(image, form, **options)


def deep(image: Image.Image, form: str, **options: Any) -> bytes:
    """16 bits a pixel, as a scanner gives it."""
    luma = np.asarray(image.convert("L"), np.uint16) * np.uint16(257)
    return _saved(Image.fromarray(luma), form, **options)


def palette_png(image: Image.Image) -> bytes:
    """256 colours."""
    return _saved(image.quantize(256, Image.Quantize.FASTOCTREE), "PNG", compress_level=6)


def webp(image: Image.Image) -> bytes:
    """As a phone's messenger sends it."""
    return _saved(image, "WEBP", quality=85, method=0)


def truncated(image: Image.Image) -> bytes:
    """An upload that broke off."""
    data = jpeg(image)
    return data[: len(data) * 3 // 5]


def no_photograph(_: Image.Image) -> bytes:
    """Text under the name of a photograph."""
    return b"Sorry, the photograph is still on the old disk in the cellar.\n"


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@dataclass(frozen=True, slots=True)
class Shot:
    """One photograph: where it goes, what it shows, how large it is and how it is written."""

    path: str
    source: str
    box: Box
    megapixels: float
    write: Write = jpeg
    mirrored: bool = False
    veil: tuple[str, float] = ("black", 0.0)  # blended over it: a colour, and how much of it


SHOTS = (
    Shot("Hafen/coffee at the quay.jpg", "coffee.png", WHOLE, 24),
    Shot("Hafen/cup.jpg", "coffee.png", CLOSE, 12, mirrored=True),
    Shot("Hafen/launch.jpg", "rocket.jpg", WHOLE, 16),
    Shot("Hafen/launch, tall.jpg", "rocket.jpg", TALL, 12, partial(jpeg, orientation=6)),
    Shot("Hafen/launch mirrored.jpg", "rocket.jpg", RIGHT, 10, mirrored=True),
    Shot("Hafen/launch at night.jpg", "rocket.jpg", LEFT, 12, veil=NIGHT),
    Shot("Hafen/gravel.jpg", "gravel.png", WIDE, 12, grey_jpeg),
    Shot("Hafen/gravel in fog.jpg", "gravel.png", LOW, 8, veil=FOG),
    Shot("Rathaus/portrait.jpg", "astronaut.png", TALL, 12, partial(jpeg, orientation=8)),
    Shot("Rathaus/portrait wide.jpg", "astronaut.png", WIDE, 20),
    Shot("Rathaus/portrait, cut out.png", "astronaut.png", CLOSE, 8, partial(cut_out, form="PNG", compress_level=1)),
    Shot("Rathaus/portrait for print.jpg", "astronaut.png", LEFT, 10, cmyk_jpeg),
    Shot("Rathaus/portrait overexposed.jpg", "astronaut.png", WIDE, 8, mirrored=True, veil=GLARE),
    Shot("Rathaus/photographer.jpg", "camera.png", LOW, 24, grey_jpeg),
    Shot("Rathaus/photographer, upside down.jpg", "camera.png", WIDE, 12, partial(jpeg, orientation=3)),
    Shot("Rathaus/photographer 16 bit.png", "camera.png", CLOSE, 8, partial(deep, form="PNG", compress_level=1)),
    Shot("Rathaus/clock.jpg", "clock_motion.png", WHOLE, 12),
    Shot("Grünanlagen/lawn.jpg", "grass.png", WIDE, 16),
    Shot("Grünanlagen/lawn for print.jpg", "grass.png", RIGHT, 8, partial(cmyk_jpeg, marked=False)),
    Shot("Grünanlagen/lawn at night.jpg", "grass.png", LOW, 12, veil=NIGHT),
    Shot("Grünanlagen/cat.jpg", "chelsea.png", WHOLE, 12),
    Shot("Grünanlagen/cat, close.jpg", "chelsea.png", CLOSE, 16, progressive_jpeg),
    Shot("Grünanlagen/cat mirrored.webp", "chelsea.png", RIGHT, 8, webp, mirrored=True),
    Shot("Grünanlagen/Alte Mauer/bricks.jpg", "brick.png", WIDE, 12),
    Shot("Grünanlagen/Alte Mauer/bricks 256 colours.png", "brick.png", LOW, 8, palette_png),
    Shot("Archiv/Münzen/coins.jpg", "coins.png", WHOLE, 12, grey_jpeg),
    Shot("Archiv/Münzen/coins mirrored.jpg", "coins.png", LEFT, 8, partial(jpeg, orientation=2)),
    Shot("Archiv/Münzen/coins 16 bit.tif", "coins.png", RIGHT, 8, partial(deep, form="TIFF", compression="tiff_lzw")),
    Shot("Archiv/handwriting.jpg", "text.png", WHOLE, 12),
    Shot("Archiv/sky.jpg", "hubble_deep_field.jpg", WHOLE, 20),
    Shot("Archiv/sky, part.webp", "hubble_deep_field.jpg", RIGHT, 8, webp),
    Shot("Klinik/eye.jpg", "retina.jpg", WHOLE, 12),
    Shot("Klinik/tissue.jpg", "ihc.png", WIDE, 16),
    Shot("Klinik/tissue, cut out.webp", "ihc.png", LEFT, 8, partial(cut_out, form="WEBP", quality=85, method=0)),
    Shot("Klinik/upload that broke off.jpg", "ihc.png", RIGHT, 10, truncated),
    Shot("Klinik/not a photograph.jpg", "ihc.png", CLOSE, 8, no_photograph),
)


def photographs(directory: Path, tell: Callable[[str], None] = lambda _: None, shots: Sequence[Shot] = SHOTS) -> None:
    """Write the demo municipality's photographs below ``directory``; what is there already stays untouched.

    ``tell`` gets a line for each one written. Raises ImportError when scikit-image is not installed.
    """
    try:
        sources = resources.files("skimage.data")
    except ModuleNotFoundError:
        raise ImportError(
            "the demo photographs come with scikit-image, which is not installed: pip install 'imgflow[demo]'"
        ) from None
    note, current = directory / NOTE, _note(shots).encode()
    known = note.exists() and note.read_bytes() == current
    missing = [shot for shot in shots if not (known and (directory / shot.path).exists())]

    def take(shot: Shot) -> str:
        with (sources / shot.source).open("rb") as file, Image.open(file) as source:
            data = shot.write(_view(source.convert("RGB"), shot))
        _put(directory / shot.path, data)
        return f"{shot.path}  {len(data) / 1e6:.1f} MB"

    with ThreadPoolExecutor(THREADS) as threads:
        for line in threads.map(take, missing):
            tell(line)
    if not known:
        _put(note, current)


def _view(source: Image.Image, shot: Shot) -> Image.Image:
    """The part that is shown, enlarged. Sharpness and grain come at half size: detail that survives scaling."""
    width, height = source.size
    left, top, right, bottom = shot.box
    cut = source.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))
    if shot.mirrored:
        cut = ImageOps.mirror(cut)
    colour, share = shot.veil
    cut = Image.blend(cut, Image.new("RGB", cut.size, colour), share)
    full = (shot.megapixels * 1e6 / (cut.width * cut.height)) ** 0.5
    half = cut.resize((round(cut.width * full / 2), round(cut.height * full / 2)), Image.Resampling.BICUBIC)
    grained = _grained(half.filter(ImageFilter.UnsharpMask(radius=full / 4, percent=180, threshold=0)), shot.path)
    return grained.resize((half.width * 2, half.height * 2), Image.Resampling.BICUBIC)


def _grained(image: Image.Image, seed: str) -> Image.Image:
    random = np.random.default_rng(zlib.crc32(seed.encode()))
    grain = random.standard_normal((image.height, image.width, 1), np.float32) * GRAIN
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))


def _note(shots: Sequence[Shot]) -> str:
    lines = [f"{shot.path}: {shot.source}, {LICENCES[shot.source]}" for shot in shots]
    return "\n".join([f"imgflow's demo photographs, version {VERSION}, from scikit-image:", "", *lines, ""])


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_bytes(data)


def main(directory: Annotated[Path, typer.Argument(help="Where the photographs go.")]) -> None:
    """Write the demo municipality's photographs."""
    try:
        photographs(directory, partial(typer.echo, err=True))
    except ImportError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    typer.run(main)
