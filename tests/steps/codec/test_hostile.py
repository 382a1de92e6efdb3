"""What is damaged, cut short, enormous or made to hurt ends as a verdict and never as anything else."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests import photographs

from imgflow_steps import codec
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

LIMITS = Limits(pixels=1_000_000)
PLANS = [DecodePlan(), DecodePlan(luma=True, width=9, height=9)]
SMALL = photographs.pixels(3, 37, 23)


def file(kind: str, **options: Any) -> bytes:
    out = BytesIO()
    SMALL.save(out, kind, **options)
    return out.getvalue()


FILES = {
    "jpeg": file("JPEG", quality=90),
    "progressive jpeg": file("JPEG", progressive=True),
    "mpo": file("MPO", save_all=True, append_images=[SMALL]),
    "png": file("PNG"),
    "webp": file("WEBP"),
    "lossless webp": file("WEBP", lossless=True),
    "tiff": file("TIFF"),
    "deflated tiff": file("TIFF", compression="tiff_adobe_deflate"),
    "gif": file("GIF"),
    "bmp": file("BMP"),
}


def decoded(data: bytes, plan: DecodePlan = PLANS[0]) -> Pixels:
    return codec.decode(data, plan, LIMITS).pixels


def code_of(data: bytes, limits: Limits = LIMITS) -> str:
    with pytest.raises(Rejected) as verdict:
        codec.decode(data, PLANS[0], limits)
    return verdict.value.code


@pytest.mark.parametrize("name", FILES)
def test_a_picture_cut_anywhere_is_whole_or_rejected_and_never_half_grey(name: str) -> None:
    data = FILES[name]
    whole = decoded(data)
    verdicts = set()
    for end in range(len(data)):
        outcome = decode_or_reject(data[:end], PLANS[0])
        if isinstance(outcome, Rejected):
            verdicts.add(outcome.code)
        else:
            np.testing.assert_array_equal(outcome, whole)
    assert verdicts <= {"empty", "unsupported-format", "truncated", "undecodable"}


@pytest.mark.parametrize("name", [name for name in FILES if name not in {"mpo", "deflated tiff"}])
def test_a_picture_cut_in_its_middle_is_called_truncated(name: str) -> None:
    assert code_of(FILES[name][: len(FILES[name]) // 2]) == "truncated"


@given(data=st.sampled_from(sorted(FILES.values())), plan=st.sampled_from(PLANS), random=st.randoms())
@settings(deadline=None, max_examples=300)
def test_flipped_bits_give_a_picture_or_a_verdict(data: bytes, plan: DecodePlan, random: Any) -> None:
    damaged = bytearray(data)
    for _ in range(random.randint(1, 8)):
        damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
    decode_or_reject(bytes(damaged), plan)


@given(
    start=st.sampled_from(sorted({d[:n] for d in FILES.values() for n in (3, 8, 16, 40)})), rest=st.binary(max_size=400)
)
@settings(deadline=None, max_examples=300)
def test_random_bytes_behind_a_magic_number_give_a_picture_or_a_verdict(start: bytes, rest: bytes) -> None:
    decode_or_reject(start + rest, PLANS[0])


@given(data=st.binary(max_size=200))
@settings(deadline=None)
def test_random_bytes_give_a_verdict(data: bytes) -> None:
    decode_or_reject(data, PLANS[0])


def decode_or_reject(data: bytes, plan: DecodePlan) -> Pixels | Rejected:
    try:
        pixels = codec.decode(data, plan, LIMITS).pixels
    except Rejected as verdict:
        return verdict
    assert pixels.dtype == np.uint8
    assert 1 <= pixels.shape[2] <= 4
    return pixels


def test_a_verdict_is_worded_alike_on_every_run() -> None:
    one, other = (decode_or_reject(b"BM" + bytes(60), PLANS[0]) for _ in range(2))
    assert str(one) == str(other)
    assert "0x" not in str(one)


def test_a_text_file_an_empty_file_and_postscript_are_turned_away_by_name() -> None:
    assert code_of(b"") == "empty"
    assert code_of(b"this is no picture") == "unsupported-format"
    assert code_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "unsupported-format"


NAMED = {
    "JPEG XL": (b"\xff\x0a\xcb\x40", b"\0\0\0\x0cJXL \r\n\x87\n"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51\0\x2f"),
    "JPEG XR": (b"II\xbc\x01 \0\0\0",),
    "Photoshop": (b"8BPS\0\1",),
    "a PDF": (b"%PDF-1.7",),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0",),
    "raw photograph": (b"FUJIFILMCCD-RAW 0201", b"IIRO\x08\0\0\0", b"IIU\0\x18\0\0\0", b"II\x1a\0\0\0HEAPCCDR"),
    "Windows icon": (b"\0\0\1\0\4\0\x10\x0c",),
    "AppleDouble": (b"\0\5\x16\7\0\2\0\0Mac OS X",),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",),
    "web page": (b"<!DOCTYPE html><html>sign in</html>", b"\xef\xbb\xbf\n<html>"),
    "XML": (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>",),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?>\n<svg/>"),
    "JSON": (b'{"error": "not found"}',),
    "a zip": (b"PK\3\4",),
    "gzip": (b"\x1f\x8b\x08",),
    "a video": (b"RIFF\0\0\0\0AVI LIST", b"\x1a\x45\xdf\xa3"),
    "copied as text": (b"\x89PNG\n\x1a\n\0", "\xff\xd8\xff\xe0".encode(), b"\xef\xbf\xbdPNG\r\n"),
    "a file of zeros": (bytes(400),),
}


@pytest.mark.parametrize("what", NAMED)
def test_a_file_that_is_not_read_is_called_what_it_is(what: str) -> None:
    for data in NAMED[what]:
        verdict = decode_or_reject(data + b"..", PLANS[0])
        assert isinstance(verdict, Rejected)
        assert (verdict.code, what in str(verdict)) == ("unsupported-format", True), str(verdict)


@pytest.mark.parametrize("data", [b"\0\0\2\0" + bytes(20), b"this is no picture"])
def test_a_file_that_is_not_known_is_called_nothing(data: bytes) -> None:
    assert "begins with" in str(decode_or_reject(data, PLANS[0]))


def test_limits_hold_before_anything_is_decoded() -> None:
    assert code_of(FILES["png"], Limits(bytes=100)) == "too-many-bytes"
    assert code_of(FILES["png"], Limits(pixels=37 * 23 - 1)) == "too-many-pixels"
    assert codec.decode(FILES["png"], PLANS[0], Limits(pixels=37 * 23)).width == 37


@pytest.mark.parametrize("limit", range(1, 15))
def test_the_limit_on_pixels_is_exact(limit: int) -> None:
    out = BytesIO()
    Image.new("L", (4, 3)).save(out, "PNG")
    if limit < 12:
        assert code_of(out.getvalue(), Limits(pixels=limit)) == "too-many-pixels"
    else:
        assert codec.decode(out.getvalue(), PLANS[0], Limits(pixels=limit)).width == 4


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = zlib.compress(b"".join(b"\0" + b"\x80" * 3 * 4 for _ in range(4)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    tags = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (279, 4, 9),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


def webp(width: int, height: int) -> bytes:
    canvas = b"\x10\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X\x0a\0\0\0" + canvas + FILES["webp"][12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif(width: int, height: int) -> bytes:
    frame = b",\0\0\0\0" + struct.pack("<HH", width, height) + b"\0\x02\x02D\x01\0;"
    disposed = b"!\xf9\x04\x08\0\0\0\0"  # the plugin prepares a background of the frame's size while it opens the file
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff" + disposed + frame


def bmp(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


BOMBS = {"png": png, "tiff": tiff, "webp": webp, "gif": gif, "bmp": bmp}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_small_file_that_claims_to_be_enormous_is_turned_away_by_its_header(kind: str) -> None:
    bomb = BOMBS[kind](50_000, 50_000)
    assert len(bomb) < 1000
    assert code_of(bomb, Limits()) == "too-many-pixels"


def test_memory_that_runs_out_is_not_called_the_images_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def starve(_: Image.Image) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", starve)
    with pytest.raises(MemoryError):
        decoded(FILES["png"])


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000))),
        chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(50_000_000))),
    ],
    ids=["text", "profile"],
)
def test_a_chunk_that_swells_is_left_out(extra: bytes) -> None:
    np.testing.assert_array_equal(decoded(png(4, 4, extra)), decoded(png(4, 4)))


def test_piles_of_metadata_beside_a_picture_do_not_harm_it() -> None:
    whole = decoded(FILES["png"])
    text = chunk(b"tEXt", b"Comment\0" + b"x" * 3_000_000)
    np.testing.assert_array_equal(decoded(FILES["png"][:33] + text + FILES["png"][33:]), whole)
    junk = b"".join(b"\xff" + bytes([marker]) + b"\xff\xff" + b"\0" * 65_533 for marker in (0xE1, 0xE2, 0xFE) * 30)
    np.testing.assert_array_equal(decoded(FILES["jpeg"][:2] + junk + FILES["jpeg"][2:]), decoded(FILES["jpeg"]))


def test_the_limit_is_for_the_picture_and_not_for_whatever_else_a_program_opens() -> None:
    before = Image.MAX_IMAGE_PIXELS
    decoded(FILES["png"])
    assert code_of(FILES["png"], Limits(pixels=10)) == "too-many-pixels"
    assert before == Image.MAX_IMAGE_PIXELS
