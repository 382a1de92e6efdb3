"""HEIC and AVIF: what telephones take comes in as its makers' own libraries show it, within the same limits."""

from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageOps
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.records import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgflow_steps.contract.sample import Pixels

PHOTOGRAPH = photographs.pixels(6, 120, 80)


def heic(image: Image.Image = PHOTOGRAPH, **options: Any) -> bytes:
    out = BytesIO()
    pillow_heif.from_pillow(image).save(out, quality=95, **options)
    return out.getvalue()


def avif(image: Image.Image = PHOTOGRAPH, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, "AVIF", quality=95, **options)
    return out.getvalue()


MADE: dict[str, Callable[..., bytes]] = {"heif": heic, "avif": avif}


def decoded(data: bytes, limits: Limits | None = None, **plan: Any) -> codec.Decoded:
    return codec.decode(data, DecodePlan(**plan), limits or Limits())


def apart(pixels: Pixels, image: Image.Image) -> float:
    shown = np.asarray(image).reshape(pixels.shape)
    return float(np.abs(pixels.astype(int) - shown).mean())


@pytest.mark.parametrize("kind", MADE)
def test_a_photograph_comes_in_with_its_colours(kind: str) -> None:
    found = decoded(MADE[kind]())
    assert (found.width, found.height, found.format) == (120, 80, kind)
    assert apart(found.pixels, PHOTOGRAPH) < 7
    assert apart(decoded(MADE[kind](), luma=True).pixels, PHOTOGRAPH.convert("L")) < 3


@pytest.mark.parametrize("kind", MADE)
def test_alpha_and_grey_come_in(kind: str) -> None:
    clear = PHOTOGRAPH.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    assert apart(decoded(MADE[kind](clear)).pixels[..., 3:], clear.getchannel("A")) < 2
    assert apart(decoded(MADE[kind](PHOTOGRAPH.convert("L")), luma=True).pixels, PHOTOGRAPH.convert("L")) < 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", MADE)
def test_a_turned_one_is_upright_as_pillow_and_libheif_show_it(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = MADE[kind](exif=exif.tobytes())
    found = decoded(data)
    if kind == "heif":
        shown: Image.Image = pillow_heif.read_heif(data).to_pillow()
    else:
        shown = ImageOps.exif_transpose(Image.open(BytesIO(data)))
    assert (found.width, found.height) == shown.size
    assert apart(found.pixels, shown) < 1


@pytest.mark.parametrize("kind", MADE)
def test_one_that_is_cut_is_truncated_and_never_half_there(kind: str) -> None:
    data = MADE[kind]()
    whole = decoded(data).pixels
    for at in range(12, len(data), len(data) // 40):
        with pytest.raises(Rejected) as verdict:
            decoded(data[:at])
        assert verdict.value.code in {"truncated", "unsupported-format"}, at
    np.testing.assert_array_equal(decoded(data).pixels, whole)


@pytest.mark.parametrize("kind", MADE)
def test_flipped_bytes_give_a_picture_or_a_verdict(kind: str) -> None:
    data, random = MADE[kind](), np.random.default_rng(1)
    for _ in range(60):
        damaged = bytearray(data)
        for at in random.integers(0, len(data), 4):
            damaged[at] ^= 1 << int(random.integers(8))
        try:
            decoded(bytes(damaged))
        except (Rejected, MemoryError):
            continue


def test_a_size_that_its_own_data_contradicts_is_the_file_s_fault_and_not_the_machine_s() -> None:
    data = heic()
    for at in range(data.index(b"ispe") + 8, data.index(b"ispe") + 16):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with suppress(Rejected):  # MemoryError would try it again, alone
                decoded(changed, Limits(pixels=1 << 40))


@pytest.mark.parametrize("kind", MADE)
def test_limits_hold_before_pixels_are_decoded(kind: str) -> None:
    with pytest.raises(Rejected) as verdict:
        decoded(MADE[kind](), Limits(pixels=120 * 80 - 1))
    assert verdict.value.code == "too-many-pixels"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "raw photograph (Canon)"),
        (b"\0\0\0\x18ftypmp42\0\0\0\1isommp42", "video (MP4)"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "video (QuickTime)"),
    ],
)
def test_what_is_packed_alike_and_not_read_is_named(data: bytes, says: str) -> None:
    with pytest.raises(Rejected, match="AVIF, HEIC") as verdict:
        decoded(data + bytes(100))
    assert verdict.value.code == "unsupported-format"
    assert says in verdict.value.message


def test_what_it_is_decides_and_not_its_name() -> None:
    assert all(keys.is_image(name) for name in ("IMG_0001.HEIC", "a.heif", "b.hif", "IMG_2.avif"))
    jpeg = BytesIO()
    PHOTOGRAPH.save(jpeg, "JPEG")
    assert decoded(jpeg.getvalue()).format == "jpeg"  # as some services hand them out, under a name of .heic


def test_xmp_does_not_turn_a_picture_that_its_own_file_would() -> None:
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert decoded(avif(xmp=packet)).pixels.shape == (80, 120, 3)


