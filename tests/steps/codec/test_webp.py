"""WebPs whose picture is all there are read, whatever stands beside it."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from PIL import Image

    from imgflow_steps.contract.sample import Pixels

PHOTOGRAPH = photographs.pixels(7, 60, 40)


def webp(image: Image.Image = PHOTOGRAPH, *, lossless: bool = False) -> bytes:
    out = BytesIO()
    image.save(out, "WEBP", lossless=lossless, exact=lossless)
    return out.getvalue()


def decoded(data: bytes) -> Pixels:
    return codec.decode(data, DecodePlan(), Limits()).pixels


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def extended(flags: int, before: bytes = b"", behind: bytes = b"") -> bytes:
    sides = (59).to_bytes(3, "little") + (39).to_bytes(3, "little")
    body = b"WEBP" + chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides) + before + webp()[12:] + behind
    return b"RIFF" + struct.pack("<I", len(body)) + body


PLAIN = webp()
ORIENTED = chunk(b"EXIF", b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0" + bytes(4))
BESIDE = {
    "a profile that is none": extended(0x20, before=chunk(b"ICCP", b"junk")),
    "a profile that is not there": extended(0x20),
    "damaged EXIF": extended(0x08, behind=chunk(b"EXIF", b"II*\0\xff\xff\xff\xff")),
    "EXIF that is cut": extended(0x08, behind=b"EXIF\xff\0\0\0II*"),
    "XMP that is cut": extended(0x04, behind=b"XMP \xff\xff\0\0<x"),
    "an unknown chunk": extended(0, behind=chunk(b"JUNK", bytes(9))),
    "bytes behind it": PLAIN + bytes(50),
    "a count that is too small": PLAIN[:4] + struct.pack("<I", len(PLAIN) - 30) + PLAIN[8:],
    "a count that is too small, and bytes behind it": PLAIN[:4] + struct.pack("<I", 12) + PLAIN[8:] + b"\x80SEF" * 9,
    "a count that is too small, and zeros behind it": PLAIN[:4] + struct.pack("<I", 12) + PLAIN[8:] + bytes(50),
    "a count that is too large": PLAIN[:4] + struct.pack("<I", len(PLAIN) + 99) + PLAIN[8:],
}


@pytest.mark.parametrize("beside", BESIDE)
def test_what_stands_beside_a_picture_never_costs_it(beside: str) -> None:
    np.testing.assert_array_equal(decoded(BESIDE[beside]), decoded(PLAIN))
    head = codec.header(BESIDE[beside], Limits())
    assert (head.width, head.height) == PHOTOGRAPH.size


def test_its_way_up_is_kept_where_something_else_is_damaged() -> None:
    data = extended(0x0C, behind=ORIENTED + b"XMP \xff\xff\0\0<x")
    assert decoded(data).shape == (60, 40, 3)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_picture_that_is_cut_is_truncated_all_the_same(lossless: bool) -> None:
    for data in (webp(lossless=lossless), webp(PHOTOGRAPH.convert("RGBA"), lossless=lossless)):
        for part in (0.2, 0.5, 0.8, 0.98):
            with pytest.raises(Rejected) as verdict:
                decoded(data[: int(len(data) * part)])
            assert verdict.value.code == "truncated"


@pytest.mark.parametrize("lost", [2, 10, 20])
def test_a_picture_that_lost_bytes_in_its_middle_is_not_read_with_those_that_follow(lost: int) -> None:
    data = extended(0x08, behind=ORIENTED)
    at = data.index(b"VP8 ") + 60
    with pytest.raises(Rejected) as verdict:
        decoded(data[:at] + data[at + lost :])
    assert verdict.value.code == "truncated"


@pytest.mark.parametrize("lossless", [False, True])
def test_a_picture_that_is_cut_is_truncated_although_the_file_was_counted_anew(lossless: bool) -> None:
    for data in (webp(lossless=lossless), webp(PHOTOGRAPH.convert("RGBA"), lossless=lossless)):
        for part in (0.3, 0.6, 0.9):
            cut = data[: int(len(data) * part)]
            with pytest.raises(Rejected) as verdict:
                decoded(cut[:4] + struct.pack("<I", len(cut) - 8) + cut[8:])
            assert verdict.value.code == "truncated"


def test_damage_is_told_without_the_words_of_a_library() -> None:
    larger = extended(0).replace((59).to_bytes(3, "little"), (99).to_bytes(3, "little"), 1)
    for data in (larger, b"RIFF\x20\0\0\0WEBP" + chunk(b"VP8 ", b"x" * 20)):
        with pytest.raises(Rejected) as verdict:
            decoded(data)
        assert verdict.value.message == "this WEBP cannot be decoded: its data is damaged"


def moving(canvas: tuple[int, int], at: tuple[int, int], pictures: int) -> bytes:
    """An animation that does not say that it has alpha, whose pictures are the photograph at a place."""
    numbers = (at[0] // 2, at[1] // 2, PHOTOGRAPH.width - 1, PHOTOGRAPH.height - 1, 100)
    frame = chunk(b"ANMF", b"".join(n.to_bytes(3, "little") for n in numbers) + b"\2" + webp(lossless=True)[12:])
    sides = b"".join((side - 1).to_bytes(3, "little") for side in canvas)
    body = b"WEBP" + chunk(b"VP8X", b"\2\0\0\0" + sides) + chunk(b"ANIM", b"\xff" * 4 + bytes(2)) + frame * pictures
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("pictures", [1, 2])
def test_around_a_first_picture_that_is_a_part_of_the_canvas_it_is_transparent(pictures: int) -> None:
    assert decoded(moving(PHOTOGRAPH.size, (0, 0), pictures)).shape == (40, 60, 3)
    part = decoded(moving((80, 50), (10, 4), pictures))
    np.testing.assert_array_equal(part[4:44, 10:70, :3], np.asarray(PHOTOGRAPH))
    inside = np.zeros((50, 80), bool)
    inside[4:44, 10:70] = True
    np.testing.assert_array_equal(part[..., 3], np.where(inside, 255, 0))
