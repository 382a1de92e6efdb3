"""Rotate turns clockwise; quarters move pixels and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import photographs

from imgflow_steps.contract.sample import Sample
from imgflow_steps.rotate import STEP, Rotate

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels


def rotated(pixels: Pixels, **params: Any) -> Pixels:
    [sample] = STEP.build(Rotate(**params))(Sample(pixels))
    return sample.pixels


def photograph(mode: str = "RGB") -> Pixels:
    return np.asarray(photographs.pixels(1, 90, 60).convert(mode)).reshape(60, 90, -1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("degrees", [-360, -270, -180, -90, 0, 90, 180, 270, 360])
def test_quarters_of_a_turn_are_exact(mode: str, degrees: int) -> None:
    np.testing.assert_array_equal(
        rotated(photograph(mode), degrees=degrees), np.rot90(photograph(mode), -degrees // 90)
    )


def test_it_turns_clockwise() -> None:
    corner = np.zeros((50, 50, 1), np.uint8)
    corner[:10, :10] = 255
    assert rotated(corner)[:10, -10:].min() == 255
    assert rotated(corner, degrees=89.5)[2:8, -10:-4].min() > 200


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize(("fill", "level"), [("black", 0), ("gray", 128), ("white", 255)])
def test_room_is_made_for_the_corners_and_filled(mode: str, fill: str, level: int) -> None:
    after = rotated(photograph(mode), degrees=45, fill=fill)
    assert after.shape[0] == pytest.approx((90 + 60) / 2**0.5, abs=2)
    assert after.shape[1] == pytest.approx((90 + 60) / 2**0.5, abs=2)
    alpha = [255] if mode.endswith("A") else []
    assert after[0, 0].tolist() == [level] * (after.shape[2] - len(alpha)) + alpha


@given(degrees=st.floats(-360, 360))
def test_without_room_the_size_stays(degrees: float) -> None:
    assert rotated(photograph("L"), degrees=degrees, expand=False).shape == (60, 90, 1)


def test_a_quarter_without_room_keeps_the_middle() -> None:
    after = rotated(photograph(), degrees=90, expand=False, fill="white")
    np.testing.assert_array_equal(after[:, 15:75], np.rot90(photograph(), -1)[15:75])
    assert after[:, :15].min() == after[:, 75:].min() == 255


def test_only_a_whole_turn_is_idle() -> None:
    assert [d for d in (-360, -90, 0, 0.5, 360) if STEP.idle(Rotate(degrees=d))] == [-360, 0, 360]