def test_a_coding_that_is_not_read_is_named_and_not_called_damage() -> None:
    data = bytearray(avif())
    data[8:12] = b"heic"
    with pytest.raises(Rejected) as verdict:
        decoded(bytes(data))
    assert (verdict.value.code, "plugin" in verdict.value.message) == ("unsupported-mode", False)


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def with_property(data: bytes, added: bytes) -> bytes:
    """An AVIF of Pillow's with one more property of its picture, behind the others."""
    change = bytearray(data)
    at = data.index(b"ipma") - 4
    number, own = int.from_bytes(data[at + 12 : at + 16]), data[at + 18]
    assert (number, data[at + 8], data[at + 11] & 1) == (1, 0, 0)
    change[at + 18] = own + 1
    change[at + 19 + own : at + 19 + own] = bytes([own + 1 | 0x80])  # as one that may not be left out
    change[at:at] = added
    for name, more in ((b"meta", len(added) + 1), (b"iprp", len(added) + 1), (b"ipco", len(added)), (b"ipma", 1)):
        at = change.index(name) - 4
        change[at : at + 4] = (int.from_bytes(change[at : at + 4]) + more).to_bytes(4)
    at = change.index(b"iloc") + 18
    change[at : at + 4] = (int.from_bytes(change[at : at + 4]) + len(added) + 1).to_bytes(4)
    return bytes(change)


def clap(width: int, height: int, right: int, lower: int) -> bytes:
    """Offsets of the middle are in halves of a pixel."""
    return box(b"clap", struct.pack(">IIII iI iI", width, 1, height, 1, right, 2, lower, 2))


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_avif_is_cut_to_its_clean_aperture_and_then_turned(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain = avif(exif=exif.tobytes())
    whole = decoded(plain).pixels
    data = with_property(plain, clap(100, 50, -20, 6))  # left at 0, upper at 18
    found, head = decoded(data), codec.header(data, Limits())
    part = whole[18:68, :100] if orientation == 1 else whole[:100, 80 - 68 : 80 - 18]
    np.testing.assert_array_equal(found.pixels, part)
    assert (found.width, found.height) == (head.width, head.height) == part.shape[1::-1]


@pytest.mark.parametrize("odd", [clap(0, 50, 0, 0), clap(200, 50, 0, 0), clap(100, 50, 90, 0)])
def test_an_aperture_that_cannot_be_never_costs_the_picture(odd: bytes) -> None:
    np.testing.assert_array_equal(decoded(with_property(avif(), odd)).pixels, decoded(avif()).pixels)


DISPLAY_P3 = [(255, 0, 0), (0, 255, 0), (200, 100, 50), (90, 90, 90)]
AS_SRGB = [(255, 0, 0), (0, 255, 0), (215, 93, 31), (90, 90, 90)]
LIGHT = {  # codes of a grey, and how it looks on a screen with white as bright as a page
    16: [(0, 0), (148, 190), (255, 255)],  # PQ: 203 of 10,000 cd/m2 is 0.58
    18: [(0, 0), (191, 191), (255, 255)],  # HLG: 0.75
    8: [(0, 0), (55, 128), (255, 255)],  # linear
}


def numbered(kind: str, image: Image.Image, primaries: int, transfer: int) -> bytes:
    """The image in a file that tells its colours by these numbers of H.273."""
    if kind == "png":
        out = BytesIO()
        image.save(out, "PNG")
        told = b"cICP" + bytes([primaries, transfer, 0, 1])
        return (
            out.getvalue()[:33]
            + struct.pack(">I", 4)
            + told
            + struct.pack(">I", zlib.crc32(told))
            + out.getvalue()[33:]
        )
    data = bytearray(MADE[kind](image, subsampling="4:4:4") if kind == "avif" else heic(image, chroma=444))
    at = data.index(b"nclx") + 4
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    return bytes(data)


@pytest.mark.parametrize("kind", ["png", "avif", "heif"])
@pytest.mark.parametrize("luma", [False, True])
def test_colours_that_are_told_by_numbers_become_srgb(kind: str, luma: bool) -> None:
    stored, shown = (
        np.array(colours, np.uint8).repeat(16, 0)[np.newaxis].repeat(16, 0) for colours in (DISPLAY_P3, AS_SRGB)
    )
    image = Image.fromarray(shown)
    assert (
        apart(
            decoded(numbered(kind, Image.fromarray(stored), 12, 13), luma=luma).pixels,
            image.convert("L") if luma else image,
        )
        < 3
    )
    for same in ((1, 13), (2, 2), (1, 1), *([] if kind == "heif" else [(77, 77)])):  # which libheif would not read
        assert apart(decoded(numbered(kind, image, *same)).pixels, image) < 3


@pytest.mark.parametrize("kind", ["png", "avif", "heif"])
@pytest.mark.parametrize("transfer", LIGHT)
def test_a_picture_for_bright_screens_is_neither_pale_nor_dark(kind: str, transfer: int) -> None:
    for code, looks in LIGHT[transfer]:
        for mode in ("L", "RGB") if kind == "png" else ("RGB",):
            image = Image.new("RGB", (32, 32), (code,) * 3).convert(mode)
            pixels = decoded(numbered(kind, image, 9, transfer)).pixels
            assert np.abs(pixels.astype(int) - looks).max() <= 4, (code, mode)


def test_numbers_of_a_png_count_for_more_than_its_gamma_and_a_profile_of_a_heic_for_more_than_numbers() -> None:
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    data = numbered("png", image, 12, 13)
    gamma = b"gAMA" + struct.pack(">I", 100_000)
    both = data[:33] + struct.pack(">I", 4) + gamma + struct.pack(">I", zlib.crc32(gamma)) + data[33:]
    np.testing.assert_array_equal(decoded(both).pixels, decoded(data).pixels)
    assert decoded(both).pixels[0, 0].tolist() == [215, 93, 31]
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert apart(decoded(heic(image, icc_profile=profile)).pixels, image) < 3
