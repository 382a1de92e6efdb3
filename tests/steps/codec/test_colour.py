"""Colours arrive in sRGB, whatever profile a file carries, and grey pictures stay grey."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.codec import colour
from imgflow_steps.contract.options import DecodePlan, Limits

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

SMALL = photographs.pixels(11, 40, 24)

# Primaries of sRGB as seen from the white point that profiles use (D50): X, Y, Z.
RED, GREEN, BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
WHITE = (0.9642, 1.0, 0.8249)


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def srgb_curve() -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(fixed, numbers))


def profile(space: bytes, tags: dict[bytes, bytes], *, device: bytes = b"mntr", between: bytes = b"XYZ ") -> bytes:
    """The bytes of an ICC profile, version 2.4, made of these tags."""
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        padded = tag + b"\0" * (-len(tag) % 4)
        table += name + struct.pack(">II", offset + len(body), len(tag))
        body += padded
    head = bytearray(128)
    head[0:4] = struct.pack(">I", offset + len(body))
    head[8:12] = b"\x02\x40\0\0"
    head[12:24] = device + space + between
    head[36:40] = b"acsp"
    head[68:80] = b"".join(map(fixed, WHITE))
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def rgb_profile(
    red: tuple[float, ...], green: tuple[float, ...], blue: tuple[float, ...], curve: bytes, **more: bytes
) -> bytes:
    tags = {b"wtpt": xyz(*WHITE), b"rXYZ": xyz(*red), b"gXYZ": xyz(*green), b"bXYZ": xyz(*blue)}
    own = {name.encode(): tag for name, tag in more.items()}
    return profile(b"RGB ", {**tags, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve, **own})


def press_profile() -> bytes:
    """CMYK of a strange press: full cyan ink prints 20 % grey, any other corner of the cube black, paper white."""
    cube = bytearray()
    for corner in range(16):  # C M Y K from the slowest bit to the fastest; each point is L, a, b in 8 bits
        lightness = {0b0000: 255, 0b1000: 51}.get(corner, 0)
        cube += bytes([lightness, 128, 128])
    unit = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    ramp = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unit + ramp * 4 + bytes(cube) + ramp * 3
    return profile(b"CMYK", {b"wtpt": xyz(*WHITE), b"A2B0": table}, device=b"prtr", between=b"Lab ")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NEARLY_SRGB = rgb_profile((RED[0] + 0.0005, *RED[1:]), GREEN, BLUE, srgb_curve())
SRGB_BY_ANOTHER_NAME = rgb_profile(RED, GREEN, BLUE, srgb_curve())
SWAPPED = rgb_profile(GREEN, RED, BLUE, srgb_curve())
ENORMOUS = rgb_profile(GREEN, RED, BLUE, srgb_curve(), junk=bytes(5 << 20))
LINEAR_GREY = profile(b"GRAY", {b"wtpt": xyz(*WHITE), b"kTRC": gamma(1.0)})


def decoded(image: Image.Image, kind: str, icc: bytes | None, *, luma: bool = False) -> Pixels:
    out = BytesIO()
    image.save(out, kind, icc_profile=icc)
    return codec.decode(out.getvalue(), DecodePlan(luma=luma), Limits()).pixels


def worst(one: Pixels, other: object) -> int:
    return int(np.abs(one.astype(int) - np.asarray(other, dtype=int).reshape(one.shape)).max())


@pytest.mark.parametrize("icc", [SRGB, SRGB_BY_ANOTHER_NAME, NEARLY_SRGB], ids=["Pillow's", "by definition", "nearly"])
def test_a_profile_that_is_srgb_in_effect_changes_nothing(icc: bytes) -> None:
    assert worst(decoded(SMALL, "PNG", icc), SMALL) == 0


def test_srgb_in_effect_lets_a_jpeg_go_on_in_luma_alone() -> None:
    plain, named = decoded(SMALL, "JPEG", None, luma=True), decoded(SMALL, "JPEG", SRGB, luma=True)
    assert worst(plain, named) == 0


def test_another_profile_moves_colours_to_srgb() -> None:
    red, green, blue = SMALL.split()
    assert worst(decoded(SMALL, "PNG", SWAPPED), Image.merge("RGB", (green, red, blue))) <= 2


def test_luma_is_taken_after_colours_were_moved() -> None:
    assert (
        worst(decoded(SMALL, "JPEG", SWAPPED, luma=True), Image.fromarray(decoded(SMALL, "JPEG", SWAPPED)).convert("L"))
        == 0
    )
    assert worst(decoded(SMALL, "JPEG", SWAPPED, luma=True), decoded(SMALL, "JPEG", None, luma=True)) > 20


def test_alpha_stays_beside_colours_that_move() -> None:
    image = SMALL.copy()
    image.putalpha(Image.linear_gradient("L").resize(SMALL.size))
    pixels = decoded(image, "PNG", SWAPPED)
    assert worst(pixels[:, :, 3:], image.getchannel("A")) == 0
    assert worst(pixels[:, :, :3], decoded(SMALL, "PNG", SWAPPED)) == 0


def test_a_grey_profile_bends_greys_and_leaves_one_channel() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    linear = np.arange(256) / 255
    expected = 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    pixels = decoded(ramp, "PNG", LINEAR_GREY)
    assert pixels.shape == (1, 256, 1)
    assert worst(pixels, expected.round()) <= 1


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_is_seen_through_its_own_profile(kind: str) -> None:
    inks = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    inks.paste((0, 0, 0, 0), (8, 0, 16, 16))
    pixels = decoded(inks, kind, press_profile())
    assert worst(pixels[:, :8], np.full((16, 8, 3), 48)) <= 3  # L* of 20 is 48 in sRGB
    assert worst(pixels[:, 8:], np.full((16, 8, 3), 255)) <= 3


PRINTED = {  # shares of ink of 255, and the sRGB that printers give for them on coated paper
    (0, 0, 0, 0): (255, 255, 255),
    (255, 0, 0, 0): (0, 158, 227),
    (0, 255, 0, 0): (229, 0, 125),
    (0, 0, 255, 0): (255, 237, 0),
    (0, 255, 255, 0): (227, 6, 19),
    (255, 0, 255, 0): (0, 150, 64),
    (255, 255, 0, 0): (49, 39, 130),
    (0, 0, 0, 128): (150, 150, 150),
    (128, 102, 102, 0): (146, 142, 138),  # the balance of a grey
    (0, 0, 0, 255): (40, 40, 40),
    (255, 255, 255, 255): (0, 0, 0),
}


@pytest.mark.parametrize("icc", [None, b"not a profile"], ids=["none", "broken"])
@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
@pytest.mark.parametrize("inks", PRINTED, ids=str)
def test_cmyk_without_a_profile_looks_as_on_coated_paper(
    inks: tuple[int, int, int, int], kind: str, icc: bytes | None
) -> None:
    found = decoded(Image.new("CMYK", (16, 16), inks), kind, icc)
    assert worst(found, np.full((16, 16, 3), PRINTED[inks])) <= 25  # as near as printers are to each other


def test_more_ink_of_any_colour_is_never_lighter() -> None:
    for ink in range(4):
        ramp = np.zeros((1, 256, 4), np.uint8)
        ramp[0, :, ink] = np.arange(256)
        luma = np.asarray(Image.fromarray(decoded(Image.fromarray(ramp, "CMYK"), "TIFF", None)).convert("L"), int)
        assert np.diff(luma[0]).max() <= 0


@pytest.mark.parametrize(
    "icc",
    [b"not a profile", SRGB[:200], SRGB[:128] + bytes(len(SRGB) - 128), LINEAR_GREY, press_profile()],
    ids=["text", "cut short", "emptied", "for grey pictures", "for a press"],
)
def test_a_profile_that_is_broken_or_of_another_kind_is_ignored(icc: bytes) -> None:
    assert worst(decoded(SMALL, "PNG", icc), SMALL) == 0


def test_a_profile_larger_than_any_real_one_is_ignored() -> None:
    assert worst(decoded(SMALL, "TIFF", ENORMOUS), SMALL) == 0


def test_a_profile_is_read_once_and_then_remembered() -> None:
    colour._conversion.cache_clear()
    for _ in range(5):
        decoded(SMALL, "PNG", SWAPPED)
    assert colour._conversion.cache_info().misses == 1
