"""The difference hash: nearly the same for the same picture however it was stored and decoded, far for another one."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageEnhance, ImageOps
from skimage import data

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.pixels.dhash import dhash

NEAR = 6  # bits, as collect takes it unless told otherwise
PHOTOGRAPHS = {
    name: Image.fromarray(getattr(data, name)()).convert("RGB")
    for name in ("astronaut", "camera", "chelsea", "coffee", "coins", "rocket")
}
WHOLE = DecodePlan()
PLANS = [
    DecodePlan(luma=True),
    DecodePlan(width=64, height=64),
    DecodePlan(width=200, height=100, mode="cover", luma=True),
]


def stored(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def hashed(data: bytes, plan: DecodePlan = WHOLE) -> str:
    decoded = codec.decode(data, plan, Limits())
    return dhash(decoded.pixels, decoded.extent)


def apart(one: str, other: str) -> int:
    return (int(one, 16) ^ int(other, 16)).bit_count()


ORIGINALS = {name: hashed(stored(image, "PNG")) for name, image in PHOTOGRAPHS.items()}
every_photograph = pytest.mark.parametrize("name", PHOTOGRAPHS)


def small(image: Image.Image) -> Image.Image:
    return image.resize((240, 240 * image.height // image.width), Image.Resampling.LANCZOS)


COPIES = {
    "jpeg": lambda image: stored(image, quality=90),
    "poor jpeg": lambda image: stored(image, quality=40),
    "webp": lambda image: stored(image, "WEBP", quality=75),
    "small": lambda image: stored(small(image), quality=85),
    "large": lambda image: stored(image.resize((2000, 2000 * image.height // image.width)), quality=85),
    "grey": lambda image: stored(image.convert("L"), quality=90),
    "lighter": lambda image: stored(ImageEnhance.Brightness(image).enhance(1.05), quality=90),
    "opaque": lambda image: stored(image.convert("RGBA"), "PNG"),
}


@every_photograph
@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_photograph_is_near_it(name: str, copy: str) -> None:
    assert apart(hashed(COPIES[copy](PHOTOGRAPHS[name])), ORIGINALS[name]) <= NEAR


@every_photograph
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_what_a_pipeline_decodes_of_a_photograph_hardly_matters(name: str, plan: DecodePlan) -> None:
    image = PHOTOGRAPHS[name]
    photograph = stored(image.resize((4 * image.width - 3, 4 * image.height - 5), Image.Resampling.BICUBIC), quality=92)

    assert apart(hashed(photograph, plan), hashed(photograph)) <= NEAR


def test_different_photographs_are_far_apart() -> None:
    hashes = list(ORIGINALS.values())

    assert min(apart(one, other) for i, one in enumerate(hashes) for other in hashes[:i]) > 4 * NEAR


@every_photograph
def test_a_mirrored_turned_or_cropped_photograph_is_another_one(name: str) -> None:
    image = PHOTOGRAPHS[name]
    others = [ImageOps.mirror(image), image.rotate(90, expand=True), image.crop((0, 0, image.width * 3 // 4, 300))]

    assert all(apart(hashed(stored(other)), ORIGINALS[name]) > 2 * NEAR for other in others)


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, 90), (8, 270)])
def test_a_photograph_that_lies_on_its_side_is_the_upright_one(orientation: int, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = PHOTOGRAPHS["coffee"]

    lying = hashed(stored(image.rotate(turn, expand=True), quality=90, exif=exif))

    assert apart(lying, ORIGINALS["coffee"]) <= NEAR


def test_what_is_transparent_counts_as_white_as_in_a_jpeg() -> None:
    image = PHOTOGRAPHS["coffee"].convert("RGBA")
    image.putalpha(Image.radial_gradient("L").resize(image.size))
    over_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")

    seen = hashed(stored(over_white, "PNG"))
    assert apart(hashed(stored(image, "PNG")), seen) <= 2 < apart(ORIGINALS["coffee"], seen)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("noise", [0, 6])
def test_a_blank_picture_has_none_whatever_its_noise(level: int, noise: int) -> None:
    pixels = level + np.random.default_rng(1).normal(0, noise, (400, 600, 3))

    assert dhash(np.clip(pixels, 0, 255).astype(np.uint8)) == ""


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4))),
    st.tuples(*[st.sampled_from([0, 0.125, 0.5, 0.875])] * 4),
)
def test_whatever_its_size_a_picture_has_32_digits_or_none(
    pixels: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], cut: tuple[float, float, float, float]
) -> None:
    height, width, _ = pixels.shape
    extent = (min(cut[0], width / 4), min(cut[1], height / 4), width - min(cut[2], width / 4), height - cut[3] / 4)

    assert len(dhash(pixels, extent)) in {0, 32}


def test_a_tall_picture_of_which_not_all_rows_are_read_has_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    tall = np.asarray(PHOTOGRAPHS["astronaut"].resize((700, 3001), Image.Resampling.BICUBIC))
    some = dhash(tall)
    monkeypatch.setattr("imgflow_steps.pixels.dhash.READ", 10_000)

    assert apart(dhash(tall), some) <= 2


def test_the_formula_is_the_one_that_rows_in_stores_were_made_by() -> None:
    y, x = np.mgrid[0:64, 0:96]
    pattern = ((x * 3 + y * 5 + (x * y >> 4) * 7) % 256).astype(np.uint8)[:, :, np.newaxis]

    assert dhash(pattern) == "e292ab55b5c566b9e494aa56318d463a"
