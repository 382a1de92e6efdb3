"""JPEGs of every kind: the same pixels as Pillow's, no size stated where none is known, no half picture published."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageCms
from tests import jpegs, photographs

from imgflow_steps import codec
from imgflow_steps.codec import colour, jpeg, jpeg_segments
from imgflow_steps.contract.options import DecodePlan, Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pixels.arrays import to_pixels

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

WHOLE = DecodePlan()
PLANS = {"colour": WHOLE, "grey": DecodePlan(luma=True), "small": DecodePlan(luma=True, width=10, height=10)}
MARKED = [kind for kind in jpegs.ALL if "arithmetic" not in kind]  # whose data has an end of its own
COMPLETE = [
    kind for kind in MARKED if "finest bits" not in kind
]  # in doubt, nothing tells such from one that lost them
BY_CHANCE = 1  # step of 255 that the luma of a stored picture may differ by


def decoded(data: bytes, plan: DecodePlan = WHOLE) -> Pixels:
    return codec.decode(data, plan, Limits()).pixels


def by_pillow(data: bytes) -> Pixels:
    with Image.open(BytesIO(data)) as image:
        return to_pixels(colour.canonical(image, luma=False))


def outcome(data: bytes, plan: DecodePlan = WHOLE) -> Pixels | str:
    try:
        return decoded(data, plan)
    except Rejected as verdict:
        return verdict.code


def header(data: bytes) -> codec.Header | str:
    try:
        return codec.header(data, Limits())
    except Rejected as verdict:
        return verdict.code


@pytest.mark.parametrize("kind", jpegs.ALL)
def test_every_kind_has_the_pixels_that_pillow_gives(kind: str) -> None:
    np.testing.assert_array_equal(decoded(jpegs.ALL[kind]), by_pillow(jpegs.ALL[kind]))


@pytest.mark.parametrize("kind", jpegs.ALL)
def test_what_a_colour_pipeline_takes_a_grey_one_takes(kind: str) -> None:
    data = jpegs.ALL[kind]
    luma = np.asarray(Image.fromarray(np.squeeze(by_pillow(data))).convert("L"), np.int16)
    grey = decoded(data, PLANS["grey"])
    assert grey.shape == (40, 48, 1)
    assert np.abs(grey[:, :, 0] - luma).mean() <= BY_CHANCE
    assert codec.decode(data, PLANS["small"], Limits()).width == 48


@pytest.mark.parametrize("kind", [kind for kind in jpegs.RARE if "lossless" in kind or "arithmetic" in kind])
def test_only_the_usual_kinds_are_asked_for_at_a_stated_size(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpegs.RARE[kind]
    whole = decoded(data, PLANS["grey"]).shape
    head = jpeg_segments.read(data)
    assert head
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: pytest.fail("simplejpeg was asked"))
    monkeypatch.setattr(Image.Image, "draft", lambda *_: pytest.fail("a size was stated"))
    assert decoded(data, PLANS["small"]).shape == whole
    assert len(codec.thumbnail(data, Limits())) > 100
    with pytest.raises(ValueError, match="stated size"):
        jpeg.decode(data, head, "GRAY", 2)


@pytest.mark.parametrize("behind", ["nothing", "end", "zeros and end", "a trailer", "zeros"])
@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", MARKED)
def test_a_picture_that_is_cut_short_is_truncated_whatever_stands_behind_it(kind: str, plan: str, behind: str) -> None:
    data = jpegs.ALL[kind]
    tails = {
        "nothing": b"",
        "end": jpegs.EOI,
        "zeros and end": bytes(len(data)) + jpegs.EOI,
        "a trailer": b"SEFH of a telephone",  # shorter than what is missing, else it might be that
        "zeros": bytes(len(data)),
    }
    found = {at: outcome(data[:at] + tails[behind], PLANS[plan]) for at in jpegs.cuts(data)}
    codes = {at: code if isinstance(code, str) else "published" for at, code in found.items()}
    assert set(codes.values()) <= {"truncated", "undecodable"}, codes


@pytest.mark.parametrize("kind", [kind for kind in jpegs.ALL if "arithmetic" in kind])
def test_arithmetic_coding_without_an_end_is_truncated(kind: str) -> None:
    assert {outcome(jpegs.ALL[kind][:at]) for at in jpegs.cuts(jpegs.ALL[kind])} == {"truncated"}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", COMPLETE)
def test_a_picture_that_is_all_there_needs_no_end(kind: str, plan: str) -> None:
    data = jpegs.ALL[kind]
    for behind in (b"", b"SEFH" + bytes(90), b"\xff\xd8\xff\xe0 another picture", bytes(5000)):
        np.testing.assert_array_equal(decoded(data[:-2] + behind, PLANS[plan]), decoded(data, PLANS[plan]))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", COMPLETE)
def test_bytes_that_belong_to_nothing_do_no_harm(kind: str, plan: str) -> None:
    data, expected = jpegs.ALL[kind], decoded(jpegs.ALL[kind], PLANS[plan])
    for behind in (b"\x11" * 9, bytes(5000), b"\xff" * 40):
        np.testing.assert_array_equal(decoded(data[:-2] + behind + jpegs.EOI, PLANS[plan]), expected)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", ["4:2:0", "4:1:1", "grey", "CMYK", "extended", "lossless grey"])
def test_a_marker_in_the_middle_of_coded_data_is_damage_and_behind_it_is_not(kind: str, plan: str) -> None:
    coded = jpegs.ALL[kind][:-2] + b"\x11" * 9  # a picture that came out of step is complete before its data ends
    for marker in (b"\xff\xdb\0\x04ab", b"\xff\xda\0\x04ab", b"\xff\xc2", b"\xff\x46ab", b"\xff\xf9ab"):
        assert outcome(coded + marker + b"\x22" * 9 + jpegs.EOI, PLANS[plan]) == "undecodable"
    np.testing.assert_array_equal(
        decoded(coded + b"\xff\x46 of a telephone", PLANS[plan]), decoded(jpegs.ALL[kind], PLANS[plan])
    )


def test_a_scan_of_one_colour_that_is_missing_is_noticed() -> None:
    data = jpegs.ALL["a scan for each colour"]
    for start in jpegs.scan_starts(data)[1:]:
        assert outcome(data[:start] + jpegs.EOI) == "truncated"


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("colours", ["RGB", "L"])
def test_a_progressive_picture_that_lacks_whole_coefficients_is_truncated_with_its_end(colours: str, plan: str) -> None:
    out = BytesIO()
    photographs.pixels(8, 48, 40).convert(colours).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    starts = jpegs.scan_starts(data)
    all_seen = 5 if colours == "RGB" else 3  # scans until there is something of each, as libjpeg writes them
    for start in starts[1:all_seen]:
        assert outcome(data[:start] + jpegs.EOI, PLANS[plan]) == "truncated"
    assert not isinstance(outcome(data[: starts[all_seen]] + jpegs.EOI, PLANS[plan]), str)


def test_a_few_zeros_in_front_of_its_end_do_not_fill_up_a_progressive_picture() -> None:
    data = jpegs.ALL["progressive"]
    starts = jpegs.scan_starts(data)
    for at in range(starts[5], starts[-1]):  # there is something of each coefficient by then
        assert isinstance(outcome(data[:at] + bytes(8) + jpegs.EOI), str), at


def test_a_restart_marker_that_is_missing_is_noticed() -> None:
    data = jpegs.USUAL["many restart markers"]
    first, last = data.index(b"\xff\xd2"), data.index(b"\xff\xd5")
    assert outcome(data[:first] + data[last:]) == "truncated"


PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIDE_DATA = {
    "short JFIF": jpegs.segment(0xE0, b"JFIF\0"),
    "JFIF of no length": b"\xff\xe0\0\0",
    "unknown JFIF": jpegs.segment(0xE0, b"JFIF\0\x07\x02\1\0\1\0\1\0\0"),
    "short Adobe": jpegs.segment(0xEE, b"Adobe"),
    "short Adobe with a version": jpegs.segment(0xEE, b"Adobe\0\x64"),
    "short profile": jpegs.segment(0xE2, b"ICC_PROFILE\0"),
    "profile without its number": jpegs.segment(0xE2, b"ICC_PROFILE\0\1"),
    "one part of two of a profile": jpegs.segment(0xE2, b"ICC_PROFILE\0\1\2" + PROFILE[:200]),
    "damaged Photoshop": jpegs.segment(0xED, b"Photoshop 3.0\x008BIM\x03\xed\0"),
    "damaged EXIF": jpegs.segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
    "damaged MPF": jpegs.segment(0xE2, b"MPF\0MM\0*\xff\xff"),
    "empty": jpegs.segment(0xE5, b""),
    "bytes between segments": jpegs.segment(0xFE, b"a comment") + b"\0\0no segment\0",
}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", ["4:2:0", "grey", "progressive", "lossless grey"])
@pytest.mark.parametrize("beside", SIDE_DATA)
def test_damaged_data_beside_a_picture_never_costs_the_picture(beside: str, kind: str, plan: str) -> None:
    damaged = jpegs.after_start(jpegs.ALL[kind], SIDE_DATA[beside])
    np.testing.assert_array_equal(decoded(damaged, PLANS[plan]), decoded(jpegs.ALL[kind], PLANS[plan]))


@pytest.mark.parametrize("beside", SIDE_DATA)
def test_damaged_data_beside_a_picture_hides_no_damage_in_it(beside: str) -> None:
    data = jpegs.after_start(jpegs.USUAL["4:2:0"], SIDE_DATA[beside])
    assert outcome(data[: len(data) * 3 // 4] + jpegs.EOI) == "truncated"


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"\xff\xd8" + jpegs.segment(0xC1, b"\x0c\0\x28\0\x30\1\1\x11\0"), "unsupported-mode", "12 bit"),
        (b"\xff\xd8" + jpegs.segment(0xF7, b"\x08\0\x28\0\x30\1\1\x11\0"), "unsupported-format", "JPEG-LS"),
        (jpegs.by_pillow().replace(b"\xff\xc0\0", b"\xff\xc5\0"), "unsupported-mode", "hierarchical"),
        (jpegs.by_pillow().replace(b"\xff\xc0\0", b"\xff\xcb\0"), "unsupported-mode", "arithmetic"),
        (b"\xff\xd8" + jpegs.segment(0xC0, b"\x08\0\x28\0\x30\2\1\x11\0\2\x11\0"), "unsupported-mode", "2 components"),
        (b"\xff\xd8" + jpegs.segment(0xC0, b"\x08\0\0\0\x30\1\1\x11\0"), "unsupported-mode", "height"),
    ],
    ids=["12 bits", "JPEG-LS", "hierarchical", "lossless arithmetic", "two components", "no height"],
)
def test_a_sound_jpeg_that_is_not_read_is_named(data: bytes, code: str, says: str) -> None:
    with pytest.raises(Rejected) as verdict:
        decoded(data)
    assert verdict.value.code == code
    assert says in verdict.value.message
    assert "damaged" not in verdict.value.message


@pytest.mark.parametrize("kind", [1, 3, 4, 7])
def test_an_orientation_is_heard_of_whatever_its_type(kind: int) -> None:
    value = {1: b"\6\0\0\0", 3: b"\0\6\0\0", 4: b"\0\0\0\6", 7: b"\6\0\0\0"}[kind]
    entry = b"\x01\x12" + kind.to_bytes(2) + (1).to_bytes(4) + value
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1" + entry + bytes(4)
    data = jpegs.after_start(jpegs.by_pillow(photographs.pixels(1, 48, 40)), jpegs.segment(0xE1, exif))
    assert decoded(data).shape == (48, 40, 3)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("kind", jpegs.ALL)
def test_a_picture_is_the_same_whether_its_file_tells_something_beside_it_or_nothing(kind: str, plan: str) -> None:
    """Pillow is asked only about the first; of the second all is known without."""
    data = jpegs.ALL[kind]
    tried = [data, *(data[:at] for at in jpegs.cuts(data)), *(data[:at] + jpegs.EOI for at in jpegs.cuts(data))]
    narrow = data.replace(b"\0\x28\0\x30", b"\0\x28\0\0", 1)  # no pixel wide
    for bare in (*tried, narrow):
        telling = jpegs.after_start(bare, jpegs.segment(0xED, b"Photoshop 3.0\0"))
        expected, found = (outcome(one, PLANS[plan]) for one in (telling, bare))
        assert found == expected if isinstance(expected, str) else np.array_equal(found, expected)
        assert header(bare) == header(telling)
