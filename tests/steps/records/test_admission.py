"""Which files are images: by suffix, by first bytes, by rules; and how the rest is counted."""

from __future__ import annotations

import io

import pillow_heif
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imgflow_steps.records.admission import HEAD, KINDS, admission, begins_like_image, count, parse, skipped_in_words

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "AVIF", "HEIC"]


@pytest.mark.parametrize(
    ("pattern", "fitting", "others"),
    [
        ("*.jpg", ["a.jpg", "b/c/A.JPG"], ["a.png", "a.jpg.part"]),
        ("raw", ["raw/a.jpg", "b/raw/c/d.jpg", "b/RAW"], ["rawer/a.jpg", "b/raw.jpg"]),
        ("raw/", ["raw/a.jpg", "b/raw/a.jpg"], ["raw", "b/raw"]),
        ("/raw", ["raw/a.jpg", "raw"], ["b/raw/a.jpg"]),
        ("a/*.jpg", ["a/x.jpg"], ["a/b/x.jpg", "b/a/x.jpg"]),
        ("a/**/x.jpg", ["a/x.jpg", "a/b/c/x.jpg"], ["x.jpg", "a/b/y.jpg"]),
        ("**/x.jpg", ["x.jpg", "a/b/x.jpg"], ["a/yx.jpg"]),
        ("a/**", ["a/x.jpg", "a/b/x.jpg"], ["a", "b/x.jpg"]),
        ("DSC_????.jpg", ["b/DSC_0001.jpg"], ["b/DSC_1.jpg"]),
        ("[ab]*.jpg", ["a1.jpg", "b.jpg"], ["c.jpg"]),
        ("[!ab]*.jpg", ["c.jpg"], ["a.jpg"]),
        ("x[", ["x["], ["x"]),
        ("a+b (1).jpg", ["a+b (1).jpg"], ["aab 1.jpg"]),
        ("./a.jpg", ["a.jpg"], ["b/a.jpg"]),
    ],
)
def test_patterns_fit_as_in_gitignore(pattern: str, fitting: list[str], others: list[str]) -> None:
    [rule] = parse([pattern])

    assert [key for key in [*fitting, *others] if rule.fits.fullmatch(key)] == fitting


@given(st.text(min_size=1), st.text())
def test_no_pattern_is_an_error(pattern: str, key: str) -> None:
    for rule in parse([pattern]):
        rule.fits.fullmatch(key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("a.jpg", ""),
        ("b/scan-17", ""),
        ("a.psd", ".psd"),
        ("a.JPG.part", ".part"),
        ("a.", "others"),
        ("notes of 3.5 Jan", "others"),
        (".aws/credentials", "hidden"),
        (".thumbnails/t.jpg", "hidden"),
        ("a/._x.jpg", "hidden"),
        (".Trash-1000/files/old.jpg", "hidden"),
        ("a/@eaDir/x.jpg/SYNOPHOTO_THUMB_M.jpg", "hidden"),
        ("lost+found/1.jpg", "hidden"),
        ("$RECYCLE.BIN/1.jpg", "hidden"),
        ("System Volume Information/x", "hidden"),
        ("__MACOSX/a.jpg", "hidden"),
        ("photos_$folder$", "hidden"),
    ],
)
def test_what_is_left_out_is_counted_by_suffix_or_by_why(key: str, why: str) -> None:
    assert admission().why_not(key) == why


def test_only_what_fits_a_pattern_is_taken_and_hidden_things_only_where_one_names_them() -> None:
    keys = ["a.jpg", "b.png", ".thumbnails/c.jpg", ".cache/.thumbnails/d.jpg", ".git/e.jpg"]

    def taken(**rules: list[str]) -> list[str]:
        return [key for key in keys if not admission(**rules).why_not(key)]

    assert taken() == ["a.jpg", "b.png"]
    assert taken(include=["*.jpg"]) == ["a.jpg"]
    assert taken(include=["*.jpg", "*.png"]) == ["a.jpg", "b.png"]
    assert taken(include=[".thumbnails"]) == [".thumbnails/c.jpg", ".cache/.thumbnails/d.jpg"]
    assert taken(exclude=["*.png"]) == ["a.jpg"]
    assert taken(exclude=["!.git/"]) == ["a.jpg", "b.png", ".git/e.jpg"]
    assert taken(include=["*.jpg"], exclude=["a.*"]) == []


