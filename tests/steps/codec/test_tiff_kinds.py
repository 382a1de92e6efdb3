"""TIFFs that hold JPEGs, WebPs or shared chroma, leave tiles out, are cut, or cannot be shown: each by its name."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests import photographs, tiffs
from tests.thorough import examples

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

Array = np.ndarray[Any, Any]

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
JPEG, WEBP = 7, 50001

PHOTO = photographs.pixels(5, 40, 24)
COLOUR = np.asarray(PHOTO)
GREY = np.asarray(PHOTO.convert("L"))[:, :, np.newaxis]


def decoded(data: bytes, limits: Limits | None = None) -> Pixels:
    return codec.decode(data, DecodePlan(), limits or Limits()).pixels


def verdict_on(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as verdict:
        decoded(data)
    return verdict.value


def saved(image: Image.Image, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, "TIFF", **options)
    return out.getvalue()


def worst(one: Array, other: Array) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


# JPEG and WebP inside


def jpeg_of(samples: Array, space: str, *, sampling: str = "444") -> bytes:
    return bytes(
        imagecodecs.jpeg8_encode(np.squeeze(samples), 90, colorspace=space, outcolorspace=space, subsampling=sampling)
    )


def filled(compression: int, photometric: int, stored: list[bytes], samples: int, **options: Any) -> bytes:
    """40 x 24 pixels in tiles of 16 x 16, of which the last column is not full."""
    tags = {256: 40, 257: 24, 258: [8] * samples, 259: compression, 262: photometric, 277: samples, 322: 16, 323: 16}
    planar = options.pop("planar", False)
    return tiffs.filed({**tags, 284: 2 if planar else 1} | options.pop("more", {}), stored, tiled=True, **options)


def tiles(samples: Array) -> list[Array]:
    return tiffs.chunks_of(samples, (16, 16), 0)


@pytest.mark.parametrize("quality", [30, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_in_a_tiff_has_the_pixels_that_libtiff_gives(mode: str, quality: int) -> None:
    data = saved(PHOTO.convert(mode), compression="jpeg", quality=quality)
    with Image.open(BytesIO(data)) as image:
        expected = image.convert("RGB") if mode == "RGB" else image.copy()
    if mode == "CMYK":
        expected = Image.fromarray(decoded(saved(expected, compression="raw")))
    np.testing.assert_array_equal(decoded(data), np.asarray(expected).reshape(24, 40, -1))


@pytest.mark.parametrize("big", [False, True], ids=["TIFF", "BigTIFF"])
@pytest.mark.parametrize("order", "<>")
def test_jpeg_tiles_are_what_tifffile_reads(order: str, *, big: bool) -> None:
    for photometric, space, samples in ((RGB, "RGB", COLOUR), (BLACK_IS_ZERO, "GRAYSCALE", GREY)):
        stored = [jpeg_of(tile, space) for tile in tiles(samples)]
        data = filled(JPEG, photometric, stored, samples.shape[2], order=order, big=big)
        with tifffile.TiffFile(BytesIO(data)) as file:
            expected = file.pages[0].asarray().reshape(24, 40, -1)
        np.testing.assert_array_equal(decoded(data), expected)


def test_the_tag_says_what_colours_a_jpeg_has_and_not_its_own_marks() -> None:
    out = BytesIO()
    PHOTO.save(out, "JPEG", quality=95, subsampling=0)  # with a JFIF mark, which stands for YCbCr
    tags = {256: 40, 257: 24, 258: [8] * 3, 259: JPEG, 277: 3, 278: 24}
    as_rgb = decoded(tiffs.filed({**tags, 262: RGB}, [out.getvalue()]))
    as_ycbcr = decoded(tiffs.filed({**tags, 262: YCBCR}, [out.getvalue()]))
    assert worst(as_ycbcr, COLOUR) < 30
    assert worst(as_rgb, np.asarray(PHOTO.convert("YCbCr"))) < 30


def test_a_jpeg_whose_chroma_is_shared_has_luma_and_chroma_whatever_the_tag_says() -> None:
    out = BytesIO()
    PHOTO.save(out, "JPEG", quality=95)
    tags = {256: 40, 257: 24, 258: [8] * 3, 259: JPEG, 277: 3, 278: 24}
    as_rgb, as_ycbcr = (decoded(tiffs.filed({**tags, 262: kind}, [out.getvalue()])) for kind in (RGB, YCBCR))
    np.testing.assert_array_equal(as_rgb, as_ycbcr)


def test_jpegs_in_planes_are_put_together() -> None:
    planes = [COLOUR[:, :, i : i + 1] for i in range(3)]
    stored = [jpeg_of(tile, "GRAYSCALE") for plane in planes for tile in tiles(plane)]
    assert worst(decoded(filled(JPEG, RGB, stored, 3, planar=True)), COLOUR) < 30


def test_the_end_of_a_jpeg_inside_is_missed() -> None:
    stored = [jpeg_of(tile, "RGB") for tile in tiles(COLOUR)]
    half = stored[4][: len(stored[4]) * 2 // 3]
    verdict = verdict_on(filled(JPEG, RGB, [*stored[:4], half + b"\xff\xd9", *stored[5:]], 3))
    assert (verdict.code, "strip or tile 5" in str(verdict)) == ("truncated", True)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webp_in_a_tiff_is_read(mode: str) -> None:
    image = PHOTO.convert(mode)
    image.putpixel((3, 3), (1, 2, 3, 4)[: len(mode)])
    samples = np.asarray(image)
    for order in "<>":
        stored = [bytes(imagecodecs.webp_encode(tile, lossless=True)) for tile in tiles(samples)]
        more = {338: 2} if mode == "RGBA" else {}
        np.testing.assert_array_equal(decoded(filled(WEBP, RGB, stored, len(mode), order=order, more=more)), samples)


# Luma and chroma


@pytest.mark.parametrize("compression", ["none", "lzw", "deflate"])
@pytest.mark.parametrize(("across", "down"), [(1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (1, 2)])
def test_shared_chroma_is_spread_over_its_pixels(across: int, down: int, compression: str) -> None:
    ycbcr = np.asarray(PHOTO.resize((40 // across, 24 // down)).convert("YCbCr")).repeat(down, 0).repeat(across, 1)
    ycbcr = np.dstack([np.asarray(PHOTO.convert("L")), ycbcr[:, :, 1:]])[:23, :37]  # the last units are not full
    full = np.pad(ycbcr, ((0, -23 % down), (0, -37 % across), (0, 0)), mode="edge")
    units = full.reshape(full.shape[0] // down, down, full.shape[1] // across, across, 3).swapaxes(1, 2)
    lumas = units[..., 0].reshape(*units.shape[:2], -1)
    rows = np.concatenate([lumas, units[:, :, 0, 0, 1:]], axis=2)
    stored = tiffs.compressed(rows.tobytes(), compression)
    tags = {256: 37, 257: 23, 258: [8] * 3, 259: tiffs.COMPRESSIONS[compression], 262: YCBCR, 277: 3, 278: 23}
    pixels = decoded(tiffs.filed({**tags, 530: [across, down]}, [stored]))
    expected = Image.frombytes("YCbCr", (37, 23), np.ascontiguousarray(ycbcr).tobytes()).convert("RGB")
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_luma_of_video_range_is_stretched_to_black_and_white() -> None:
    samples = np.array([[[16, 128, 128], [235, 128, 128]]])
    reference = [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)]
    pixels = decoded(tiffs.tiff(samples, 8, YCBCR, more={530: [1, 1], 532: reference}))
    assert pixels.tolist() == [[[0, 0, 0], [255, 255, 255]]]


# What is not there


@pytest.mark.parametrize("compression", [*tiffs.COMPRESSIONS, "jpeg", "webp"])
@pytest.mark.parametrize("planar", [False, True], ids=["together", "in planes"])
def test_a_tile_that_was_left_out_is_black_as_tifffile_has_it(compression: str, *, planar: bool) -> None:
    if compression in {"jpeg", "webp"}:
        if planar:
            return
        encode = {
            "jpeg": lambda tile: jpeg_of(tile, "RGB"),
            "webp": lambda t: imagecodecs.webp_encode(t, lossless=True),
        }
        stored = [bytes(encode[compression](tile)) for tile in tiles(COLOUR)]
        data = filled({"jpeg": JPEG, "webp": WEBP}[compression], RGB, stored, 3, sparse=[1, 3])
    else:
        data = tiffs.tiff(COLOUR, 8, RGB, compression=compression, tile=(16, 16), sparse=[1, 3], planar=planar)
    with tifffile.TiffFile(BytesIO(data)) as file:
        expected = np.asarray(file.pages[0].asarray())
    np.testing.assert_array_equal(decoded(data), np.moveaxis(expected, 0, -1) if planar else expected)


@pytest.mark.parametrize(("photometric", "seen"), [(WHITE_IS_ZERO, [255]), (BLACK_IS_ZERO, [0]), (PALETTE, [7, 8, 9])])
def test_a_tile_that_was_left_out_is_seen_as_the_zeros_that_it_stands_for(photometric: int, seen: list[int]) -> None:
    colours = [7 * 257, *[0] * 255, 8 * 257, *[0] * 255, 9 * 257, *[0] * 255]
    more = {320: colours} if photometric == PALETTE else None
    pixels = decoded(tiffs.tiff(GREY, 8, photometric, compression="lzw", tile=(16, 16), sparse=[0], more=more))
    assert (pixels[:16, :16] == seen).all()


def test_a_tile_that_was_left_out_is_clear_where_there_is_alpha() -> None:
    samples = np.dstack([COLOUR, np.full((24, 40), 255)])
    pixels = decoded(tiffs.tiff(samples, 8, RGB, compression="lzw", tile=(16, 16), sparse=[0], extra=[2]))
    assert not pixels[:16, :16].any()
    assert pixels[16:, :, 3].min() == 255


FILES = {
    **{name: tiffs.tiff(COLOUR, 8, RGB, compression=name) for name in tiffs.COMPRESSIONS},
    **{f"{name} in planes": tiffs.tiff(COLOUR, 8, RGB, compression=name, planar=True) for name in tiffs.COMPRESSIONS},
    "12 bits": tiffs.tiff(GREY.astype(int) * 16, 12, BLACK_IS_ZERO),
    "fax": saved(PHOTO.convert("1"), compression="group4"),
    "jpeg": saved(PHOTO, compression="jpeg"),
    "jpeg tiles": filled(JPEG, RGB, [jpeg_of(tile, "RGB") for tile in tiles(COLOUR)], 3),
    "webp": filled(WEBP, RGB, [bytes(imagecodecs.webp_encode(tile, lossless=True)) for tile in tiles(COLOUR)], 3),
    "BigTIFF": tiffs.tiff(COLOUR, 8, RGB, order=">", big=True),
    "palette": tiffs.tiff(GREY, 8, PALETTE, compression="lzw", more={320: [7] * 768}),
    "lab": saved(Image.new("LAB", (5, 4), (1, 2, 3)), compression="tiff_lzw"),
    "chroma": tiffs.filed({256: 2, 257: 2, 258: [8] * 3, 262: 6, 277: 3, 530: [2, 2]}, [bytes(range(6))]),
}  # fmt: skip


def directory_first(data: bytes) -> bytes:
    """The same file with its pixels behind everything else, so that a cut takes pixels alone."""
    with tifffile.TiffFile(BytesIO(data)) as file:
        page, order = file.pages[0], file.byteorder
        tags = {int(tag.code): raw_value(tag) for tag in page.tags.values()}
        stored = [data[at : at + n] for at, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        where, big = (324, 325) if page.is_tiled else (273, 279), file.is_bigtiff
    head = 16 if big else 8
    places = [len(data) * 2] * len(stored)  # as wide as the real ones
    size = len(
        tiffs.directory({**tags, where[0]: places, where[1]: [len(s) for s in stored]}, head, order=order, big=big)
    )
    offsets = [head + size + sum(map(len, stored[:i])) for i in range(len(stored))]
    ends = tiffs.directory({**tags, where[0]: offsets, where[1]: [len(s) for s in stored]}, head, order=order, big=big)
    assert len(ends) == size
    return tiffs.header(head, order=order, big=big) + ends + b"".join(stored)


def raw_value(tag: Any) -> Any:
    return tag.value if isinstance(tag.value, bytes) else np.ravel(tag.value).astype(int).tolist()


@pytest.mark.parametrize("name", [name for name in FILES if name != "jpeg"])
def test_a_tiff_that_was_cut_is_called_truncated(name: str) -> None:
    data = directory_first(FILES[name])
    np.testing.assert_array_equal(decoded(data), decoded(FILES[name]))
    for end in {len(data) * 9 // 10, len(data) // 2, 9}:
        assert verdict_on(data[:end]).code == "truncated", end


@pytest.mark.parametrize("name", FILES)
def test_a_tiff_cut_anywhere_is_whole_or_truncated(name: str) -> None:
    for data in [FILES[name]] if name == "jpeg" else [FILES[name], directory_first(FILES[name])]:
        whole = decoded(data)
        for end in range(8, len(data), 1 + len(data) // 50):
            outcome = decoded_or_verdict(data[:end])
            if isinstance(outcome, Rejected):
                assert outcome.code == "truncated", (end, str(outcome))
            else:
                np.testing.assert_array_equal(outcome, whole)


def decoded_or_verdict(data: bytes) -> Pixels | Rejected:
    try:
        return decoded(data, Limits(pixels=1_000_000))
    except Rejected as verdict:
        return verdict


@given(data=st.sampled_from(sorted(FILES.values())), random=st.randoms())
@examples(400)
def test_flipped_bits_give_a_picture_or_a_verdict(data: bytes, random: Any) -> None:
    damaged = bytearray(data)
    for _ in range(random.randint(1, 6)):
        near_the_end = random.random() < 0.7  # where the directory is
        damaged[random.randrange(max(0, len(data) - 250) if near_the_end else 0, len(data))] ^= 1 << random.randrange(8)
    outcome = decoded_or_verdict(bytes(damaged))
    if isinstance(outcome, Rejected):
        assert "TIFF" in str(outcome) or outcome.code in {"too-many-pixels", "unsupported-format"}
    else:
        assert 1 <= outcome.shape[2] <= 4


# What is said


SAID = {
    "32-bit float samples": tiffs.tiff(GREY, 32, BLACK_IS_ZERO, more={339: 3}),
    "BigTIFF has 32-bit float samples": tiffs.tiff(GREY, 32, BLACK_IS_ZERO, more={339: 3}, big=True),
    "8-bit signed samples": tiffs.tiff(GREY, 8, BLACK_IS_ZERO, more={339: 2}),
    "16-bit signed samples": tiffs.tiff(GREY, 16, BLACK_IS_ZERO, more={339: [2]}),
    "32-bit integer samples": tiffs.tiff(GREY, 32, BLACK_IS_ZERO),
    "complex samples": tiffs.tiff(GREY, 32, BLACK_IS_ZERO, more={339: 6}),
    "5, 6, 5 bits side by side": tiffs.tiff(COLOUR, 8, RGB, more={258: [5, 6, 5]}),
    "5 bands": tiffs.tiff(np.dstack([COLOUR, COLOUR[:, :, :2]]), 8, BLACK_IS_ZERO, extra=[0, 0, 0, 0]),
    "2 samples a pixel, where its kind of colour needs 3": tiffs.tiff(COLOUR[:, :, :2], 8, RGB),
    "inks other than cyan": tiffs.tiff(np.dstack([COLOUR, GREY]), 8, CMYK, more={332: 2}),
    "raw sensor data": tiffs.tiff(GREY, 8, 32803),
    "ICC L*a*b*": tiffs.tiff(COLOUR, 8, 9),
    "compressed with LERC": tiffs.tiff(GREY, 8, BLACK_IS_ZERO, more={259: 34887}),
    "compressed with JPEG 2000": tiffs.tiff(COLOUR, 8, RGB, more={259: 34712}),
    "compressed with JPEG XL": tiffs.tiff(COLOUR, 8, RGB, more={259: 50002}),
    "an unknown method (4711)": tiffs.tiff(COLOUR, 8, RGB, more={259: 4711}),
    "strips or tiles of 32640 MB": tiffs.tiff(
        np.dstack([COLOUR] * 85), 16, RGB, compression="zstd", more={256: 8192, 257: 8192, 278: 8192, 338: [0] * 252}
    ),
    "predictor 3": tiffs.tiff(COLOUR, 8, RGB, compression="deflate", more={317: 3}),
    "12-bit samples in a compression": tiffs.tiff(COLOUR, 12, RGB, more={259: JPEG}),
}


@pytest.mark.parametrize("words", SAID)
def test_what_cannot_be_shown_is_named(words: str) -> None:
    verdict = verdict_on(SAID[words])
    assert verdict.code == "unsupported-mode"
    assert words in str(verdict)
    assert "damaged" not in str(verdict)


@pytest.mark.parametrize("premultiplied", [False, True])
@pytest.mark.parametrize("photometric", [CMYK, LAB])
def test_inks_and_lab_have_their_alpha_though_pillow_has_no_such_mode(photometric: int, *, premultiplied: bool) -> None:
    colours = {CMYK: (40, 80, 120, 20), LAB: (150, 20, 226)}[photometric]
    stored = np.tile(np.array(colours, np.uint8), (8, 6, 1))
    signed = np.array([0, 0, 256]) if photometric == LAB else 0  # the last of its colours is negative
    alpha = np.repeat(np.array([255, 255, 128, 64, 1, 0], np.uint8)[np.newaxis], 8, axis=0)
    opaque = decoded(tiffs.tiff(stored, 8, photometric))
    if premultiplied:
        stored = ((stored - signed) * (alpha[..., np.newaxis] / 255)).round().astype(np.int16).astype(np.uint8)
    told = {338: 1 if premultiplied else 2}
    found = decoded(tiffs.tiff(np.dstack([stored, alpha]), 8, photometric, more=told))
    np.testing.assert_array_equal(found[..., 3], alpha)
    assert worst(found[:, :3, :3], opaque[:, :3]) <= (3 if premultiplied else 0)


def test_five_bands_of_which_three_are_colours_are_seen_in_these() -> None:
    bands = np.dstack([COLOUR, GREY, 255 - GREY])
    for extra in ([0, 0], []):
        for planar in (False, True):
            np.testing.assert_array_equal(decoded(tiffs.tiff(bands, 8, RGB, extra=extra, planar=planar)), COLOUR)
    np.testing.assert_array_equal(decoded(tiffs.tiff(bands, 8, RGB, extra=[0, 2])), bands[:, :, [0, 1, 2, 4]])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({256: 0}, "width and height"),
        ({273: [8]}, "lists 1 strips or tiles where its size needs 4"),
        ({277: b"x"}, "tag 277 of this TIFF does not hold whole numbers"),
        ({322: 1 << 16, 323: 1 << 16, 324: 8, 325: 9}, "tiles of 65536 x 65536 pixels"),
        ({322: 0, 323: 16, 324: 8, 325: 9}, "size of its tiles"),
    ],
)
def test_tags_that_contradict_each_other_are_damage_and_named(more: dict[int, Any], words: str) -> None:
    verdict = verdict_on(tiffs.tiff(COLOUR, 8, RGB, compression="lzw", more=more))
    assert (verdict.code, words in str(verdict)) == ("undecodable", True), str(verdict)


def test_limits_hold_for_the_pixels_of_a_picture_and_not_for_its_bytes() -> None:
    samples = np.dstack([COLOUR, GREY]).astype(int) * 257
    data = tiffs.tiff(samples, 16, RGB, extra=[2], compression="lzw", planar=True, rows=24)
    assert decoded(data, Limits(pixels=40 * 24)).shape == (24, 40, 4)
    with pytest.raises(Rejected, match="limit is") as verdict:
        decoded(data, Limits(pixels=40 * 24 - 1))
    assert verdict.value.code == "too-many-pixels"


def test_a_decoder_says_nothing_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    for whole in FILES.values():
        for place in (len(whole) // 3, len(whole) * 2 // 3):
            damaged = bytearray(whole)
            damaged[place] ^= 0xFF
            decoded_or_verdict(bytes(damaged))
    assert capfd.readouterr() == ("", "")
