"""Two runs side by side: what differs, by how much, and what that is measured by."""

from __future__ import annotations

import hashlib
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests import photographs

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.row import Published, Row, Status
from imgflow_steps.records.run import Run
from imgflow_steps.store import NotFoundError, Store
from imgflow_workflows.results.diff import Change, Comparison, compare, mean_absolute_error
from imgflow_workflows.results.diff_page import page

ONE, OTHER = (Run(id=name, municipality="Utrecht", pipeline=parse({"steps": ["grayscale"]})) for name in ("a", "b"))


def png(pixels: Any) -> bytes:
    out = BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(out, "PNG")
    return out.getvalue()


def grey(level: int, side: int = 8) -> bytes:
    return png(np.full((side, side), level))


def row(image: str, *data: bytes, found: dict[str, Any] | None = None) -> Row:
    outputs = []
    for number, one in enumerate(data):
        side = Image.open(BytesIO(one)).size
        sha256 = hashlib.sha256(one).hexdigest()
        piece = f"p{number}" if len(data) > 1 else ""
        key = f"pictures/{sha256}"
        outputs.append(Published(key=key, sha256=sha256, width=side[0], height=side[1], piece=piece, found=found or {}))
    return Row(image=image, version="v1", outputs=outputs)


def rejected(image: str, code: str = "truncated") -> Row:
    return Row(image=image, version="v1", status=Status.REJECTED, code=code)


def ended(store: Store, run: Run, *rows: Row, pictures: tuple[bytes, ...] = ()) -> None:
    for one in pictures:
        store.write(f"pictures/{hashlib.sha256(one).hexdigest()}", one)
    lines = sorted(rows, key=lambda one: one.image.encode())
    store.write(keys.results_jsonl(run.id), b"".join(one.model_dump_json().encode() + b"\n" for one in lines))


def run(store: Store, *, worst: int = 10, levels: float = 0) -> Comparison:
    return compare(store, ONE, OTHER, worst=worst, levels=levels, tell=lambda so_far, difference: None)


def test_each_picture_that_differs_is_told_with_how_and_by_how_much(store: Store) -> None:
    small, large, dark, light = grey(10, 4), grey(10, 8), grey(10), grey(13)
    pictures = (small, large, dark, light)
    ended(
        store,
        ONE,
        *(row("brighter.jpg", dark), row("larger.jpg", small), row("gone.jpg", dark), row("same.jpg", dark)),
        *(row("worse.jpg", dark), rejected("bad.jpg"), row("pieces.jpg", dark, dark)),
        pictures=pictures,
    )
    ended(
        store,
        OTHER,
        *(row("brighter.jpg", light), row("larger.jpg", large), row("new.jpg", dark), row("same.jpg", dark)),
        *(rejected("worse.jpg"), rejected("bad.jpg"), row("pieces.jpg", dark, light)),
    )

    comparison = run(store)

    told = {f"{one.image}{one.piece}": (one.change, one.said, one.error) for one in comparison.worst}
    assert told == {
        "brighter.jpg": (Change.PIXELS, "", 3.0),
        "larger.jpg": (Change.SIZE, "8x8, was 4x4", 0.0),
        "gone.jpg": (Change.REMOVED, "processed", 0.0),
        "new.jpg": (Change.ADDED, "processed", 0.0),
        "worse.jpg": (Change.VERDICT, "rejected: truncated, was processed", 0.0),
        "pieces.jpgp1": (Change.PIXELS, "", 3.0),
    }
    assert (comparison.pictures, comparison.same, comparison.neither) == (8, 2, 1)
    assert sum(comparison.changes.values()) == 6


def test_pictures_of_the_same_hash_are_not_even_read(directory_store: Store) -> None:
    ended(directory_store, ONE, row("a.jpg", grey(1)), row("b.jpg", grey(2)))
    ended(directory_store, OTHER, row("a.jpg", grey(1)), row("b.jpg", grey(2)))

    assert (run(directory_store).same, run(directory_store).worst) == (2, [])


def test_other_bytes_of_the_same_pixels_are_no_difference_in_pixels(directory_store: Store) -> None:
    out = BytesIO()
    Image.open(BytesIO(grey(7))).save(out, "PNG", compress_level=0)
    ended(directory_store, ONE, row("a.jpg", grey(7)), pictures=(grey(7), out.getvalue()))
    ended(directory_store, OTHER, row("a.jpg", out.getvalue()))

    comparison = run(directory_store)

    assert comparison.changes == {Change.BYTES: 1}
    assert comparison.over == 0


@pytest.mark.parametrize(
    ("was", "now", "said", "score", "over"),
    [
        ({"sharp": 0.5, "size": {"x": 1}}, {"sharp": 0.25, "size": {"x": 2}}, "size.x 2, was 1", 1.0, 0),
        ({"label": "good", "p": 1.0}, {"label": "dark", "p": 0.0}, "label dark, was good", 1.0, 1),
        ({}, {"sharp": 0.5}, "sharp is only in the second", 0.0, 0),
        ({"blurred": True}, {"blurred": False}, "blurred False, was True", 0.0, 1),
    ],
)
def test_other_findings_of_the_same_picture_are_told(
    directory_store: Store, was: dict[str, Any], now: dict[str, Any], said: str, score: float, over: int
) -> None:
    ended(directory_store, ONE, row("a.jpg", grey(1), found=was))
    ended(directory_store, OTHER, row("a.jpg", grey(1), found=now))

    comparison = run(directory_store)

    [one] = comparison.worst
    assert (one.change, one.said, one.score, comparison.over) == (Change.FOUND, said, score, over)


