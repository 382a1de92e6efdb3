"""The work of augment: what chance decides is drawn in whole numbers, so that every machine makes the same variants.

The numbers are those of Philox, a function of its key, and the key is a hash of the seed, the image's name, its piece
and the variant: neither order nor shard nor process matters. Cut and turn are one transform by Pillow; OpenCV's is ten
times as fast, but gives other bytes where a processor lacks AVX2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from imgflow_steps.pixels import places
from imgflow_steps.pixels.alpha import has_alpha
from imgflow_steps.pixels.arrays import to_image, to_pixels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.augment import Augment
    from imgflow_steps.contract.sample import Affine, Apply, Pixels, Sample

EXACT = 1 << 20  # of a pixel: sines and cosines are rounded to this, since libraries differ in the last digit
MILLE = 1000  # amounts are drawn in thousandths
BYTES = 4  # added up for one value of noise: near enough to a Gaussian, and in whole numbers
SPREAD = math.sqrt(BYTES * (256**2 - 1) / 12)  # their standard deviation


@dataclass(frozen=True, slots=True)
class Chance:
    """What was drawn for one variant. Amounts in thousandths of their unit."""

    flip_x: bool
    flip_y: bool
    angle: int  # degrees
    cut: int  # percent
    x: int  # where what is kept lies, from 0 to 1000
    y: int
    brightness: int  # percent
    contrast: int  # percent
    noise: int  # levels


def build(params: Augment) -> Apply:
    """A function that gives ``v1``, ``v2`` … of one sample, each of its size, before them ``v0``, itself, if kept."""
    digits = len(str(params.variants))

    def apply(sample: Sample) -> Iterator[Sample]:
        if params.original:
            yield sample.cut("v" + "0" * digits, sample.pixels)
        for number in range(1, params.variants + 1):
            stream = _stream(params.seed, sample, number)
            chance = draw(stream, params)
            pixels = _varied(sample.pixels, chance, stream)
            yield sample.cut(f"v{number:0{digits}}", pixels, places.then(_at(pixels, chance), sample.at))

    return apply


def _stream(seed: int, sample: Sample, number: int) -> np.random.Philox:
    identity = f"{seed}\0{sample.image}\0{sample.piece}\0{number}"
    return np.random.Philox(key=int.from_bytes(sha256(identity.encode(errors="surrogatepass")).digest()[:16], "big"))


def draw(stream: np.random.Philox, params: Augment) -> Chance:
    """What chance gives one variant. Each amount is drawn, used or not, so that no parameter disturbs another's."""
    raw = [int(value) for value in stream.random_raw(9)]

    def either_way(value: int, most: float) -> int:
        span = round(most * MILLE)
        return value % (2 * span + 1) - span

    return Chance(
        flip_x=params.flip in {"horizontal", "both"} and raw[0] % 2 == 1,
        flip_y=params.flip in {"vertical", "both"} and raw[1] % 2 == 1,
        angle=either_way(raw[2], params.degrees),
        cut=raw[3] % (round(params.crop * MILLE) + 1),
        x=raw[4] % (MILLE + 1),
        y=raw[5] % (MILLE + 1),
        brightness=either_way(raw[6], params.brightness),
        contrast=either_way(raw[7], params.contrast),
        noise=raw[8] % (round(params.noise * MILLE) + 1),
    )


def _varied(pixels: Pixels, chance: Chance, stream: np.random.Philox) -> Pixels:
    pixels = _flipped(pixels, chance)
    if chance.angle or chance.cut:
        height, width, _ = pixels.shape
        matrix = affine(width, height, chance)
        size = (width, height)
        pixels = to_pixels(to_image(pixels).transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR))
    colours = pixels.shape[2] - has_alpha(pixels)
    levels = np.array(table(chance), np.uint8)
    varied = pixels.copy()
    varied[:, :, :colours] = _noisy(levels[pixels[:, :, :colours]], chance, stream)
    return varied


def _at(pixels: Pixels, chance: Chance) -> Affine:
    """Of a variant to what it is one of: cut and turn undone first, then the mirror."""
    height, width, _ = pixels.shape
    mirror = (-1.0 if chance.flip_x else 1.0, 0.0, 0.0, -1.0 if chance.flip_y else 1.0)
    flipped = places.about(mirror, (width, height), (width, height))
    return places.then(affine(width, height, chance), flipped) if chance.angle or chance.cut else flipped


def _flipped(pixels: Pixels, chance: Chance) -> Pixels:
    code = {(True, False): 1, (False, True): 0, (True, True): -1}.get((chance.flip_x, chance.flip_y))
    return pixels if code is None else np.asarray(cv2.flip(pixels, code), np.uint8).reshape(pixels.shape)


def affine(width: int, height: int, chance: Chance) -> Affine:
    """Pillow's six numbers that take a pixel of the variant to where it comes from.

    What is kept has the image's proportions, is turned about its middle, and lies inside the image whole: a turned
    image is enlarged until no corner is empty.
    """
    angle = math.radians(chance.angle / MILLE)
    cos, sin = math.cos(angle), math.sin(angle)
    longer = max(width, height) / min(width, height)
    kept = (1 - chance.cut / (100 * MILLE)) / (abs(cos) + longer * abs(sin))
    reach_x = kept * (width * abs(cos) + height * abs(sin)) / 2
    reach_y = kept * (width * abs(sin) + height * abs(cos)) / 2
    x = reach_x + max(0.0, width - 2 * reach_x) * chance.x / MILLE
    y = reach_y + max(0.0, height - 2 * reach_y) * chance.y / MILLE
    a, b = _exact(kept * cos), _exact(kept * sin)
    return (a, -b, _exact(x - a * width / 2 + b * height / 2), b, a, _exact(y - b * width / 2 - a * height / 2))


def _exact(value: float) -> float:
    return round(value * EXACT) / EXACT


def table(chance: Chance) -> list[int]:
    """What becomes of each level by contrast about the middle, then brightness."""
    whole = 100 * MILLE
    shift = 255 * chance.brightness // whole
    return [min(255, max(0, (level - 128) * (whole + chance.contrast) // whole + 128 + shift)) for level in range(256)]


def _noisy(pixels: Pixels, chance: Chance, stream: np.random.Philox) -> Pixels:
    if not chance.noise:
        return pixels
    raw = stream.random_raw(-(-pixels.size * BYTES // 8)).astype("<u8").view(np.uint8)
    planes = raw[: pixels.size * BYTES].reshape(BYTES, *pixels.shape)
    middle = BYTES * 255 // 2
    drawn = planes.sum(axis=0, dtype=np.int16)
    amounts = [round((value - middle) * chance.noise / (MILLE * SPREAD)) for value in range(BYTES * 255 + 1)]
    noise = np.array(amounts, np.int16)[drawn]
    noisy: Pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return noisy