def test_the_last_rule_of_an_ignore_file_decides_and_flags_come_after_it() -> None:
    rules = admission(exclude=["c.jpg"]).with_file("# old scans\n\nold/\n!old/keep.jpg\n")

    keys = ["a.jpg", "old/b.jpg", "old/keep.jpg", "c.jpg"]
    assert [rules.why_not(key) for key in keys] == ["", "excluded", "", "excluded"]


@pytest.mark.parametrize("form", FORMATS)
def test_an_image_is_known_by_its_first_bytes(form: str) -> None:
    file = io.BytesIO()
    picture = Image.new("RGB", (300, 200), "red")
    if form == "HEIC":
        pillow_heif.from_pillow(picture).save(file)
    else:
        picture.save(file, "BMP" if form == "DIB" else form)

    assert begins_like_image(file.getvalue()[:HEAD])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"[default]\naws_access_key_id",
        b"-----BEGIN OPENSSH PRIVATE KEY-----",
        b"BM is how this letter begins, and",
        b"RIFF\x24\0\0\0WAVEfmt ",
        b"ref: refs/heads/main\n",
        b"PK\x03\x04",
        b"%PDF-1.7",
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42",
        b"II",
    ],
)
def test_what_is_no_image_is_known_by_them_too(head: bytes) -> None:
    assert not begins_like_image(head)


def test_the_most_frequent_kinds_are_told_first_and_there_is_a_bound() -> None:
    left_out: dict[str, int] = {}
    for word, number in {".psd": 7, ".dng": 2, "hidden": 2}.items():
        count(left_out, word, number)

    assert skipped_in_words(left_out) == "7 .psd, 2 .dng, 2 hidden"
    assert skipped_in_words({"links": 1, "devices or pipes": 2, "others": 1}) == "2 devices or pipes, 1 link, 1 other"
    for number in range(1000):
        count(left_out, f".{number}")
    assert len(left_out) <= KINDS + 1
    assert sum(left_out.values()) == 1011
    assert skipped_in_words(left_out).startswith("963 others, 7 .psd, 2 .dng, 2 hidden, 1 .0, 1 .1, ")
    assert skipped_in_words(left_out).endswith(" more")


def test_a_line_of_an_ignore_file_is_a_rule_unless_it_is_empty_or_a_comment() -> None:
    rules = parse(["# all of it", "", "  *.tif  ", "!good.tif", "#!not.tif"])
    assert [(rule.text, rule.again) for rule in rules] == [("*.tif", False), ("good.tif", True)]


def test_kinds_that_fit_in_a_line_are_told_without_a_rest() -> None:
    six = {f".{letter}": 7 for letter in "abcdef"}
    assert skipped_in_words(six) == "7 .a, 7 .b, 7 .c, 7 .d, 7 .e, 7 .f"
    assert skipped_in_words({**six, ".g": 2}) == "7 .a, 7 .b, 7 .c, 7 .d, 7 .e, 7 .f, 2 more"
    assert skipped_in_words({"links": 1, "others": 1, "hidden": 1}) == "1 hidden, 1 link, 1 other"


def test_reasons_and_known_suffixes_are_counted_beyond_the_bound_and_new_suffixes_as_others() -> None:
    left_out: dict[str, int] = {f".{number}": 1 for number in range(KINDS)}
    for word, number in ((".new", 1), (".0", 4), ("hidden", 1), (".newer", 2)):
        count(left_out, word, number)
    assert (left_out["others"], left_out[".0"], left_out["hidden"]) == (3, 5, 1)
    assert ".new" not in left_out


@pytest.mark.parametrize(
    ("head", "image"),
    [
        (b"BM" + bytes(4) + bytes(4) + bytes(4) + (40).to_bytes(4, "little"), True),
        (b"BM" + bytes(4) + bytes(4) + bytes(4) + (41).to_bytes(4, "little"), False),
        (b"BM" + bytes(4) + b"\1\0\0\0" + bytes(4) + (40).to_bytes(4, "little"), False),
        (b"RIFF" + bytes(4) + b"WEBP", True),
        (b"RIFF" + bytes(4) + b"WAVE", False),
        (b"JUNK" + bytes(4) + b"WEBP", False),
        (b"\0\0\0\x20ftypheic", True),
        (b"\0\0\0\x20ftypisom", False),
    ],
)
def test_each_field_of_a_first_header_counts(head: bytes, image: bool) -> None:
    assert begins_like_image(head) is image


def test_a_class_of_characters_that_is_none_fits_itself_below_folders_too() -> None:
    only = admission(["[z-a].jpg"])
    assert [only.why_not(key) for key in ("x/[z-a].jpg", "[Z-A].JPG", "b.jpg")] == ["", "", "excluded"]
