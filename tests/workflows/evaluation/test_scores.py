"""Boxes against boxes: by hand, and against slower ways to the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.records.findings import Box
from imgflow_workflows.evaluation.scores import (
    Scores,
    Truth,
    average_precision,
    matched,
    overlap,
    share_covered,
)


def box(x: float, y: float, w: float, h: float, label: str = "face", score: float = 1.0) -> Box:
    return Box(label, score, x, y, w, h)


@pytest.mark.parametrize(
    ("scored", "there", "ap"),
    [
        ([(0.9, True)], 1, 1.0),
        ([], 3, 0.0),
        ([(0.9, False)], 0, None),
        ([(0.9, False), (0.8, True)], 1, 0.5),
        # recalls 1/2, 1/2, 1 at precisions 1, 1/2, 2/3: 51 recalls up to 0.5 at 1, 50 beyond at 2/3
        ([(0.9, True), (0.8, False), (0.7, True)], 2, (51 + 50 * 2 / 3) / 101),
        # one of four is found: recalls 0 to 0.25 are 26
        ([(0.9, True)], 4, 26 / 101),
        # given in another order
        ([(0.7, True), (0.9, True), (0.8, False)], 2, (51 + 50 * 2 / 3) / 101),
    ],
)
def test_average_precision_is_what_the_hand_computes(
    scored: list[tuple[float, bool]], there: int, ap: float | None
) -> None:
    assert average_precision(scored, there) == (None if ap is None else pytest.approx(ap))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=30), st.integers(0, 5))
def test_average_precision_is_the_best_precision_at_each_of_101_recalls(
    said: list[tuple[int, bool]], missed: int
) -> None:
    there = sum(hit for _, hit in said) + missed
    ranked = sorted(said, key=lambda one: -one[0])
    right = [sum(hit for _, hit in ranked[: n + 1]) for n in range(len(ranked))]
    best = [
        max((right[n] / (n + 1) for n in range(len(ranked)) if right[n] / there >= i / 100), default=0.0)
        for i in range(101 if there else 0)
    ]

    assert average_precision([(float(s), hit) for s, hit in said], there) == (
        pytest.approx(sum(best) / 101) if there else None
    )


@pytest.mark.parametrize(
    ("other", "shared"),
    [((0, 0, 10, 10), 1), ((5, 0, 10, 10), 1 / 3), ((10, 0, 10, 10), 0), ((2, 2, 5, 5), 0.25), ((20, 20, 1, 1), 0)],
)
def test_overlap_is_intersection_over_union(other: tuple[int, int, int, int], shared: float) -> None:
    assert overlap(box(0, 0, 10, 10), box(*other)) == pytest.approx(shared)


def test_the_most_certain_box_takes_the_one_that_it_overlaps_most_and_none_is_taken_twice() -> None:
    there = [box(0, 0, 10, 10), box(4, 0, 10, 10)]

    assert matched([box(3, 0, 10, 10), box(4, 0, 10, 10), box(0, 0, 10, 10)], there, 0.5) == [1, -1, 0]
    assert matched([box(5, 0, 10, 10)], [box(0, 0, 10, 10)], 1 / 3) == [0]
    assert matched([box(5, 0, 10, 10)], [box(0, 0, 10, 10)], 0.34) == [-1]


def scores(found: list[Box], there: list[Box], covers: list[Box] | None = None) -> Scores:
    made = Scores()
    made.add(found, [Truth(one) for one in there], covers or [])
    return made


def test_a_thing_of_another_label_is_wrong_and_told_as_taken_for_it() -> None:
    made = scores(
        [box(0, 0, 10, 10, "face", 0.9), box(50, 0, 10, 10, "sign", 0.8), box(90, 0, 10, 10, "face", 0.7)],
        [box(0, 0, 10, 10, "face"), box(50, 0, 10, 10, "plate"), box(0, 80, 10, 10, "plate")],
    )

    assert dict(made.confusion) == {
        ("face", "face"): 1,
        ("plate", "sign"): 1,
        ("plate", ""): 1,
        ("", "face"): 1,
    }
    assert (made.labels["face"].precision, made.labels["face"].recall) == (0.5, 1.0)
    assert (made.labels["sign"].precision, made.labels["sign"].recall) == (0.0, None)
    assert (made.labels["plate"].precision, made.labels["plate"].fn) == (None, 2)
    assert made.mean_ap == pytest.approx(0.5)  # of face and plate; nobody says that there is a sign


def test_two_boxes_for_one_thing_are_one_right_and_one_wrong() -> None:
    made = scores([box(0, 0, 10, 10, score=0.9), box(1, 0, 10, 10, score=0.8)], [box(0, 0, 10, 10)])

    assert (made.whole.tp, made.whole.fp, made.whole.fn) == (1, 1, 0)


def test_what_lies_in_a_crowd_is_neither_right_nor_wrong() -> None:
    made = Scores()
    crowd = Truth(box(0, 0, 100, 100), crowd=True)
    made.add([box(10, 10, 5, 5), box(98, 0, 10, 10), box(10, 30, 5, 5, "plate")], [crowd])

    assert (made.labels["face"].truth, made.labels["face"].fp) == (0, 1)
    assert made.labels["plate"].fp == 1


def test_misses_are_told_by_the_side_of_what_is_there() -> None:
    there = [box(0, 0, 15.9, 15.9), box(100, 0, 16, 16), box(200, 0, 8, 128), box(400, 0, 96, 96)]

    made = scores([box(100, 0, 16, 16)], there)

    assert {i: (side["truth"], side["fn"]) for i, side in made.sides.items()} == {
        0: (1, 1),
        1: (1, 0),
        2: (1, 1),
        3: (1, 1),
    }


def test_what_is_covered_need_not_have_been_found() -> None:
    there = [box(0, 0, 10, 10), box(100, 0, 10, 10)]

    made = scores([], there, [box(-1, 0, 6, 10), box(4, 0, 20, 9.6), box(100, 0, 9, 10)])

    assert (made.whole.covered, made.whole.fn) == (1, 2)


SMALL: Any = st.builds(
    box, st.integers(0, 12), st.integers(0, 12), st.integers(1, 9), st.integers(1, 9), label=st.sampled_from("ab")
)


@given(SMALL, st.lists(SMALL, max_size=6))
def test_the_share_that_is_covered_is_the_share_of_its_pixels(one: Box, covers: list[Box]) -> None:
    picture = np.zeros((30, 30), bool)
    for x, y, w, h in (map(int, cover[2:]) for cover in covers):
        picture[y : y + h, x : x + w] = True
    x, y, w, h = map(int, one[2:])

    assert share_covered(one, covers) == pytest.approx(picture[y : y + h, x : x + w].mean())


@given(st.lists(SMALL, max_size=8), st.lists(SMALL, max_size=8))
def test_counts_add_up_and_no_box_counts_twice(found: list[Box], there: list[Box]) -> None:
    made = scores([one._replace(score=i / 10) for i, one in enumerate(found)], there)

    whole = made.whole
    assert whole.tp + whole.fp == len(found)
    assert whole.tp + whole.fn == len(there)
    assert sum(n for (_, named), n in made.confusion.items() if named) == len(found)
    assert sum(n for (real, _), n in made.confusion.items() if real) == len(there)
    assert sum(side["fn"] for side in made.sides.values()) == whole.fn
