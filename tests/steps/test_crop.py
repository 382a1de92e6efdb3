"""Crop keeps a part of a picture and does not touch it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.crop import STEP, Crop
from imgflow_steps.crop.work import box

PICTURE = np.arange(80 * 60 * 3).astype(np.uint8).reshape(60, 80, 3)


@pytest.mark.parametrize(
    ("params", "kept"),
    [
        ({}, (10, 0, 70, 60)),
        ({"aspect": "16:9"}, (0, 7, 80, 52)),
        ({"aspect": "1:99999"}, (39, 0, 40, 60)),
        ({"width": 40, "height": 20}, (20, 20, 60, 40)),
        ({"width": 40}, (20, 0, 60, 60)),
        ({"height": 20, "aspect": "2:1"}, (0, 20, 80, 40)),
        ({"width": 40, "height": 20, "left": 5, "top": 0}, (5, 0, 45, 20)),
        ({"width": 40, "height": 20, "left": 70, "top": 50}, (70, 50, 80, 60)),
        ({"width": 400, "height": 20}, (0, 20, 80, 40)),
    ],
    ids=str,
)
def test_the_box_that_is_kept(params: dict[str, Any], kept: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = kept
    [sample] = STEP.build(Crop(**params))(Sample(PICTURE))
    assert box(80, 60, Crop(**params)) == kept
    np.testing.assert_array_equal(sample.pixels, PICTURE[top:bottom, left:right])
    assert sample.pixels.flags.c_contiguous


@given(
    width=st.integers(1, 70_000),
    height=st.integers(1, 70_000),
    wide=st.integers(1, 99_999),
    high=st.integers(1, 99_999),
)
def test_some_proportions_fit_into_every_picture(width: int, height: int, wide: int, high: int) -> None:
    left, top, right, bottom = box(width, height, Crop(aspect=f"{wide}:{high}"))
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    assert right - left == width or bottom - top == height


def test_a_box_beside_the_picture_is_rejected() -> None:
    with pytest.raises(Rejected) as verdict:
        STEP.build(Crop(width=10, height=10, left=80, top=0))(Sample(PICTURE))
    assert verdict.value.code == "outside"
