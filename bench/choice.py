"""Which decoder and which resizer: the candidates beside Pillow, part by part, with what each does to the pixels.

A decoder has to give Pillow's pixels, or there would be two kinds of results. A resizer has to look like one good
filter over every pixel. What follows from the figures is written in bench/README.md.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from bench.measure import Bench, Line, cpu, geometric_mean, interleave, line, one_core, times
from bench.photographs import Photograph, photographs
from PIL import Image

from imgflow_steps.codec import jpeg, jpeg_segments
from imgflow_steps.pixels import resize
from imgflow_steps.pixels.arrays import to_pixels

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Decode = Callable[[bytes, int], Pixels]  # a JPEG's bytes, by how much its sides are divided
Resize = Callable[[Pixels, int, int], Pixels]  # to this width and height

OURS = "Pillow"  # what the others are held against
LANCZOS = Image.Resampling.LANCZOS
REDUCTIONS = (1, 2, 4)
SIZES = ((1024, 768), (512, 384))
TOP = 99.0  # dB, for equal pictures
FEW = 3  # photographs, when quick
MISSING = "not measured: it is not installed"


def measure(bench: Bench) -> Iterator[Line]:
    """Decoders at full size, a half and a quarter, in luma and colour; resizers from the half of a camera's picture."""
    taken = [one for one in photographs(bench.images, bench.scratch, quick=bench.quick) if one.large]
    taken = taken[:FEW] if bench.quick else taken
    for grey in (True, False):
        yield from decoders(taken, bench.rounds, grey=grey)
    for size in SIZES:
        yield from resizers(taken, bench.rounds, size)


def decoders(taken: Sequence[Photograph], rounds: int, *, grey: bool) -> Iterator[Line]:
    """How many times as fast as Pillow, and the largest difference of a pixel."""
    section = f"Choice of a decoder, {'luma' if grey else 'colour'}"
    ours = partial(pillow, grey=grey)
    for by in REDUCTIONS:
        for name, make in (("simplejpeg", simplejpeg), ("OpenCV", opencv)):
            label = f"{OURS} / {name}, " + ("every pixel" if by == 1 else f"sides divided by {by}")
            decode = make(grey=grey)
            apart = max(int(np.abs(decode(one.data, by).astype(np.int16) - ours(one.data, by)).max()) for one in taken)
            with one_core():
                costs = [
                    interleave({n: cpu(partial(d, one.data, by)) for n, d in ((OURS, ours), (name, decode))}, rounds)
                    for one in taken
                ]
            ratios = geometric_mean([times(cost, name, OURS) for cost in costs])
            yield line(section, label, ratios, note=f"pixels differ by {apart} at most")


def pillow(data: bytes, by: int, *, grey: bool) -> Pixels:
    """To numpy as the house does it."""
    with Image.open(BytesIO(data)) as image:
        image.draft("L" if grey else "RGB", (image.width // by, image.height // by))
        return to_pixels(image)


def simplejpeg(*, grey: bool) -> Decode:
    """As the house calls it."""

    def decode(data: bytes, by: int) -> Pixels:
        head = jpeg_segments.read(data)
        pixels = jpeg.decode(data, head, "GRAY" if grey else "RGB", by) if head else None
        assert pixels is not None, "simplejpeg does not know this file's sampling"
        return pixels

    return decode


def opencv(*, grey: bool) -> Decode:
    """Reads in luma, and reduces, in the decoder too."""
    cv2.setNumThreads(1)
    kind = "GRAYSCALE" if grey else "COLOR"
    flags = {n: getattr(cv2, f"IMREAD_REDUCED_{kind}_{n}") for n in (4, 2)} | {1: getattr(cv2, f"IMREAD_{kind}")}

    def decode(data: bytes, by: int) -> Pixels:
        read = flags[by] | cv2.IMREAD_IGNORE_ORIENTATION
        pixels: Any = cv2.imdecode(np.frombuffer(data, np.uint8), read)
        return np.asarray(pixels)[:, :, np.newaxis] if grey else np.asarray(pixels)[:, :, ::-1]

    return decode


def resizers(taken: Sequence[Photograph], rounds: int, size: tuple[int, int]) -> Iterator[Line]:
    """How many times as fast as Pillow's LANCZOS from half the sides, and how near to LANCZOS over every pixel."""
    section = f"Choice of a resizer: half of a camera's luma to {size[0]}x{size[1]}"
    best = [lanczos(pillow(one.data, 1, grey=True), *size) for one in taken]
    halves = [pillow(one.data, 2, grey=True) for one in taken]
    for name, resizer in RESIZERS.items():
        label = "LANCZOS" if name == OURS else f"{OURS} / {name}"
        if name in NEEDS and not find_spec(NEEDS[name]):
            yield Line(section, label, note=MISSING)
            continue
        near = [decibels(resizer(half, *size), good) for half, good in zip(halves, best, strict=True)]
        with one_core():
            costs = [
                interleave({n: cpu(partial(r, half, *size)) for n, r in ((OURS, lanczos), (name, resizer))}, rounds)
                for half in halves
            ]
        ratios = geometric_mean([times(cost, name, OURS) for cost in costs])
        yield line(section, label, ratios, note=f"{statistics.median(near):.1f} dB, at least {min(near):.1f}")


def lanczos(pixels: Pixels, width: int, height: int, gap: float | None = None) -> Pixels:
    """Pillow's, after its own reduction to ``gap`` times the size where one is given."""
    return np.asarray(Image.fromarray(pixels[:, :, 0]).resize((width, height), LANCZOS, reducing_gap=gap))


def libvips(pixels: Pixels, width: int, height: int) -> Pixels:
    """Its LANCZOS of three lobes."""
    import pyvips  # noqa: PLC0415 - may not be installed

    image = pyvips.Image.new_from_array(pixels)
    across, down = width / pixels.shape[1], height / pixels.shape[0]
    return np.asarray(image.resize(across, vscale=down, kernel="lanczos3").numpy())


def area(pixels: Pixels, width: int, height: int) -> Pixels:
    """OpenCV's average over the pixels that become one."""
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


RESIZERS: dict[str, Resize] = {
    OURS: lanczos,
    "Pillow, reducing_gap 1.9": partial(lanczos, gap=1.9),
    "cykooz-resizer": lambda pixels, width, height: resize.resize(pixels, width, height)[:, :, 0],
    "pyvips": libvips,
    "OpenCV area": area,
}
NEEDS = {"pyvips": "pyvips"}  # what has to be installed


def decibels(pixels: Pixels, best: Pixels) -> float:
    """Peak signal-to-noise ratio: 10 log10(255² / mean squared difference)."""
    squares = float(np.mean((pixels.astype(np.float64) - best) ** 2))
    return TOP if squares == 0 else min(TOP, float(10 * np.log10(255**2 / squares)))
