"""Photographs that are not read are known by name and by content, and the message says how to convert them."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from tests.tiffs import tiff

from imgflow_steps.codec import decode
from imgflow_steps.contract import foreign
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected


def reason(data: bytes) -> Rejected:
    with pytest.raises(Rejected) as verdict:
        decode(data, DecodePlan(), Limits())
    return verdict.value


def preview() -> bytes:
    file = BytesIO()
    Image.new("RGB", (16, 12)).save(file, "TIFF")
    return file.getvalue()


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("a/IMG 1.CR2", "a raw photograph (Canon); develop it first: `darktable-cli 'IMG 1.CR2' 'IMG 1.jpg'`"),
        ("x.jxl", "JPEG XL; convert it first: `djxl x.jxl x.png`"),
        ("-x.jp2", "opj_decompress -i -x.jp2"),
        ("it's.pdf", "pdftoppm -jpeg -r 300 'it'\"'\"'s.pdf'"),
        ("dng", ""),
        ("x.dng/y.jpg", ""),
    ],
)
def test_a_name_says_what_it_is_and_which_command_converts_it(key: str, says: str) -> None:
    assert says in foreign.by_name(key)
    assert bool(foreign.by_name(key)) is bool(says)


@pytest.mark.parametrize(
    ("begins", "says"),
    [
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"%PDF-1.7", "a PDF"),
        (b"FUJIFILMCCD-RAW", "(Fujifilm)"),
        (b"IIRO", "(Olympus)"),
    ],
)
def test_without_its_name_the_first_bytes_say_so(begins: bytes, says: str) -> None:
    verdict = reason(begins + bytes(100))

    assert verdict.code == "unsupported-format"
    assert says in verdict.message


def test_the_small_picture_in_a_raw_photograph_is_not_taken_for_it() -> None:
    dng = tiff(np.zeros((4, 4, 3), np.uint8), 8, 2, more={50706: [1, 4, 0, 0]})
    plain = preview()
    (start,) = struct.unpack_from("<I", plain, 4)
    canon = plain[:4] + struct.pack("<I", start + 8) + b"CR\2\0" + bytes(4) + plain[8:]

    for verdict in (reason(dng), reason(canon)):
        assert verdict.code == "unsupported-format"
        assert "raw photograph" in verdict.message
