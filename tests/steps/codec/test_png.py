"""PNGs: exact transparent colours, no missing rows, and no picture lost for what stands beside it."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

PHOTOGRAPH = photographs.pixels(4, 40, 24)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(size: tuple[int, int], depth: int, colour: int, rows: bytes, *beside: bytes, interlace: int = 0) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(beside) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def by_pillow(image: Image.Image = PHOTOGRAPH) -> bytes:
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def beside(data: bytes, *chunks: bytes) -> bytes:
    return data[:33] + b"".join(chunks) + data[33:]


def decoded(data: bytes, *, luma: bool = False) -> Pixels:
    return codec.decode(data, DecodePlan(luma=luma), Limits()).pixels


def rejected(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as verdict:
        decoded(data)
    return verdict.value


def wrong_checksum(whole: bytes) -> bytes:
    return whole[:-1] + bytes([whole[-1] ^ 1])


SIDE_DATA = {
    "text with a wrong checksum": wrong_checksum(chunk(b"tEXt", b"Comment\0of no use")),
    "text that swells": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000))),
    "XMP of two megabytes": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "text of another compression": chunk(b"zTXt", b"Comment\0\7abc"),
    "profile that swells": chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(50_000_000))),
    "profile with a wrong checksum": wrong_checksum(chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"no profile"))),
    "profile of another compression": chunk(b"iCCP", b"profile\0\7abc"),
    "profile without a name": chunk(b"iCCP", b""),
    "short pHYs": chunk(b"pHYs", b"\0\0\1"),
    "short gAMA": chunk(b"gAMA", b"\0\0"),
    "short sRGB": chunk(b"sRGB", b""),
    "short cHRM": chunk(b"cHRM", bytes(9)),
    "short acTL": chunk(b"acTL", b"\0"),
    "short fcTL": chunk(b"fcTL", bytes(9)),
    "empty tRNS": chunk(b"tRNS", b""),
    "short tRNS": chunk(b"tRNS", b"\0\x09"),
    "a name that is none": chunk(b"\x11TXt", b"whatever"),
    "unknown, and called critical": wrong_checksum(chunk(b"IxXX", b"whatever")),
    "unknown with a wrong checksum": wrong_checksum(chunk(b"imFl", b"whatever")),
}


@pytest.mark.parametrize("name", SIDE_DATA)
def test_damaged_or_large_data_beside_a_picture_never_costs_the_picture(name: str) -> None:
    data = by_pillow()
    np.testing.assert_array_equal(decoded(beside(data, SIDE_DATA[name])), decoded(data))
    behind = data[:-12] + SIDE_DATA[name] + data[-12:]
    np.testing.assert_array_equal(decoded(behind), decoded(data))
    head = codec.header(beside(data, SIDE_DATA[name]), Limits())
    assert (head.width, head.height) == PHOTOGRAPH.size


def test_what_the_pixels_need_is_named_where_it_is_damaged() -> None:
    palette = chunk(b"PLTE", bytes(range(6)))
    rows = bytes([0, 0x80] * 2)
    assert decoded(png((2, 2), 1, 3, rows, palette)).shape == (2, 2, 3)
    assert "palette" in rejected(png((2, 2), 1, 3, rows)).message
    assert "PLTE" in rejected(png((2, 2), 1, 3, rows, wrong_checksum(palette))).message


def test_the_png_inside_of_iphone_programs_is_named() -> None:
    data = by_pillow()
    at = data.index(b"IDAT")
    packed = zlib.compress(bytes((1 + 3 * 40) * 24))[2:-4]  # without the frame of zlib
    apples = data[:8] + chunk(b"CgBI", b"P\0 \2") + data[8 : at - 4] + chunk(b"IDAT", packed) + data[-12:]
    verdict = rejected(apples)
    assert (verdict.code, "CgBI" in verdict.message) == ("unsupported-format", True)


def test_transparency_with_a_wrong_checksum_is_still_transparency() -> None:
    data = beside(by_pillow(Image.new("L", (3, 2), 9)), wrong_checksum(chunk(b"tRNS", b"\0\x09")))
    np.testing.assert_array_equal(decoded(data)[:, :, 1], 0)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("luma", [False, True])
def test_the_transparent_grey_is_meant_in_the_bits_of_the_file(depth: int, luma: bool) -> None:
    highest = (1 << depth) - 1
    values = sorted({0, 1, highest // 2, highest - 1, highest})
    for key in values:
        bits = "".join(f"{value:0{depth}b}" for value in values)
        row = b"\0" + int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8))
        data = png((len(values), 1), depth, 0, row, chunk(b"tRNS", struct.pack(">H", key)))
        np.testing.assert_array_equal(decoded(data, luma=luma)[0, :, 1], [0 if v == key else 255 for v in values])


@pytest.mark.parametrize("interlace", [0, 1])
@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_is_one_colour_and_not_its_neighbours(depth: int, interlace: int) -> None:
    near = [(18, 16, 16), (18, 16, 17), (18, 17, 16), (19, 16, 16)]
    kind = ">3H" if depth == 16 else ">3B"
    rows = b"".join(b"\0" + struct.pack(kind, *((4096 if depth == 16 else 0) + v for v in one)) for one in near)
    key = struct.pack(">3H", *((4096 if depth == 16 else 0) + v for v in near[0]))
    data = png((1, len(near)), depth, 2, rows, chunk(b"tRNS", key))
    if interlace:
        passes = [near[0], near[2], near[1], near[3]]  # a column of four: rows 0, 2, then 1 and 3
        rows = b"".join(b"\0" + struct.pack(kind, *((4096 if depth == 16 else 0) + v for v in one)) for one in passes)
        data = png((1, len(near)), depth, 2, rows, chunk(b"tRNS", key), interlace=1)
    np.testing.assert_array_equal(decoded(data)[:, 0, 3], [0, 255, 255, 255])


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("kind", ["RGB", "L", "RGBA", "P", "1", "I;16", "LA"])
def test_a_picture_whose_rows_are_missing_is_truncated(kind: str, part: float) -> None:
    grey = np.asarray(PHOTOGRAPH.convert("L"), np.uint16) * 200 + 1
    image = Image.fromarray(grey) if kind == "I;16" else PHOTOGRAPH.convert(kind)
    data = by_pillow(image)
    rows = zlib.decompress(data[data.index(b"IDAT") + 4 : data.rindex(b"IEND") - 8])
    short = zlib.compress(rows[: int(len(rows) * part)])
    at, end = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    assert rejected(data[:at] + chunk(b"IDAT", short) + data[end:]).code == "truncated"


def test_a_picture_with_a_black_bottom_is_whole() -> None:
    for kind in ("RGB", "L", "RGBA", "P", "1"):
        image = Image.new(kind, (30, 20))
        assert decoded(by_pillow(image)).shape[:2] == (20, 30)
    interlaced = png((1, 4), 8, 0, bytes(8), interlace=1)
    assert decoded(interlaced).shape == (4, 1, 1)
    assert rejected(png((1, 4), 8, 0, bytes(7), interlace=1)).code == "truncated"


def interlaced(width: int, height: int) -> bytes:
    """Rows of a white picture in the seven passes of Adam7, each with its filter."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    sizes = ((len(range(x, width, dx)), len(range(y, height, dy))) for x, y, dx, dy in passes)
    return b"".join((b"\0" + b"\xff" * across) * down for across, down in sizes if across)


