"""Pixels leave through one encoder, without metadata, or are refused where a format ends."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest
from PIL import Image
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Encoding, Limits
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

Format = Literal["jpeg", "png", "webp"]
FORMATS: list[Format] = ["jpeg", "png", "webp"]


def pixels(channels: int, width: int = 60, height: int = 40) -> Pixels:
    colour = np.asarray(photographs.pixels(2, width, height))
    alpha = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))[:, :, np.newaxis]
    return np.concatenate([colour[:, :, : 1 if channels < 3 else 3], alpha], axis=2)[:, :, :channels].copy()


def decoded(data: bytes) -> codec.Decoded:
    return codec.decode(data, DecodePlan(), Limits())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_keeps_every_pixel_and_alpha(channels: int) -> None:
    before = pixels(channels)
    np.testing.assert_array_equal(decoded(codec.encode(before, Encoding(format="png"))).pixels, before)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_encoded_can_be_decoded_and_is_what_it_says(channels: int, kind: Format) -> None:
    data = codec.encode(pixels(channels), Encoding(format=kind, quality=95))
    found = decoded(data)
    assert (found.format, found.width, found.height) == (kind, 60, 40)
    assert not Image.open(BytesIO(data)).getexif()
    assert codec.encode(pixels(channels), Encoding(format=kind, quality=95)) == data


@pytest.mark.parametrize(("clear", "opaque"), [(2, 1), (4, 3)])
def test_jpeg_puts_alpha_over_white(clear: int, opaque: int) -> None:
    before = pixels(clear)
    share = before[:, :, -1:].astype(float) / 255
    expected = before[:, :, :-1] * share + 255 * (1 - share)
    after = decoded(codec.encode(before, Encoding(quality=100))).pixels
    assert after.shape[2] == opaque
    assert np.abs(after[:, :, 0] - expected[:, :, 0]).mean() < 4


def test_webp_keeps_alpha() -> None:
    before = pixels(4)
    after = decoded(codec.encode(before, Encoding(format="webp"))).pixels
    np.testing.assert_array_equal(after[:, :, 3], before[:, :, 3])


def test_less_quality_takes_less_room() -> None:
    for kind in ("jpeg", "webp"):
        sizes = [len(codec.encode(pixels(3), Encoding(format=kind, quality=q))) for q in (30, 60, 95)]
        assert sizes == sorted(sizes)


@pytest.mark.parametrize(("kind", "longest"), [("jpeg", 65_500), ("webp", 16_383)])
def test_a_side_longer_than_the_format_can_say_is_refused(kind: Format, longest: int) -> None:
    for shape in [(1, longest, 1), (longest, 1, 3)]:
        assert decoded(codec.encode(np.zeros(shape, np.uint8), Encoding(format=kind))).pixels.shape[:2] == shape[:2]
    with pytest.raises(Rejected, match=str(longest)) as verdict:
        codec.encode(np.zeros((1, longest + 1, 1), np.uint8), Encoding(format=kind))
    assert verdict.value.code == "unencodable"


def test_noise_at_full_quality_fits_the_encoder() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    for kind in FORMATS:
        assert decoded(codec.encode(noise, Encoding(format=kind, quality=100))).width == 400


def test_findings_without_pictures_are_never_encoded() -> None:
    with pytest.raises(ValueError, match="findings"):
        codec.encode(pixels(1), Encoding(format="none"))


def test_every_format_has_its_suffix_and_media_type() -> None:
    assert codec.SUFFIX == {"jpeg": "jpg", "png": "png", "webp": "webp"}
    assert set(codec.CONTENT_TYPE) == set(codec.SUFFIX)


@pytest.mark.parametrize(
    ("size", "expected"), [((600, 400), (240, 160)), ((400, 600), (160, 240)), ((30, 20), (30, 20))]
)
def test_a_thumbnail_has_240_pixels_at_most_and_is_in_colour(size: tuple[int, int], expected: tuple[int, int]) -> None:
    for data in [
        codec.thumbnail(photographs.jpeg(4, *size), Limits()),
        codec.thumbnail_of(np.asarray(photographs.pixels(4, *size))),
    ]:
        found = decoded(data)
        assert (found.format, found.width, found.height, found.pixels.shape[2]) == ("jpeg", *expected, 3)


@pytest.mark.parametrize(("pieces", "shape"), [(2, (79, 240)), (4, (160, 238)), (9, (164, 240)), (200, (164, 240))])
def test_pictures_of_one_image_share_a_thumbnail(pieces: int, shape: tuple[int, int]) -> None:
    pictures = [np.full((300, 450, 3), (200, 0, 0), np.uint8), *[np.zeros((300, 450, 2), np.uint8)] * (pieces - 1)]
    sheet = decoded(codec.thumbnail_of_all(pictures)).pixels
    assert sheet.shape[:2] == pytest.approx(shape, abs=3)
    assert sheet[5, 5].tolist() == pytest.approx([200, 0, 0], abs=8)
    assert sheet[5, -5].tolist() == pytest.approx([255, 255, 255], abs=8)


def test_a_thumbnail_of_clear_pixels_is_white_and_of_a_line_is_a_line() -> None:
    assert decoded(codec.thumbnail_of(np.zeros((300, 300, 4), np.uint8))).pixels.min() == 255
    assert decoded(codec.thumbnail_of(np.zeros((65_535, 1, 2), np.uint8))).pixels.shape == (240, 1, 1)


def test_a_thumbnail_of_what_cannot_be_decoded_is_a_verdict() -> None:
    with pytest.raises(Rejected):
        codec.thumbnail(b"GIF89a", Limits())
