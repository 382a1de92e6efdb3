"""GIFs whose picture is a part of their screen, and BMPs cut into colours by masks of their own."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

PHOTOGRAPH = photographs.pixels(5, 30, 20)


def decoded(data: bytes, **plan: Any) -> Any:
    return codec.decode(data, DecodePlan(**plan), Limits()).pixels


def gif(screen: tuple[int, int], at: tuple[int, int]) -> bytes:
    out = BytesIO()
    PHOTOGRAPH.convert("P").save(out, "GIF")
    data = bytearray(out.getvalue())
    data[6:10] = struct.pack("<HH", *screen)
    frame = data.index(b",\0\0\0\0" + struct.pack("<HH", *PHOTOGRAPH.size))
    data[frame + 1 : frame + 5] = struct.pack("<HH", *at)
    return bytes(data)


@pytest.mark.parametrize("luma", [False, True])
def test_around_a_first_picture_that_is_a_part_of_the_screen_it_is_transparent(luma: bool) -> None:
    whole = decoded(gif(PHOTOGRAPH.size, (0, 0)), luma=luma)
    part = decoded(gif((50, 40), (7, 9)), luma=luma)
    channels = whole.shape[2]
    assert (part.shape, channels) == ((40, 50, channels + 1), 1 if luma else 3)
    np.testing.assert_array_equal(part[9:29, 7:37, :channels], whole)
    around = np.ones((40, 50), bool)
    around[9:29, 7:37] = False
    np.testing.assert_array_equal(part[..., -1], np.where(around, 0, 255))
    assert not part[around].any()


CONTROLS = {
    "short": b"!\xf9\1\5\0",
    "short, with transparency": b"!\xf9\1\1\0",
    "long": b"!\xf9\5" + bytes(6),
    "none": b"!\xf9\0",
    "good, then short": b"!\xf9\4" + bytes(5) + b"!\xf9\1\1\0",
}


@pytest.mark.parametrize("name", CONTROLS)
def test_an_extension_of_an_odd_length_never_costs_a_gif(name: str) -> None:
    data = gif(PHOTOGRAPH.size, (0, 0))
    at = data.index(b",\0\0\0\0")
    np.testing.assert_array_equal(decoded(data[:at] + CONTROLS[name] + data[at:]), decoded(data))


def test_what_a_first_picture_of_a_gif_lacks_is_not_taken_from_the_second() -> None:
    data = gif(PHOTOGRAPH.size, (0, 0))
    at = data.index(b",\0\0\0\0")
    second = data[at:]
    np.testing.assert_array_equal(decoded(data[:-1] + second), decoded(data))
    start = at + 10 + (3 << (data[at + 9] & 7) + 1 if data[at + 9] & 128 else 0)
    assert data[start + 1] == 255
    short = data[: start + 1] + b"\xc8" + data[start + 2 : start + 202] + b"\0"  # two hundred bytes of its codes
    with pytest.raises(Rejected) as verdict:
        decoded(short + second)
    assert verdict.value.code == "truncated"


MASKS = {
    "444": (16, (0xF00, 0xF0, 0xF, 0)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "565": (16, (0xF800, 0x7E0, 0x1F, 0)),
    "233": (16, (0xC0, 0x38, 0x7, 0)),
    "10 each": (32, (0x3FF00000, 0xFFC00, 0x3FF, 0)),
    "rgb32bf": (32, (0xFF000000, 0xFF0000, 0xFF00, 0)),
    "backwards with alpha": (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)),
}


def bmp(bits: int, masks: tuple[int, int, int, int], *, down: bool = False) -> bytes:
    """The photograph cut by masks, with alpha from left to right where there is a mask for it."""
    rgba = np.dstack([np.asarray(PHOTOGRAPH), np.tile(np.arange(30, dtype=np.uint8) * 8, (20, 1))]).astype(np.uint64)
    cut = np.zeros((20, 30), np.uint64)
    for channel, mask in enumerate(masks):
        if mask:
            low = (mask & -mask).bit_length() - 1
            highest = mask >> low
            cut |= ((rgba[..., channel] * highest + 127) // 255) << low
    body = (cut if down else cut[::-1]).astype(f"<u{bits // 8}").tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, 30, -20 if down else 20, 1, bits, 3, len(body), 0, 0, 0, 0)
    head += struct.pack("<4I", *masks) + b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(body), 0, 0, 14 + len(head)) + head + body


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_pixels_are_cut_as_the_masks_say(name: str, down: bool) -> None:
    bits, masks = MASKS[name]
    pixels = decoded(bmp(bits, masks, down=down))
    for channel in range(3):
        step = 255 / (masks[channel] >> ((masks[channel] & -masks[channel]).bit_length() - 1))
        assert np.abs(pixels[..., channel].astype(int) - np.asarray(PHOTOGRAPH)[..., channel]).max() <= step / 2 + 8
    assert pixels.shape[2] == (4 if masks[3] else 3)
    if masks[3]:
        assert np.abs(pixels[0, :, 3].astype(int) - np.arange(30) * 8).max() <= 9


def test_a_bmp_of_masks_that_lacks_rows_is_truncated() -> None:
    data = bmp(*MASKS["444"])
    with pytest.raises(Rejected) as verdict:
        decoded(data[: len(data) // 2])
    assert verdict.value.code == "truncated"


def test_masks_that_pillow_knows_are_its_own() -> None:
    out = BytesIO()
    PHOTOGRAPH.save(out, "BMP")
    np.testing.assert_array_equal(decoded(out.getvalue()), np.asarray(PHOTOGRAPH))
    assert isinstance(Image.open(BytesIO(bmp(*MASKS["565"]))), Image.Image)


def with_palette(compression: int, body: bytes, *, colours: int = 0, bits: int = 8) -> bytes:
    """Columns of 16 colours, in 16 rows."""
    head = struct.pack("<IiiHHIIiiII", 40, 16, 16, 1, bits, compression, len(body), 0, 0, colours, 0)
    palette = b"".join(bytes([i, 255 - i, i // 2, 0]) for i in range(256))
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(body), 0, 0, 54 + 1024) + head + palette + body


ROWS = bytes(range(0, 256, 16)) * 16


@pytest.mark.parametrize("size", [56, 108, 124])
def test_an_alpha_that_hides_every_pixel_was_never_meant(size: int) -> None:
    masks = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for alpha, channels in ((0, 3), (1, 4)):
        body = bytes([1, 2, 3, 0]) * 15 + bytes([1, 2, 3, alpha])
        head = struct.pack("<IiiHHIIiiII4I", size, 4, 4, 1, 32, 3, len(body), 0, 0, 0, 0, *masks) + bytes(size - 56)
        pixels = decoded(b"BM" + struct.pack("<IHHI", 14 + size + 64, 0, 0, 14 + size) + head + body)
        assert pixels.shape == (4, 4, channels)
        np.testing.assert_array_equal(pixels[0, :, :3], [[3, 2, 1]] * 4)


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("size", [16, 40, 64])
@pytest.mark.parametrize("colours", [[0, 255], [255, 0], [0]])
def test_black_and_white_may_have_more_bits_than_one(bits: int, size: int, colours: list[int]) -> None:
    places = np.arange(30).reshape(3, 10) % len(colours)
    rows = b"".join(
        np.packbits((row[:, np.newaxis] >> np.arange(bits)[::-1] & 1).astype(np.uint8))
        .tobytes()
        .ljust(-(-10 * bits // 32) * 4, b"\0")
        for row in places[::-1]
    )
    said = 1 << bits if size == 16 else len(colours)
    palette = b"".join(bytes([grey] * 3 + [0]) for grey in colours).ljust(4 * said, b"\0")
    head = struct.pack("<IiiHHIIiiII", size, 10, 3, 1, bits, 0, len(rows), 0, 0, len(colours), 0).ljust(size, b"\0")[
        :size
    ]
    data = b"BM" + struct.pack("<IHHI", 14 + size + len(palette) + len(rows), 0, 0, 14 + size + len(palette))
    pixels = decoded(data + head + palette + rows)
    np.testing.assert_array_equal(pixels, np.broadcast_to(np.array(colours)[places][..., np.newaxis], pixels.shape))


@pytest.mark.parametrize(("compression", "bits", "words"), [(3, 1, "Huffman"), (4, 24, "run lengths of 24 bits")])
def test_what_os_2_alone_wrote_is_named(compression: int, bits: int, words: str) -> None:
    head = struct.pack("<IiiHHI", 64, 8, 8, 1, bits, compression).ljust(64, b"\0")
    with pytest.raises(Rejected, match=words) as verdict:
        decoded(b"BM" + struct.pack("<IHHI", 500, 0, 0, 86) + head + bytes(422))
    assert (verdict.value.code, "PNG" in verdict.value.message) == ("unsupported-mode", True)


def test_more_colours_than_a_palette_can_have_never_cost_a_bmp() -> None:
    np.testing.assert_array_equal(decoded(with_palette(0, ROWS, colours=300)), decoded(with_palette(0, ROWS)))


@pytest.mark.parametrize("change", ["lost", "more"])
def test_a_bmp_whose_bytes_have_moved_is_not_read_for_its_count_of_colours(change: str) -> None:
    data = with_palette(0, ROWS, colours=300)
    moved = data[:60] + data[62:] if change == "lost" else data[:60] + b"ab" + data[60:]
    with pytest.raises(Rejected) as verdict:
        decoded(moved)
    assert verdict.value.code in {"truncated", "undecodable"}


def test_a_bmp_of_runs_that_lacks_rows_is_truncated_with_an_end_and_without() -> None:
    row = b"".join(bytes([1, value]) for value in ROWS[:16]) + b"\0\0"
    assert decoded(with_palette(1, row * 16 + b"\0\1")).shape == (16, 16, 3)
    for cut in (row * 9, row * 9 + b"\0\1"):
        with pytest.raises(Rejected) as verdict:
            decoded(with_palette(1, cut))
        assert verdict.value.code == "truncated"


@pytest.mark.parametrize(("compression", "inside"), [(4, "JPEG"), (5, "PNG")])
def test_a_bmp_that_holds_another_file_is_named(compression: int, inside: str) -> None:
    with pytest.raises(Rejected, match=f"holds a {inside}") as verdict:
        decoded(with_palette(compression, b"whatever", bits=0))
    assert verdict.value.code == "unsupported-mode"


@pytest.mark.parametrize(("at", "value", "words"), [(28, 2, "2 bits"), (14, 18, "header"), (30, 99, "compression")])
def test_a_bmp_of_a_kind_that_is_not_read_is_named(at: int, value: int, words: str) -> None:
    out = BytesIO()
    PHOTOGRAPH.save(out, "BMP")
    data = bytearray(out.getvalue())
    data[at : at + 2] = struct.pack("<H", value)
    with pytest.raises(Rejected) as verdict:
        decoded(bytes(data))
    assert verdict.value.code == "unsupported-mode"
    assert words in verdict.value.message
