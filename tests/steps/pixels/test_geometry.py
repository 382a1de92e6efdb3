"""Which part of an image becomes how large: inside the box, never larger unless asked, never distorted unless asked."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imgflow_steps.contract.step import Target
from imgflow_steps.pixels.geometry import place

sides = st.integers(1, 70_000)
large = st.integers(10_000, 70_000)


def targets_of(sides: st.SearchStrategy[int]) -> st.SearchStrategy[Target]:
    return st.builds(Target, sides, sides, st.sampled_from(["fit", "cover", "exact"]))


targets = targets_of(sides)


@pytest.mark.parametrize(
    ("source", "target", "enlarge", "size", "box"),
    [
        ((4000, 3000), Target(1024, 768), False, (1024, 768), (0, 0, 4000, 3000)),
        ((3000, 4000), Target(1024, 768), False, (576, 768), (0, 0, 3000, 4000)),
        ((800, 600), Target(1024, 768), False, (800, 600), (0, 0, 800, 600)),
        ((800, 600), Target(1024, 768), True, (1024, 768), (0, 0, 800, 600)),
        ((1, 65_535), Target(1024, 768), False, (1, 768), (0, 0, 1, 65_535)),
        ((4000, 3000), Target(500, 500, "cover"), False, (500, 500), (500, 0, 3500, 3000)),
        ((800, 300), Target(400, 400, "cover"), False, (400, 300), (200, 0, 600, 300)),
        ((800, 300), Target(400, 400, "cover"), True, (400, 400), (250, 0, 550, 300)),
        ((4000, 3000), Target(100, 100, "exact"), False, (100, 100), (0, 0, 4000, 3000)),
        ((4000, 50), Target(100, 100, "exact"), False, (100, 50), (0, 0, 4000, 50)),
        ((4000, 50), Target(100, 100, "exact"), True, (100, 100), (0, 0, 4000, 50)),
    ],
)
def test_a_box_takes_an_image_as_described(
    source: tuple[int, int], target: Target, enlarge: bool, size: tuple[int, int], box: tuple[float, ...]
) -> None:
    placement = place(*source, target, enlarge=enlarge)
    assert ((placement.width, placement.height), placement.box) == (size, box)


@given(width=sides, height=sides, target=targets, enlarge=st.booleans())
def test_a_result_has_pixels_lies_in_the_box_and_comes_from_inside_the_image(
    width: int, height: int, target: Target, enlarge: bool
) -> None:
    placement = place(width, height, target, enlarge=enlarge)
    left, upper, right, lower = placement.box
    assert 0 <= left < right <= width
    assert 0 <= upper < lower <= height
    if target.mode != "fit" or enlarge or (width > target.width or height > target.height):
        assert 1 <= placement.width <= target.width
        assert 1 <= placement.height <= target.height
    else:
        assert (placement.width, placement.height) == (width, height)


@given(width=sides, height=sides, target=targets)
def test_nothing_is_enlarged_unless_asked(width: int, height: int, target: Target) -> None:
    placement = place(width, height, target)
    assert placement.width <= width
    assert placement.height <= height
    assert placement.reduction >= 1 - 1e-9


@given(width=sides, height=sides, target=targets)
def test_fit_keeps_proportions_to_half_a_pixel(width: int, height: int, target: Target) -> None:
    placement = place(width, height, Target(target.width, target.height))
    scale = min(1, target.width / width, target.height / height)
    assert abs(placement.width - max(1, width * scale)) <= 0.5 + 1e-6
    assert abs(placement.height - max(1, height * scale)) <= 0.5 + 1e-6


@given(width=sides, height=sides, target=targets, enlarge=st.booleans())
def test_an_image_on_its_side_is_placed_alike(width: int, height: int, target: Target, enlarge: bool) -> None:
    upright = place(width, height, target, enlarge=enlarge)
    lying = place(height, width, Target(target.height, target.width, target.mode), enlarge=enlarge)
    assert (upright.width, upright.height) == (lying.height, lying.width)
    assert upright.box == (lying.box[1], lying.box[0], lying.box[3], lying.box[2])


@given(
    width=sides | large,
    height=sides | large,
    choice=st.integers(0, 2),
    target=targets_of(sides | st.integers(1, 2_000)),
)
def test_an_image_reduced_beforehand_ends_at_the_same_size(
    width: int, height: int, choice: int, target: Target
) -> None:
    before = place(width, height, target)
    possible = [by for by in (2, 4, 8) if by <= before.reduction]
    assume(possible)
    by = possible[choice % len(possible)]
    after = place(width / by, height / by, target)
    assert (after.width, after.height) == (before.width, before.height)
    assert [side * by for side in after.box] == pytest.approx(before.box, abs=by)