@pytest.mark.parametrize("height", [5, 8, 9])
def test_an_interlaced_picture_without_its_last_pass_is_truncated_though_its_last_row_is_there(height: int) -> None:
    rows = interlaced(9, height)
    assert decoded(png((9, height), 8, 0, rows, interlace=1)).min() == 255
    for lacks in (1, 10, len(rows) // 2):
        assert rejected(png((9, height), 8, 0, rows[:-lacks], interlace=1)).code == "truncated"


def test_rows_whose_checksum_alone_is_wrong_are_read_and_changed_ones_are_not() -> None:
    data = by_pillow()
    at, end = data.index(b"IDAT"), data.rindex(b"IEND") - 8
    packed = data[at + 4 : end]
    wrong = packed[:-1] + bytes([packed[-1] ^ 1])
    parts = chunk(b"IDAT", wrong[:50]) + chunk(b"IDAT", wrong[50:])
    np.testing.assert_array_equal(decoded(data[: at - 4] + parts + data[-12:]), np.asarray(PHOTOGRAPH))
    assert rejected(data[: end - 1] + bytes([data[end - 1] ^ 1]) + data[end:]).code == "undecodable"


@pytest.mark.parametrize(
    "palette", [chunk(b"PLTE", b""), wrong_checksum(chunk(b"PLTE", b"abc"))], ids=["empty", "wrong"]
)
def test_a_palette_that_no_pixel_needs_never_costs_the_picture(palette: bytes) -> None:
    np.testing.assert_array_equal(decoded(beside(by_pillow(), palette)), np.asarray(PHOTOGRAPH))


def test_bytes_behind_a_picture_do_not_make_a_damaged_one_short() -> None:
    data = by_pillow()
    damaged = bytearray(data)
    damaged[data.index(b"IDAT") + 30] ^= 0xFF
    assert rejected(bytes(damaged) + bytes(200)).code == "undecodable"


def test_linear_light_is_shown_as_browsers_show_it() -> None:
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[np.newaxis])
    linear = decoded(beside(by_pillow(ramp), chunk(b"gAMA", struct.pack(">I", 100_000))))[0, :, 0]
    assert [int(linear[i]) for i in (0, 1, 55, 128, 255)] == [0, 13, 128, 188, 255]
    for gamma, more in ((45_455, b""), (100_000, chunk(b"sRGB", b"\0")), (0, b"")):  # sRGB, and what is no gamma
        same = decoded(beside(by_pillow(ramp), more, chunk(b"gAMA", struct.pack(">I", gamma))))
        np.testing.assert_array_equal(same[0, :, 0], np.arange(256))
    clear = beside(by_pillow(Image.new("RGBA", (2, 2), (55, 55, 55, 55))), chunk(b"gAMA", struct.pack(">I", 100_000)))
    assert decoded(clear)[0, 0].tolist() == [128, 128, 128, 55]


