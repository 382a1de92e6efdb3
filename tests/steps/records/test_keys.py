"""Every thing has one place, no two things share one, and names that cannot work are told before they are tried."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store.names import SEGMENT_BYTES

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
tricky = st.text(st.sampled_from("ab/~._-%\u00e5 \n"), min_size=1, max_size=12)
images = st.one_of(tricky, names, tricky.map(lambda name: name * 40))
pieces = st.sampled_from(["", "a", "b", "a-b", "left", "0"])
suffixes = st.sampled_from(["jpg", "png", "webp"])


def published(image: str, piece: str, suffix: str) -> str:
    return keys.published("Utrecht", "0" * 16, image, piece, suffix)


@given(one=st.tuples(images, pieces), other=st.tuples(images, pieces), suffix=suffixes)
@example(one=("x~a", ""), other=("x", "a"), suffix="jpg")
@example(one=("x.jpg", ""), other=("x.png", ""), suffix="jpg")
@example(one=("x~", "a"), other=("x", "a"), suffix="jpg")
@example(one=("x" * 250, ""), other=("x" * 250, "a"), suffix="jpg")
@example(one=("x" * 254 + "1", ""), other=("x" * 254 + "2", ""), suffix="jpg")
def test_no_two_results_share_a_key(one: tuple[str, str], other: tuple[str, str], suffix: str) -> None:
    assume(not keys.problem(one[0]))
    assume(not keys.problem(other[0]))
    assert (published(*one, suffix) == published(*other, suffix)) == (one == other)


@given(image=images, piece=pieces, suffix=suffixes)
def test_a_result_s_key_leads_back_to_its_image_unless_the_name_was_cut(image: str, piece: str, suffix: str) -> None:
    assume(not keys.problem(image))
    key = published(image, piece, suffix)
    cut = "~_" in key.replace("~~", "").rsplit("/", 1)[-1]
    assert keys.unpublished(key) == ("Utrecht", "0" * 16, "" if cut else image)


@given(one=st.tuples(images, pieces), other=images, suffix=suffixes)
@example(one=("x" * 254 + "1", "a"), other="x", suffix="jpg")
@example(one=("a/x.jpg", "a"), other="a/x.jpg.jpg", suffix="jpg")
@example(one=("~" * 90, "a"), other="~" * 91, suffix="jpg")
def test_all_results_of_an_image_and_no_other_s_are_found_by_its_name(
    one: tuple[str, str], other: str, suffix: str
) -> None:
    image, piece = one
    assume(not keys.problem(image))
    assume(not keys.problem(other))
    key = published(image, piece, suffix)
    assert key.startswith(keys.pictures("Utrecht", "0" * 16, image))
    assert keys.is_of(key, image)
    assert keys.is_of(key, other) == (image == other)


@pytest.mark.parametrize(
    "key", ["a.jpg", "results/U/0123/images/a.jpg", "datasets/U/images/a.jpg", "results/U//images/"]
)
def test_what_is_no_result_s_key_leads_to_no_image(key: str) -> None:
    assert keys.unpublished(key) is None


@given(image=images, piece=pieces, suffix=suffixes)
@example(image="~" * 200 + "/" + "~" * 200, piece="a", suffix="jpg")
def test_a_result_of_a_possible_image_is_itself_possible(image: str, piece: str, suffix: str) -> None:
    assume(not keys.problem(image))
    key = published(image, piece, suffix)
    assert key.endswith("." + suffix)
    assert all(len(part.encode()) <= SEGMENT_BYTES for part in key.split("/"))
    assert key.startswith(keys.results("Utrecht", "0" * 16))


@pytest.mark.parametrize("long", ["x" * 255, "x" * 179 + "~" * 76, "~" * 255])
def test_nobody_can_choose_a_name_that_takes_the_place_of_a_cut_one(long: str) -> None:
    cut = published(long, "", "jpg").rsplit("/", 1)[-1]
    assert len(cut) <= SEGMENT_BYTES
    for name in (cut, cut.removesuffix(".jpg"), cut.removesuffix(".jpg").replace("~~", "~"), cut.replace("~_", "_")):
        assert published(name, "", "jpg").rsplit("/", 1)[-1] != cut


@given(name=names)
@example("Utrecht")
@example("\u00d6stra G\u00f6inge")
@example("{{=1+1}}'; rm -rf / #")
@example("..")
@example("\u00e5")
@example("a/b")
def test_a_municipality_travels_encoded_and_comes_back(name: str) -> None:
    assume(name.strip())
    try:
        segment = keys.encode(name)
    except BadParametersError:
        assert len(name.encode()) * 3 > SEGMENT_BYTES
        return
    assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", segment)
    assert segment not in {".", ".."}
    assert keys.encode(keys.decode(segment)) == segment


@given(one=names, other=names)
def test_two_municipalities_share_a_segment_only_when_they_are_spelt_alike(one: str, other: str) -> None:
    assume(one.strip() and other.strip())
    try:
        segments = keys.encode(one), keys.encode(other)
    except BadParametersError:
        return
    assert (segments[0] == segments[1]) == (keys.decode(segments[0]) == keys.decode(segments[1]))


def test_one_spelling_of_a_letter_is_as_good_as_the_other() -> None:
    assert keys.encode("Sko\u030avde") == keys.encode("Sk\u00e5vde".replace("\u00e5", "o\u030a"))
    assert keys.encode("A\u030a") == keys.encode("\u00c5")


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, "\u00e5" * 50, "\udcff"])
def test_a_municipality_without_a_possible_name_is_refused(name: str) -> None:
    with pytest.raises(BadParametersError):
        keys.encode(name)


def test_a_plain_name_is_its_own_encoding() -> None:
    assert keys.encode("Utrecht") == "Utrecht"


def test_one_municipality_never_sees_another_whose_name_begins_alike() -> None:
    assert not keys.images("mun-10").startswith(keys.images("mun-1"))
    assert not keys.results("mun-10", "d").startswith(keys.results("mun-1", "d"))


@given(name=st.text(max_size=200))
def test_a_slug_is_a_label_value(name: str) -> None:
    slug = keys.slug(name)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", slug)


def test_a_slug_can_be_read() -> None:
    assert keys.slug("\u00d6stra G\u00f6inge") == "ostra-goinge"
    assert keys.slug("Stra\u00dfen") == "strassen"
    assert keys.slug("\u6771\u4eac") == "x"


@pytest.mark.parametrize("run", ["a", "utrecht-0001", "0", "a" * 53])
def test_a_run_id_that_can_name_a_workflow_is_taken(run: str) -> None:
    assert keys.check_run(run) == run


@pytest.mark.parametrize("run", ["", "A", "-a", "a-", "a" * 54, "a/b", "../a", "a\n", "a.b", "{{a}}"])
def test_any_other_run_id_is_refused(run: str) -> None:
    with pytest.raises(BadParametersError):
        keys.check_run(run)


@pytest.mark.parametrize(
    "image",
    [
        "a.jpg",
        "a b.jpg",
        "'\".jpg",
        "%2F.jpg",
        "a\nb.jpg",
        "\U0001f3e0.jpg",
        "..a/b..",
        "x" * 255,
        "a/" * 400 + "b",
        "~",
    ],
)
def test_a_strange_name_is_still_a_name(image: str) -> None:
    assert keys.problem(image) == ""


@pytest.mark.parametrize(
    ("image", "told"),
    [
        ("", "empty"),
        ("a//b", "empty"),
        ("/a", "empty"),
        ("a/", "empty"),
        ("../a", "'..'"),
        ("a/./b", "'.'"),
        ("x" * 256, "255 bytes"),
        ("\u00e5" * 128, "255 bytes"),
        ("a/" * 499 + "b", "room for the result"),
        ("a/" * 600 + "b", "keys end at"),
        ("a\0b", "NUL"),
        ("\udcff", "UTF-8"),
    ],
)
def test_an_impossible_name_is_told_why(image: str, told: str) -> None:
    assert told in keys.problem(image)


@pytest.mark.parametrize(
    ("key", "listed"),
    [
        ("a.jpg", True),
        ("a.JPG", True),
        ("b/a.tiff", True),
        ("noext", True),
        ("a.b/noext", True),
        ("a.txt", False),
        ("a.jpg.bak", False),
        (".hidden", False),
        (".hidden.jpg", False),
        (".thumbnails/a.jpg", False),
        ("a/@eaDir/b.jpg", False),
        ("lost+found/b.jpg", False),
        ("a_$folder$", False),
        ("folder/", False),
        ("a.", False),
        ("a.heic", True),
        ("a.dng", True),
        ("a.JXL", True),
        ("a.psd", False),
    ],
)
def test_images_are_listed_by_their_suffix(key: str, listed: bool) -> None:
    assert keys.is_image(key) is listed


def test_versions_and_sides_of_an_image_have_their_own_thumbnails() -> None:
    places = {keys.thumb("m", "d", i, v, s) for i in ("a", "b") for v in ("1", "2") for s in ("before", "after")}
    assert len(places) == 8


@given(shard=st.integers(0, 99_999), other=st.integers(0, 99_999))
def test_shards_sort_by_number(shard: int, other: int) -> None:
    assert (keys.manifest("r", shard) < keys.manifest("r", other)) == (shard < other)
    assert (keys.shard_progress("r", 1, shard) < keys.shard_progress("r", 1, other)) == (shard < other)


def test_everything_of_a_run_lies_below_it() -> None:
    prefix = "runs/r/"
    places = [keys.run_json("r"), keys.listing_json("r"), keys.listing("r"), keys.manifest("r", 1), keys.report("r")]
    places += [keys.summary_json("r"), keys.shard_progress("r", 2, 3)]
    assert all(place.startswith(prefix) for place in places)
    assert len(set(places)) == len(places)
    assert keys.scratch("r", 1, 17) == "scratch/r/1/00017.tar"


@pytest.mark.parametrize("folder", ["", "x" * 200 + "/", "images/"])
def test_a_picture_whose_name_was_cut_is_of_its_image_and_of_no_other_that_begins_alike(folder: str) -> None:
    names = ["x" * 240 + "-001.jpg", "x" * 240 + "-002.jpg", "x" * 240 + "~001.jpg", "x" * 251]
    every = [*(folder + name for name in names), *names]
    for image in every:
        for piece in ("", "r1c1", "r1c2-v01"):
            key = keys.published("images", "0" * 16, image, piece, "jpg")
            assert {one for one in every if keys.is_of(key, one)} == {image}
            assert key.startswith(keys.pictures("images", "0" * 16, image))
