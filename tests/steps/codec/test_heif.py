"""HEIC and AVIF: what telephones take comes in as its makers' own libraries show it, within the same limits."""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps
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
