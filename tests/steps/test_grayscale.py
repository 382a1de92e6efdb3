"""Grayscale keeps luma and alpha, and leaves grey pictures alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests import photographs

from imgflow_steps.contract.sample import Sample
from imgflow_steps.grayscale import STEP, Grayscale

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

apply = STEP.build(Grayscale())
COLOUR = np.asarray(photographs.pixels(9, 50, 30))


def grey(pixels: Pixels) -> Pixels:
    [sample] = apply(Sample(pixels))
    return sample.pixels


def test_luma_is_that_of_bt_601() -> None:
    expected = COLOUR @ np.array([0.299, 0.587, 0.114])
    after = grey(COLOUR)
    assert after.shape == (30, 50, 1)
    assert after.flags.c_contiguous
    assert np.abs(after[:, :, 0] - expected).max() <= 0.51


@pytest.mark.parametrize(("colour", "luma"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((9, 9, 9), 9)])
def test_known_colours_have_their_known_luma(colour: tuple[int, int, int], luma: int) -> None:
    assert grey(np.array([[colour]], np.uint8)).tolist() == [[[luma]]]


def test_alpha_stays_beside_luma() -> None:
    alpha = np.arange(30 * 50, dtype=np.uint8).reshape(30, 50, 1)
    after = grey(np.concatenate([COLOUR, alpha], axis=2))
    np.testing.assert_array_equal(after, np.concatenate([grey(COLOUR), alpha], axis=2))


@pytest.mark.parametrize("channels", [1, 2])
def test_grey_pictures_pass_untouched(channels: int) -> None:
    sample = Sample(COLOUR[:, :, :channels].copy())
    assert list(apply(sample)) == [sample]


def test_what_is_known_of_a_sample_stays_with_it() -> None:
    [after] = apply(Sample(COLOUR, "left", {"label": "roof"}))
    assert (after.piece, after.found) == ("left", {"label": "roof"})