def test_the_worst_come_first_and_what_cannot_be_measured_before_them(directory_store: Store) -> None:
    levels = {"a": 5, "b": 200, "c": 1, "d": 90}
    pictures = (grey(0), *map(grey, levels.values()))
    ended(directory_store, ONE, *(row(name, grey(0)) for name in levels), row("z", grey(0)), pictures=pictures)
    ended(directory_store, OTHER, *(row(name, grey(level)) for name, level in levels.items()))

    comparison = run(directory_store, worst=3, levels=5)

    assert [one.image for one in comparison.worst] == ["z", "b", "d"]
    assert comparison.over == 3
    assert comparison.changes == {Change.PIXELS: 4, Change.REMOVED: 1}


def test_a_picture_that_is_gone_or_damaged_is_told_and_the_others_are_compared(directory_store: Store) -> None:
    ended(directory_store, ONE, row("a", grey(1)), row("b", grey(2)), row("c", grey(3)), pictures=(grey(2), grey(3)))
    ended(directory_store, OTHER, row("a", grey(9)), row("b", grey(8)), row("c", grey(7)), pictures=(grey(8), grey(9)))
    directory_store.write(f"pictures/{hashlib.sha256(grey(8)).hexdigest()}", b"damaged")

    comparison = run(directory_store)

    assert comparison.changes == {Change.UNREADABLE: 3}


def test_a_picture_at_a_damaged_place_of_the_disk_is_told_and_the_others_are_compared(directory_store: Store) -> None:
    ended(directory_store, ONE, row("a.jpg", grey(7)), row("b.jpg", grey(1)), pictures=(grey(7), grey(1)))
    ended(directory_store, OTHER, row("a.jpg", grey(8)), row("b.jpg", grey(3)), pictures=(grey(8), grey(3)))
    place = Path(directory_store.url, row("a.jpg", grey(7)).outputs[0].key)
    place.unlink()
    place.symlink_to(place)  # as a fault of the disk, it is one of this file

    comparison = run(directory_store)

    assert comparison.changes == {Change.UNREADABLE: 1, Change.PIXELS: 1}
    assert b"cannot be read" in page(directory_store, ONE, OTHER, comparison)


def test_the_error_is_the_mean_over_pixels_and_channels_whatever_those_are() -> None:
    black, white = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 3), 255, np.uint8)
    one = np.zeros((2, 2, 3), np.uint8)
    one[0, 0, 0] = 12

    assert mean_absolute_error(black, white) == 255
    assert mean_absolute_error(one, black) == 1
    assert mean_absolute_error(np.full((2, 2, 2), 255, np.uint8), white) == 0  # all of it opaque


def test_a_run_without_results_is_not_found(store: Store) -> None:
    ended(store, ONE, row("a", grey(1)))

    with pytest.raises(NotFoundError):
        run(store)


def test_memory_does_not_grow_with_the_number_of_images(directory_store: Store) -> None:
    names = [f"{'n' * 200}{i}" for i in range(10_000)]
    ended(directory_store, ONE, *(rejected(name) for name in names))
    ended(directory_store, OTHER, *(rejected(name, "empty") for name in names))
    tracemalloc.start()
    try:
        comparison = run(directory_store)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert comparison.changes == {Change.VERDICT: 10_000}
    assert len(comparison.worst) == 10
    assert peak < 4_000_000  # the names alone would take as much, their rows several times that


def test_the_page_shows_the_worst_in_one_file_and_obeys_no_name(directory_store: Store) -> None:
    name = '<img src="thumbs/00000.jpg" onerror=x>.jpg'
    pictures = tuple(photographs.jpeg(i) for i in range(3))
    ended(directory_store, ONE, row("a.jpg", pictures[0]), row(name, pictures[0]), pictures=pictures)
    ended(directory_store, OTHER, row("a.jpg", pictures[1]), row("new.jpg", pictures[2]))

    html = page(directory_store, ONE, OTHER, run(directory_store)).decode()

    assert html.count("data:image/jpeg;base64,") == 5  # first, second and difference; and one of each of the others
    assert "<img src=&quot;" not in html
    assert "&#60;img src=" in html
    assert "thumbs/00000.jpg&#34; onerror" in html
    assert "<script" not in html
    assert 'href="style.css"' not in html


def test_a_page_of_runs_that_do_not_differ_says_so(directory_store: Store, tmp_path: Path) -> None:
    ended(directory_store, ONE, row("a", grey(1)))
    ended(directory_store, OTHER, row("a", grey(1)))

    html = page(directory_store, ONE, OTHER, run(directory_store)).decode()

    assert "the same" in html
    assert "differ most" not in html
