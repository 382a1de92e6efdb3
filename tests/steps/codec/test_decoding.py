"""The door between bytes and pixels: every kind of picture comes in right, or is turned away by name."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.codec import colour, upright
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels.arrays import MODES

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

EVERYTHING = DecodePlan()
LUMA = DecodePlan(luma=True)
LIMITS = Limits()

SMALL = photographs.pixels(7, 37, 23)
ALPHA = Image.linear_gradient("L").resize(SMALL.size)


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.putalpha(ALPHA)
    return image


def file(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decoded(data: bytes, plan: DecodePlan = EVERYTHING) -> Pixels:
    return codec.decode(data, plan, LIMITS).pixels


def channels(image: Image.Image) -> Pixels:
    pixels = np.asarray(image)
    return pixels.reshape(image.height, image.width, -1)


def sixteen(byte_order: str) -> bytes:
    """A TIFF of 16-bit samples 0, 300, 32768, 65535 in one row."""
    samples = np.array([[0, 300, 32768, 65535]], dtype=f"{byte_order}u2")
    image = Image.frombytes("I;16" if byte_order == "<" else "I;16B", (4, 1), samples.tobytes())
    return file(image, "TIFF")


P = SMALL.quantize(16)
KINDS = {
    "1 in PNG": (SMALL.convert("1"), "PNG", {}, "L"),
    "1 in TIFF": (SMALL.convert("1"), "TIFF", {"compression": "group4"}, "L"),
    "1 in BMP": (SMALL.convert("1"), "BMP", {}, "L"),
    "L in PNG": (SMALL.convert("L"), "PNG", {}, "L"),
    "L in GIF": (SMALL.convert("L"), "GIF", {}, "RGB"),
    "L in BMP": (SMALL.convert("L"), "BMP", {}, "L"),
    "LA in PNG": (with_alpha(SMALL.convert("L")), "PNG", {}, "LA"),
    "LA in TIFF": (with_alpha(SMALL.convert("L")), "TIFF", {}, "LA"),
    "P in PNG": (P, "PNG", {}, "RGB"),
    "P in GIF": (P, "GIF", {}, "RGB"),
    "P in BMP": (P, "BMP", {}, "RGB"),
    "P in TIFF": (P, "TIFF", {"compression": "tiff_lzw"}, "RGB"),
    "PA in TIFF": (with_alpha(P), "TIFF", {}, "RGBA"),
    "RGB in PNG": (SMALL, "PNG", {}, "RGB"),
    "RGB in WebP": (SMALL, "WEBP", {"lossless": True}, "RGB"),
    "RGB in TIFF": (SMALL, "TIFF", {"compression": "tiff_adobe_deflate"}, "RGB"),
    "RGB in BMP": (SMALL, "BMP", {}, "RGB"),
    "RGBA in PNG": (with_alpha(SMALL), "PNG", {}, "RGBA"),
    "RGBA in WebP": (with_alpha(SMALL), "WEBP", {"lossless": True, "exact": True}, "RGBA"),
    "RGBA in TIFF": (with_alpha(SMALL), "TIFF", {}, "RGBA"),
    "YCbCr in TIFF": (SMALL.convert("YCbCr"), "TIFF", {}, "RGB"),
    "LAB in TIFF": (Image.new("LAB", (5, 4), (120, 130, 140)), "TIFF", {}, "RGB"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_lossless_kind_of_picture_comes_in_exactly(name: str) -> None:
    image, kind, options, mode = KINDS[name]
    pixels = decoded(file(image, kind, **options))
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, channels(image.convert(mode)))


@pytest.mark.parametrize("name", KINDS)
def test_luma_of_every_kind_is_the_same_one_rule(name: str) -> None:
    image, kind, options, mode = KINDS[name]
    pixels = decoded(file(image, kind, **options), LUMA)
    grey = "LA" if mode.endswith("A") else "L"
    np.testing.assert_array_equal(pixels, channels(image.convert(mode).convert(grey)))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}], ids=["plain", "progressive", "4:4:4"]
)
def test_a_jpeg_equals_its_full_decode(mode: str, options: dict[str, Any]) -> None:
    data = file(SMALL.convert(mode), "JPEG", quality=90, **options)
    whole = Image.open(BytesIO(data)).convert("L" if mode == "L" else "RGB")
    np.testing.assert_array_equal(decoded(data), channels(whole))


@pytest.mark.parametrize("name", ["mpo", "jpeg"])
def test_the_first_picture_of_an_mpo_is_taken_and_the_format_told(name: str) -> None:
    more: dict[str, Any] = {"save_all": True, "append_images": [ImageOps.invert(SMALL)]} if name == "mpo" else {}
    data = file(SMALL, name, quality=90, **more)
    result = codec.decode(data, EVERYTHING, LIMITS)
    assert (result.format, result.width, result.height) == (name, *SMALL.size)
    np.testing.assert_array_equal(result.pixels, channels(Image.open(BytesIO(data))))


def test_the_first_frame_of_an_animation_is_taken() -> None:
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        frames = [SMALL.quantize(8).convert("RGB"), ImageOps.invert(SMALL)]
        data = file(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(decoded(data), channels(frames[0]), err_msg=kind)


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_alpha_is_divided_out(mode: str) -> None:
    plain = with_alpha(SMALL if mode == "RGBa" else SMALL.convert("L"))
    result = colour.canonical(plain.convert(mode), luma=False)
    assert result.mode == plain.mode
    np.testing.assert_array_equal(channels(result), channels(plain.convert(mode).convert(plain.mode)))


@pytest.mark.parametrize("byte_order", ["<", ">"])
def test_16_bits_are_scaled_and_never_clipped(byte_order: str) -> None:
    assert decoded(sixteen(byte_order)).ravel().tolist() == [0, 1, 128, 255]


def test_16_bit_png_keeps_its_transparent_value() -> None:
    image = Image.frombytes("I;16", (3, 1), np.array([0, 300, 65535], dtype="<u2").tobytes())
    pixels = decoded(file(image, "PNG", transparency=300))
    assert pixels.tolist() == [[[0, 255], [1, 0], [255, 255]]]


def test_16_bit_colour_png_keeps_its_transparent_colour() -> None:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    row = zlib.compress(b"\0" + struct.pack(">6H", 256, 512, 1024, 65_535, 0, 0))
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)),
        (b"tRNS", struct.pack(">3H", 256, 512, 1024)),
        (b"IDAT", row),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
    assert decoded(data).tolist() == [[[1, 2, 4, 0], [255, 0, 0, 255]]]


@pytest.mark.parametrize(("mode", "what"), [("F", "32-bit float"), ("I", "32-bit signed")])
def test_samples_without_a_white_point_are_turned_away(mode: str, what: str) -> None:
    with pytest.raises(Rejected, match=what) as verdict:
        decoded(file(SMALL.convert("L").convert(mode), "TIFF"))
    assert verdict.value.code == "unsupported-mode"


@pytest.mark.parametrize(("mode", "key"), [("L", 10), ("RGB", (10, 20, 30)), ("P", 1)])
def test_a_transparent_colour_becomes_alpha(mode: str, key: Any) -> None:
    seen = Image.new("RGB", (4, 3), (200, 200, 200))
    seen.putpixel((1, 1), (10, 20, 30) if mode == "RGB" else (10, 10, 10))
    image = seen.quantize(2) if mode == "P" else seen.convert(mode)
    hidden = image.getpixel((1, 1)) if mode == "P" else key
    alpha = decoded(file(image, "PNG", transparency=hidden))[:, :, -1]
    assert alpha[1, 1] == 0
    assert np.count_nonzero(alpha == 255) == 11


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_stands_upright(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file(SMALL, kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    result = codec.decode(data, EVERYTHING, LIMITS)
    assert (result.width, result.height) == expected.size == (SMALL.size if orientation < 5 else SMALL.size[::-1])
    np.testing.assert_array_equal(result.pixels, channels(expected))


@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0"])
def test_a_damaged_exif_leaves_the_picture_as_it_lies(exif: bytes) -> None:
    assert decoded(file(SMALL, "JPEG", exif=exif)).shape == (23, 37, 3)


@pytest.mark.parametrize(
    ("kind", "longest"),
    [("PNG", 70_000), ("TIFF", 65_535), ("GIF", 65_535), ("BMP", 65_535), ("JPEG", 65_500), ("WEBP", 16_383)],
)
@pytest.mark.parametrize("plan", [EVERYTHING, DecodePlan(luma=True, width=40, height=40)], ids=["whole", "planned"])
def test_the_thinnest_pictures_come_in(kind: str, longest: int, plan: DecodePlan) -> None:
    for size in [(1, 1), (1, longest), (longest, 1)]:
        image = Image.linear_gradient("L").resize(size).convert("RGB")
        data = file(image, kind)
        result = codec.decode(data, plan, LIMITS)
        assert (result.width, result.height) == size
        whole = Image.open(BytesIO(data)).convert("RGB").convert("L" if plan.luma else "RGB")
        assert np.abs(result.pixels.astype(int) - channels(whole)).max() <= 1


def test_pixels_of_every_channel_count_are_what_steps_are_promised() -> None:
    shapes = {image.convert(mode).mode: mode for image, _, _, mode in KINDS.values()}
    assert set(shapes) == set(MODES)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_small_and_large_pictures_are_turned_alike(mode: str, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photographs.pixels(3, 31, 17).convert(mode)
    picture.getexif()[0x0112] = turn
    out = BytesIO()
    picture.save(out, "PNG", exif=picture.getexif())
    small = codec.decode(out.getvalue(), DecodePlan(), Limits()).pixels
    monkeypatch.setattr(upright, "SMALL", 0)
    np.testing.assert_array_equal(small, codec.decode(out.getvalue(), DecodePlan(), Limits()).pixels)
