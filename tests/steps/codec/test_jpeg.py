"""A JPEG of the usual kinds comes straight from libjpeg-turbo, with the pixels that Pillow gives."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.codec import jpeg
from imgflow_steps.contract.options import DecodePlan, Limits

PHOTOGRAPH = photographs.pixels(2, 403, 269)
KINDS: list[dict[str, Any]] = [
    {"subsampling": "4:2:0"},
    {"subsampling": "4:2:2"},
    {"subsampling": "4:4:4"},
    {"subsampling": "4:2:0", "progressive": True},
    {"keep_rgb": True},
    {"restart_marker_rows": 1},
]


def encoded(image: Image.Image, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG", quality=88, **options)
    return out.getvalue()


def by_pillow(data: bytes, plan: DecodePlan) -> codec.Decoded:
    with patch.object(jpeg, "decode", lambda *_, **__: None):
        return codec.decode(data, plan, Limits())


def assert_same(data: bytes, plan: DecodePlan) -> None:
    found, expected = codec.decode(data, plan, Limits()), by_pillow(data, plan)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.width, found.height, found.extent) == (expected.width, expected.height, expected.extent)


@pytest.mark.parametrize("side", [0, 150, 90, 20])
@pytest.mark.parametrize("luma", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_pixels_are_those_of_pillow(kind: dict[str, Any], luma: bool, side: int) -> None:
    assert_same(encoded(PHOTOGRAPH, **kind), DecodePlan(luma=luma, width=side, height=side))


@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    side=st.integers(0, 20),
    luma=st.booleans(),
    mode=st.sampled_from(["L", "RGB"]),
    orientation=st.integers(1, 8),
)
@settings(deadline=None)
def test_the_smallest_and_thinnest_are_the_same_too(
    width: int, height: int, side: int, luma: bool, mode: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PHOTOGRAPH.crop((9, 9, 9 + width, 9 + height)).convert(mode), exif=exif)
    assert_same(data, DecodePlan(luma=luma, width=side, height=side))


def test_a_plain_photograph_is_not_left_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(PHOTOGRAPH)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("Pillow decoded it"))
    assert codec.decode(data, DecodePlan(), Limits()).pixels.shape == (269, 403, 3)


def test_colours_that_have_to_be_converted_are_the_same_too() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert_same(encoded(PHOTOGRAPH.convert("CMYK")), DecodePlan(luma=True))
    assert_same(encoded(PHOTOGRAPH, icc_profile=lab), DecodePlan())
