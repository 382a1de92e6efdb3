"""What a file tells of its picture is read, whatever the format, and never costs the picture."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from base64 import b64encode
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests import exifs, jpegs, photographs
from tests.tiffs import tiff

from imgflow_steps.codec import decode, encode, exif, header, metadata
from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.contract.options import DecodePlan, Encoding, Limits

KNOWN = {
    "taken": "2026-05-01T12:34:56", "zone": "+02:00", "camera": "Canon EOS 5D", "lens": "EF50mm f/1.8",
    "exposure": 0.004, "aperture": 2.8, "iso": 400, "focal_length": 50.0, "orientation": 1,
    "latitude": 52.0918, "longitude": -5.1166, "altitude": -12.5,
}  # fmt: skip
PLAIN = jpegs.by_pillow(photographs.pixels(1, 48, 40))


def told(data: bytes) -> dict[str, Any]:
    return decode(data, DecodePlan(), Limits()).exif_values


def rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}


def pillows(data: bytes) -> dict[str, Any]:
    """The same fields as Pillow reads them."""
    with Image.open(BytesIO(data)) as image:
        image.load()
        first = image.getexif()
        exposure, position = first.get_ifd(0x8769), first.get_ifd(0x8825)
    degrees = [sum(float(part) / 60**i for i, part in enumerate(position[tag])) for tag in (2, 4)]
    signs = [-1 if position[tag] in {"S", "W"} else 1 for tag in (1, 3)]
    return {
        "taken": exposure[0x9003].replace(":", "-", 2).replace(" ", "T"), "zone": exposure[0x9011],
        "camera": first[0x0110], "lens": exposure[0xA434], "orientation": first.get(0x0112),
        "exposure": float(exposure[0x829A]), "aperture": float(exposure[0x829D]), "iso": exposure[0x8827],
        "focal_length": float(exposure[0x920A]), "altitude": -float(position[6]),
        "latitude": signs[0] * degrees[0], "longitude": signs[1] * degrees[1],
    }  # fmt: skip


@pytest.mark.parametrize("form", exifs.FORMATS)
def test_every_format_tells_what_pillow_reads_of_it(form: str) -> None:
    data = exifs.photograph(form)

    known = {**KNOWN, "orientation": None} if form == "AVIF" else KNOWN  # which Pillow writes as AVIF's own
    assert rounded({"orientation": None, **told(data)}) == rounded(pillows(data)) == known
    assert set(KNOWN) <= set(FIELDS)


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_every_format_tells_what_exiftool_reads_of_it(form: str, tmp_path: Path) -> None:
    tool = shutil.which("exiftool")
    if not tool or subprocess.run([tool, "-ver"], capture_output=True, check=False).returncode:
        pytest.skip("no exiftool that works; apt-get install libimage-exiftool-perl")
    path = tmp_path / "x"
    path.write_bytes(exifs.photograph(form))
    names = ["DateTimeOriginal", "Model", "LensModel", "ExposureTime", "FNumber", "ISO", "GPSLatitude", "GPSLongitude"]
    said = subprocess.run([tool, "-j", "-n", *(f"-{n}" for n in names), path], capture_output=True, check=True).stdout
    (theirs,) = json.loads(said)
    ours = rounded(told(path.read_bytes()))

    assert theirs["DateTimeOriginal"].replace(":", "-", 2).replace(" ", "T") == ours["taken"]
    assert [theirs[name] for name in names[1:6]] == [
        ours[name] for name in ("camera", "lens", "exposure", "aperture", "iso")
    ]
    assert [round(theirs[name], 4) for name in names[6:]] == [ours["latitude"], ours["longitude"]]


def test_a_big_tiff_of_either_byte_order_tells_its_camera_too() -> None:
    for order in "<>":
        data = tiff(np.zeros((4, 4, 1), np.uint8), 8, 1, order=order, big=True, more={0x0110: b"X100\0"})
        assert told(data)["camera"] == "X100"


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_xmp_tells_title_orientation_and_time(form: str) -> None:
    attributes = 'tiff:Orientation="6" exif:DateTimeOriginal="2026-05-01T08:00:00.50+02:00"'
    packet = exifs.XMP.format(attributes=attributes, elements=exifs.TITLE.format("H\u00f4tel &amp; Caf\u00e9")).encode()

    found = told(exifs.photograph(form, exif=b"", xmp=packet))

    assert found == {
        "title": "H\u00f4tel & Caf\u00e9", "orientation": 6, "taken": "2026-05-01T08:00:00.50", "zone": "+02:00",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("when", "taken"),
    [
        ("2026:05:01 12:34:56", "2026-05-01T12:34:56"),
        ("2026-05-01T12:34:56", "2026-05-01T12:34:56"),
        ("0000:00:00 00:00:00", None),
        ("2026:02:30 12:00:00", None),
        ("2026:05:01 25:00:00", None),
        ("    :  :     :  :  ", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_date_that_is_none_is_left_out(when: str, taken: str | None) -> None:
    assert told(exifs.photograph(exif=exifs.block(when))).get("taken") == taken


@pytest.mark.parametrize(
    ("where", "kept"),
    [((0.0, 0.0), False), ((91.0, 5.0), False), ((52.0, 181.0), False), ((-33.9, 18.4), True), ((0.0, 18.4), True)],
)
def test_a_position_that_is_none_is_left_out(where: tuple[float, float], kept: bool) -> None:
    found = told(exifs.photograph(exif=exifs.block(where=where)))

    assert ("latitude" in found, "longitude" in found) == (kept, kept)
    if kept:
        assert (found["latitude"], found["longitude"]) == pytest.approx(where, abs=1e-5)


def raw(entries: list[tuple[int, int, int, bytes]], behind: bytes = b"") -> bytes:
    """A block with one directory as it is given: tag, kind, count, four bytes."""
    packed = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4) + behind


@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        raw([(0x8769, 4, 1, b"\x08\0\0\0"), (0x8825, 4, 1, b"\x08\0\0\0")]),  # directories that lead to themselves
        raw([(0x010F, 2, 0xFFFFFFFF, b"\x08\0\0\0")]),
        raw([(0x8769, 5, 1, b"\x08\0\0\0")]),
        raw([(0x8769, 12, 1, b"\x08\0\0\0")], struct.pack("<d", float("nan"))),
        raw([(0x8769, 11, 1, struct.pack("<f", float("inf")))]),
        raw([(0x0112, 10, 1, b"\x1a\0\0\0")], bytes(8)),
        raw([(0x8825, 4, 1, b"\x1a\0\0\0")], struct.pack("<HHHI4s", 1, 2, 5, 3, b"\x08\0\0\0") + bytes(40)),
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x0f\x01\x02\0\xff\xff\xff\xff\0\0\0\0" * 5000,
    ],
    ids=range(11),
)
def test_a_hostile_block_never_costs_the_picture(block: bytes) -> None:
    out = BytesIO()
    photographs.pixels(1).save(out, "JPEG", exif=block)

    decoded = decode(out.getvalue(), DecodePlan(metadata="keep"), Limits())

    assert decoded.pixels.shape == (64, 96, 3)
    assert "taken" not in decoded.exif_values


@given(st.binary(max_size=400), st.integers(0, 300))
def test_whatever_a_block_holds_gives_fields_that_are_json(noise: bytes, at: int) -> None:
    whole = exifs.block().tobytes()
    for block in (noise, b"II*\0\x08\0\0\0" + noise, whole[:at] + noise + whole[at + len(noise) :]):
        found = metadata.of_blocks(block, noise)
        assert set(found) <= set(FIELDS)
        json.dumps(found, allow_nan=False)
        metadata.outgoing(block, "keep-no-gps")


def test_of_what_is_wrong_nothing_else_is_lost() -> None:
    block = exifs.block(more={0x829A: "fast", 0x829D: float("inf")}, first={0x0112: 77})

    found = told(exifs.photograph(exif=block))

    assert found["taken"] == KNOWN["taken"]
    assert {"exposure", "aperture", "orientation"}.isdisjoint(found)


@pytest.mark.parametrize("digits", ["\uff11\uff12", "\u0661\u0662", "\u0967\u0968"])
def test_what_is_written_in_the_digits_of_another_script_is_no_time(digits: str) -> None:
    before = told(exifs.photograph(exif=exifs.block(more={0x9291: digits.encode()})))
    zone = told(exifs.photograph(exif=exifs.block(more={0x9011: f"+{digits}:00".encode()})))

    assert (before["taken"], "zone" in zone) == (KNOWN["taken"], False)


def test_a_number_that_no_double_holds_is_left_out() -> None:
    first, exposure = (struct.pack("<HHHIII", 1, *entry, 0) for entry in ((0x8769, 4, 1, 26), (0x8827, 16, 1, 44)))
    block = b"II*\0\x08\0\0\0" + first + exposure

    assert exif.values(block + struct.pack("<Q", 400)) == {"iso": 400}
    assert exif.values(block + b"\xff" * 8) == {}


def test_texts_come_in_one_line_without_what_cannot_be_printed() -> None:
    found = told(exifs.photograph(exif=exifs.block(first={0x0110: "X\x1b[31m\nY", 0x010E: "long " * 1000})))

    assert found["camera"] == "Canon X [31m Y"
    assert len(found["description"]) <= 200


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("source", ["JPEG", "TIFF", "PNG"])
def test_results_keep_what_is_asked_and_nothing_else(form: Any, source: str) -> None:
    block = exifs.block(turn=6, more={0x927C: b"notes of a maker", 0x9286: b"ASCII\0\0\0at home"})
    data = exifs.photograph(source, exif=block)

    made = {}
    for keep in ("strip", "keep", "keep-no-gps"):
        decoded = decode(data, DecodePlan(metadata=keep), Limits())  # type: ignore[arg-type]  # one of three
        made[keep] = encode(decoded.pixels, Encoding(format=form), decoded.exif)

    everything = {name: value for name, value in KNOWN.items() if name != "orientation"}
    nowhere = {name: value for name, value in everything.items() if name not in {"latitude", "longitude", "altitude"}}
    assert told(made["strip"]) == {}
    assert rounded(told(made["keep"])) == everything
    assert rounded(told(made["keep-no-gps"])) == nowhere
    assert not any(b"notes of a maker" in one for one in made.values())
    assert b"at home" not in made["keep-no-gps"]


def test_no_small_picture_of_before_the_steps_goes_out() -> None:
    thumbnail = photographs.jpeg(9, 16, 12)
    block = exifs.block()
    block._ifds[1] = {0x0201: 0, 0x0202: len(thumbnail)}  # type: ignore[index]  # no other way to write one
    plain = exif.PREFIX + block.tobytes().removeprefix(exif.PREFIX) + thumbnail

    assert b"\xff\xd8" not in metadata.outgoing(plain, "keep")


@pytest.mark.parametrize("tag", [0x9286, 0xA20C, 0xC7A1, 0x010E, 0x9C9B])
def test_no_picture_goes_out_in_a_tag_that_may_hold_anything(tag: int) -> None:
    """A comment of the user, say, in which a program keeps a small picture, as it is or in Base64."""
    thumbnail = photographs.jpeg(9, 160, 120)
    for content in (thumbnail, b"ASCII\0\0\0" + thumbnail, b64encode(thumbnail), b"\xf0" * 3000):
        said = {tag: content}
        block = (exifs.block(first=said) if tag in metadata.FIRST_OUT else exifs.block(more=said)).tobytes()
        assert content[8:2000] in block
        assert content[8:72] not in metadata.outgoing(block, "keep")


@pytest.mark.parametrize(
    "comment", [b"ASCII\0\0\0at home", b"UNICODE\0" + "zu Hause".encode("utf-16-le"), b"\0" * 8 + b"x"]
)
def test_a_comment_of_the_user_goes_out_where_all_is_kept(comment: bytes) -> None:
    assert comment in metadata.outgoing(exifs.block(more={0x9286: comment}).tobytes(), "keep")


def test_what_is_stripped_adds_nothing_to_a_digest() -> None:
    assert "metadata" not in Encoding().model_dump()
    assert Encoding(metadata="keep").model_dump()["metadata"] == "keep"


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "said",
    ["tiff:Orientation='6'", 'tiff:Orientation = "6"', "tiff:Orientation=\n '6'"],
    ids=["quotes", "spaces", "lines"],
)
def test_xmp_turns_a_picture_however_it_is_written(form: str, said: str) -> None:
    packet = exifs.XMP.format(attributes=said, elements="").encode()
    data = exifs.photograph(form, exif=b"", xmp=packet)
    assert told(data)["orientation"] == 6
    plain = decode(exifs.photograph(form, exif=b"", xmp=b""), DecodePlan(), Limits()).pixels
    assert decode(data, DecodePlan(), Limits()).pixels.shape == (plain.shape[1], plain.shape[0], 3)


@given(turn=st.integers(0, 9), places=st.lists(st.tuples(st.integers(6, 400), st.integers(0, 255)), max_size=6))
def test_exif_says_the_same_whether_pillow_opens_its_jpeg_or_the_decoder_alone(
    turn: int, places: list[tuple[int, int]]
) -> None:
    """Of a JPEG with nothing but EXIF beside it all is known without Pillow; of the other one it is asked."""
    said = Image.Exif()
    said.update({0x0110: "EOS 5D", 0x0112: turn})
    said.get_ifd(0x8825).update({1: "N", 2: (52.0, 5.0, 30.5), 3: "W", 4: (5.0, 7.0, 0.0)})
    block = bytearray(said.tobytes())
    for at, value in places:
        block[at % len(block)] = value
    alone = jpegs.after_start(PLAIN, jpegs.segment(0xE1, bytes(block)))
    beside = jpegs.after_start(alone, jpegs.segment(0xED, b"Photoshop 3.0\0"))

    plan = DecodePlan(width=10, height=20, metadata="keep")
    [short, whole] = (decode(data, plan, Limits()) for data in (alone, beside))

    np.testing.assert_array_equal(short.pixels, whole.pixels)
    assert replace(short, pixels=whole.pixels) == whole
    assert header(alone, Limits()) == header(beside, Limits())
