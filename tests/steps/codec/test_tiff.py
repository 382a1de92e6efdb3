"""TIFFs as cameras, scanners and old programs write them: what is beside the pixels, and what their numbers mean."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from tests import photographs, tiffs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

Array = np.ndarray[Any, Any]

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
JPEG, WEBP = 7, 50001
TURN = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'

PHOTO = photographs.pixels(5, 40, 24)
COLOUR = np.asarray(PHOTO)
GREY = np.asarray(PHOTO.convert("L"))[:, :, np.newaxis]


def decoded(data: bytes) -> Pixels:
    return codec.decode(data, DecodePlan(), Limits()).pixels


def verdict_on(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as verdict:
        decoded(data)
    return verdict.value


def saved(image: Image.Image, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, "TIFF", **options)
    return out.getvalue()


def channels(image: Image.Image) -> Array:
    return np.asarray(image).reshape(image.height, image.width, -1)


def worst(one: Array, other: Array) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# Which way is up


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("said", ["in its own tag", "in XMP alone", "in both, of which its own counts"])
@pytest.mark.parametrize("planar", [False, True], ids=["together", "in planes"])
def test_a_tiff_stands_upright_wherever_its_orientation_is_said(turn: int, said: str, *, planar: bool) -> None:
    more = {
        "in its own tag": {274: turn},
        "in XMP alone": {700: TURN % turn},
        "in both, of which its own counts": {274: turn, 700: TURN % (9 - turn)},
    }[said]
    data = tiffs.tiff(COLOUR, 8, RGB, compression="lzw", planar=planar, more=more)
    result = codec.decode(data, DecodePlan(width=9, height=9), Limits())
    plain = PHOTO.copy()
    plain.getexif()[274] = turn
    out = BytesIO()
    plain.save(out, "PNG", exif=plain.getexif())
    upright = codec.decode(out.getvalue(), DecodePlan(), Limits())
    assert (result.width, result.height) == (upright.width, upright.height)
    np.testing.assert_array_equal(result.pixels, upright.pixels)


# What is beside the pixels


@pytest.mark.parametrize(
    "more",
    [
        {274: b"what is this"},
        {274: 99},
        {700: b"\xff" * 9},
        {34675: b"no profile"},
        {34675: 7},
        {282: [(1, 0)], 283: [(0, 0)], 296: 77},
        {34665: 0xFFFF_FFF0},
        {330: [0xFFFF_FFF0] * 5},
        {33723: 5, 34377: b"8BIM"},
    ],
    ids=["orientation", "turn", "XMP", "profile", "profile is a number", "resolution", "EXIF", "sub-images", "press"],
)
@pytest.mark.parametrize("compression", ["none", "deflate"])
def test_damaged_data_beside_the_pixels_never_costs_the_picture(more: dict[int, Any], compression: str) -> None:
    np.testing.assert_array_equal(decoded(tiffs.tiff(COLOUR, 8, RGB, compression=compression, more=more)), COLOUR)


def test_side_data_behind_the_end_of_the_file_never_costs_the_picture() -> None:
    data = tiffs.tiff(COLOUR, 8, RGB, more={700: b" " * 100})
    np.testing.assert_array_equal(decoded(data[:-90]), COLOUR)


@pytest.mark.parametrize("planar", [False, True], ids=["together", "in planes"])
def test_a_profile_is_used_however_samples_lie(*, planar: bool) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = saved(PHOTO, icc_profile=profile)
    np.testing.assert_array_equal(
        decoded(tiffs.tiff(COLOUR, 8, RGB, planar=planar, more={34675: profile})), decoded(plain)
    )


def test_what_old_writers_leave_out_is_taken_as_libtiff_takes_it() -> None:
    tags = {256: 40, 257: 24, 258: 8}
    np.testing.assert_array_equal(decoded(tiffs.filed({**tags, 277: 3}, [COLOUR.tobytes()])), COLOUR)
    np.testing.assert_array_equal(decoded(tiffs.filed(tags, [GREY.tobytes()])), GREY)
    without_count = tiffs.filed({**tags, 258: [8, 8, 8], 262: 2}, [COLOUR.tobytes()])
    np.testing.assert_array_equal(decoded(without_count), COLOUR)
    without_lengths = tiffs.filed({**tags, 279: []}, [GREY.tobytes()])
    np.testing.assert_array_equal(decoded(without_lengths), GREY)


# Polarity, palettes, predictors


def test_a_palette_of_8_bit_values_is_taken_as_libtiff_takes_it() -> None:
    levels = list(range(256))
    places = np.arange(256, dtype=np.uint8).reshape(8, 32, 1)
    for compression in ("none", "lzw"):
        pixels = decoded(tiffs.tiff(places, 8, PALETTE, compression=compression, more={320: levels * 3}))
        np.testing.assert_array_equal(pixels, np.repeat(places, 3, axis=2))
    one_more = decoded(tiffs.tiff(places, 8, PALETTE, more={320: [*levels[:-1], 256, *levels * 2]}))
    assert one_more.max() == 1, "an entry above 255 says that all have 16 bits"


def test_a_palette_that_is_too_short_is_damage() -> None:
    verdict = verdict_on(tiffs.tiff(GREY, 8, PALETTE, more={320: [0] * 12}))
    assert (verdict.code, "12 of 768" in str(verdict)) == ("undecodable", True)


def test_differences_of_12_bits_are_added_up() -> None:
    samples = np.array([[100, 200, 300, 400], [1000, 2000, 3000, 4000]])[:, :, np.newaxis]
    for compression in ("none", "lzw"):
        data = tiffs.tiff(samples, 12, BLACK_IS_ZERO, compression=compression, predictor=True)
        np.testing.assert_array_equal(decoded(data), (samples * 255 / 4095).round())


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16])
@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
def test_bits_that_are_stored_backwards_are_turned_round(bits: int, compression: str) -> None:
    samples = np.arange(0, 1 << bits, max(1, (1 << bits) // 64)).reshape(1, -1, 1)
    data = tiffs.tiff(samples, bits, BLACK_IS_ZERO)
    stored = tiffs.compressed(tiffs.packed(samples, bits, "<"), compression)
    tags = {
        256: samples.shape[1],
        257: 1,
        258: bits,
        259: tiffs.COMPRESSIONS[compression],
        262: 1,
        277: 1,
        278: 1,
        266: 2,
    }
    backwards = bytes(int(f"{byte:08b}"[::-1], 2) for byte in stored)
    np.testing.assert_array_equal(decoded(tiffs.filed(tags, [backwards])), decoded(data))


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_ccitt"])
@pytest.mark.parametrize("backwards", [False, True], ids=["", "FillOrder 2"])
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO])
def test_a_fax_is_what_tifffile_reads(compression: str, photometric: int, *, backwards: bool) -> None:
    with Image.open(BytesIO(saved(PHOTO.convert("1"), compression=compression))) as image:
        start, length = image.tag_v2[273][0], image.tag_v2[279][0]
        stored = image.fp.getvalue()[start : start + length]
    if backwards:
        stored = bytes(int(f"{byte:08b}"[::-1], 2) for byte in stored)
    tags = {256: 40, 257: 24, 258: 1, 259: {"tiff_ccitt": 2, "group3": 3, "group4": 4}[compression], 277: 1, 278: 24}
    data = tiffs.filed({**tags, 262: photometric, 266: 2 if backwards else 1}, [stored])
    with tifffile.TiffFile(BytesIO(data)) as file:
        expected = np.asarray(file.pages[0].asarray()) == (photometric == BLACK_IS_ZERO)
    np.testing.assert_array_equal(decoded(data)[:, :, 0] == 255, expected)
    for share in (0.2, 0.5, 0.9):
        part = tiffs.filed({**tags, 262: photometric, 266: 2 if backwards else 1}, [stored[: int(len(stored) * share)]])
        with pytest.raises(Rejected) as verdict:
            decoded(part)
        assert verdict.value.code == "truncated"
    sparse = tiffs.filed({**tags, 262: photometric, 266: 2 if backwards else 1, 257: 48}, [stored, b""], sparse=[1])
    np.testing.assert_array_equal(decoded(sparse)[:24], decoded(data))


# Several pictures in a file

SMALL = np.full((4, 5, 3), 9, np.uint8)
FULL_TAGS = {256: 40, 257: 24, 258: [8] * 3, 259: 1, 262: RGB, 277: 3, 278: 24}
SMALL_TAGS = FULL_TAGS | {256: 5, 257: 4, 278: 4}


def pictures(first: dict[int, Any], second: dict[int, Any], *, below: bool) -> bytes:
    """The small picture with tags ``first``, then the full one; ``below``: in a directory that the first points at."""
    body = SMALL.tobytes() + COLOUR.tobytes()
    full_at = 8 + len(body)
    full = FULL_TAGS | {273: 8 + SMALL.size, 279: COLOUR.size} | second
    directory = tiffs.directory(full, full_at, order="<", big=False)
    at = full_at + len(directory) + len(directory) % 2
    small = SMALL_TAGS | {273: 8, 279: SMALL.size} | first | ({330: full_at} if below else {})
    start = tiffs.directory(small, at, order="<", big=False)
    link = 2 + 12 * len(small)
    if not below:
        start = start[:link] + full_at.to_bytes(4, "little") + start[link + 4 :]
    return tiffs.header(at, order="<", big=False) + body + directory.ljust(at - full_at, b"\0") + start


@pytest.mark.parametrize(
    "mark", [{254: 1}, {255: 2}, {254: 4, 262: 4}], ids=["reduced", "reduced, as of old", "a mask"]
)
@pytest.mark.parametrize("below", [False, True], ids=["behind it", "below it"])
def test_a_small_picture_that_says_it_is_one_is_not_taken_for_the_photograph(
    mark: dict[int, Any], *, below: bool
) -> None:
    data = pictures(mark | {274: 3}, {}, below=below)
    np.testing.assert_array_equal(decoded(data), COLOUR[::-1, ::-1])
    head = codec.header(data, Limits())
    assert (head.width, head.height) == (40, 24)


def test_the_small_picture_of_a_raw_photograph_is_not_taken_for_it() -> None:
    verdict = verdict_on(pictures({254: 1}, {262: 32803}, below=True))
    assert (verdict.code, "raw sensor data" in verdict.message) == ("unsupported-mode", True)


def test_a_first_picture_without_a_mark_is_the_picture_and_so_is_an_only_one() -> None:
    np.testing.assert_array_equal(decoded(pictures({}, {}, below=False)), SMALL)
    np.testing.assert_array_equal(decoded(pictures({254: 1}, {254: 1}, below=True)), SMALL)


@pytest.mark.parametrize("broken", [b"no numbers", [0, 2**31, 7]], ids=["no numbers", "nowhere"])
def test_pictures_that_are_pointed_at_in_vain_cost_no_picture(broken: Any) -> None:
    np.testing.assert_array_equal(decoded(pictures({254: 1, 330: broken}, {}, below=False)), COLOUR)