ON_ITS_SIDE = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0" + bytes(4)
XMP_ON_ITS_SIDE = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
TURNED = {
    "as ImageMagick writes it": chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n38\n" + ON_ITS_SIDE.hex().encode() + b"\n")
    ),
    "packed XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP_ON_ITS_SIDE)),
}


@pytest.mark.parametrize("said", TURNED)
def test_its_way_up_is_kept_where_something_else_is_damaged(said: str) -> None:
    data = beside(by_pillow(), SIDE_DATA["text with a wrong checksum"], TURNED[said])
    assert decoded(data).shape == (40, 24, 3)


def test_more_transparencies_than_a_palette_can_have_are_left_out() -> None:
    palette, rows = chunk(b"PLTE", bytes(range(6))), bytes([0, 0x80] * 2)
    too_many = decoded(png((2, 2), 1, 3, rows, palette, chunk(b"tRNS", bytes([7, 9] + [255] * 300))))
    np.testing.assert_array_equal(too_many, decoded(png((2, 2), 1, 3, rows, palette, chunk(b"tRNS", bytes([7, 9])))))


def test_damage_is_told_without_the_words_of_a_library() -> None:
    rows = bytes(1 + 3 * 40) * 24
    broken = by_pillow()[:33] + chunk(b"IDAT", b"x" * 500) + chunk(b"IEND", b"")
    for data in (broken, png((40, 24), 8, 2, b"\7" * len(rows))):
        assert rejected(data).message == "this PNG cannot be decoded: its data is damaged"
