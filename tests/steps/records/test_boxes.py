"""Boxes that people gave: whole or refused, and part of the version of the images that they are about alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from imgflow_steps.contract.sample import MANUAL, Rejected
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.boxes import BoxesUnreadableError, ManualBox, Marked
from imgflow_steps.records.dataset import with_boxes
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.row import Entry

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.store import Store

FACE = ManualBox("face", 10, 20, 30, 40)
TABLE = [Marked(image="a.jpg", boxes=(FACE, FACE)), Marked(image="b/ö.jpg")]


def given(store: Store, folder: Path) -> list[Marked]:
    assert boxes.download(store, "Demo", folder / "copy")
    return list(boxes.read(folder / "copy"))


def test_a_table_comes_back_as_it_was_given_and_a_new_one_takes_its_place(store: Store, tmp_path: Path) -> None:
    assert boxes.download(store, "Demo", tmp_path / "copy") is None
    head = boxes.write(store, "Demo", TABLE, tmp_path)
    assert (head.images, head.boxes) == (2, 2)
    assert given(store, tmp_path) == TABLE
    boxes.write(store, "Demo", TABLE[1:], tmp_path)
    assert given(store, tmp_path) == TABLE[1:]


def cut(text: bytes) -> bytes:
    return b"".join(text.splitlines(keepends=True)[:-1])


def moved(text: bytes) -> bytes:
    return text.replace(b"10.0", b"11.0", 1)


@pytest.mark.parametrize("harm", [cut, moved, lambda _: b"", lambda text: text[:9], lambda text: text + b"{}\n"])
def test_a_table_that_is_not_whole_is_never_taken_for_a_shorter_one(
    directory_store: Store, tmp_path: Path, harm: Any
) -> None:
    boxes.write(directory_store, "Demo", TABLE, tmp_path)
    whole = directory_store.read(key := keys.boxes("Demo"))
    directory_store.write(key, harm(whole))
    with pytest.raises(BoxesUnreadableError, match="damaged"):
        given(directory_store, tmp_path)


@pytest.mark.parametrize(
    "box",
    [
        ("face", 30, 20, 10, 40),
        ("face", 1, 1, 1, 2),
        ("face", 1, 1, 2, 1),
        ("face", float("nan"), 1, 2, 2),
        ("face", float("-inf"), 0, 1, 1),
        ("face", 0, 0, 1, float("inf")),
    ],
)
def test_what_is_no_box_is_refused_wherever_it_is_read(box: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError):
        Marked(image="a.jpg", boxes=(ManualBox(*box),))


def test_rows_out_of_order_are_refused_since_a_join_would_pass_them_by(directory_store: Store, tmp_path: Path) -> None:
    for table in (TABLE[::-1], [TABLE[0], TABLE[0]]):
        with pytest.raises(BoxesUnreadableError, match=r"out of order: a\.jpg"):
            boxes.write(directory_store, "Demo", table, tmp_path)
    assert directory_store.stat(keys.boxes("Demo")) is None


@pytest.mark.parametrize("kind", [boxes.Head, Marked])
def test_what_a_newer_imgflow_says_more_is_not_passed_over(kind: Any) -> None:
    known = {boxes.Head: {"images": 1, "boxes": 1, "sha256": ""}, Marked: {"image": "a.jpg"}}[kind]
    assert kind.model_validate(known)
    with pytest.raises(ValidationError, match="polygon"):
        kind.model_validate({**known, "polygon": []})


def test_only_images_that_are_named_get_another_version() -> None:
    entries, listing = [Entry(image=name, version="v1") for name in ("a.jpg", "aa.jpg", "b/ö.jpg")], Listing()
    first, second, third = with_boxes(entries, [*TABLE, Marked(image="z.jpg")], listing)
    assert second == entries[1]
    assert (first.boxes, third.boxes) == ((FACE, FACE), ())
    assert len({first.version, third.version, "v1"}) == 3
    assert [boxes.of_source(one.version) for one in (first, second, third)] == ["v1"] * 3
    assert (listing.marked, listing.astray) == (2, 1)


def test_the_version_changes_with_any_coordinate_any_label_and_any_box() -> None:
    sets = [(), (FACE,), (FACE, FACE), (FACE._replace(x0=10.1),), (FACE._replace(label="plate"),)]
    assert len({boxes.stamped("v1", one) for one in sets}) == len(sets)
    assert boxes.stamped("v1", [FACE]) == boxes.stamped("v1", [ManualBox(*json.loads(json.dumps([*FACE])))])


def test_an_entry_that_has_lost_its_boxes_is_refused() -> None:
    [entry] = with_boxes([Entry(image="a.jpg", version="v1")], TABLE[:1], Listing())
    line = entry.model_dump(exclude_defaults=True)
    assert Entry.model_validate(line) == entry
    for less in ("boxes", "version"):
        with pytest.raises(ValidationError, match="belong together"):
            Entry.model_validate({**line, less: {"boxes": None, "version": "v1"}[less]})


def test_a_box_is_clipped_to_the_picture_and_told_as_a_finder_tells_it() -> None:
    assert boxes.found(None, 100, 50) == {}
    given = [ManualBox("face", -5, -3, 20, 60), ManualBox("sign", 10, 12, 200, 40), FACE]
    clipped = [["face", 1.0, 0, 0, 20, 50], ["sign", 1.0, 10, 12, 90, 28], ["face", 1.0, 10, 20, 20, 20]]
    assert boxes.found(given, 100, 50) == {
        MANUAL: {"count": 3, "labels": {"face": 2, "sign": 1}, "best": 1.0, "boxes": clipped}
    }
    assert boxes.found([], 100, 50) == {MANUAL: {"count": 0, "labels": {}, "best": 0.0, "boxes": []}}


@pytest.mark.parametrize("box", [(100, 0, 120, 20), (0, 50, 10, 60), (-20, 0, 0, 10), (0, -9, 9, 0)])
def test_a_box_beside_the_picture_rejects_it(box: tuple[float, ...]) -> None:
    with pytest.raises(Rejected, match=r"box 2 that people gave.* outside of its 100 x 50 pixels") as verdict:
        boxes.found([FACE, ManualBox("face", *box)], 100, 50)
    assert verdict.value.code == "box-outside"


def test_names_that_sort_before_letters_are_in_order_and_the_refusal_names_the_municipality(
    directory_store: Store, tmp_path: Path
) -> None:
    table = [boxes.Marked(image=name) for name in ("!.jpg", "001.jpg", "A.jpg")]
    boxes.write(directory_store, "Demo", table, tmp_path)

    assert boxes.download(directory_store, "Demo", path := tmp_path / "copy.jsonl")
    assert list(boxes.read(path)) == table
    assert "nobody gave boxes for Demo" in boxes.nobody("Demo")
