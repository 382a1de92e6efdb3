"""Normalize spreads levels over all there are; every method is a table that never reverses an order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests import photographs

from imgflow_steps.contract.sample import Sample
from imgflow_steps.normalize import STEP, Normalize
from imgflow_steps.normalize.work import METHODS, table

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

every_method = pytest.mark.parametrize("method", METHODS)
histograms = st.lists(st.integers(0, 10_000), min_size=256, max_size=256)


def normalized(pixels: Pixels, **params: Any) -> Pixels:
    [sample] = STEP.build(Normalize(**params))(Sample(pixels))
    return sample.pixels


def dull(mode: str = "RGB") -> Pixels:
    image = photographs.pixels(1, 90, 60).point([60 + v // 3 for v in range(256)] * 3).convert(mode)
    return np.asarray(image).reshape(60, 90, -1)


@given(counts=histograms, method=st.sampled_from(sorted(METHODS)))
def test_a_table_has_256_levels_and_reverses_no_order(counts: list[int], method: str) -> None:
    levels = table(counts, Normalize.model_validate({"method": method}))
    assert len(levels) == 256
    assert levels == sorted(levels)
    assert 0 <= levels[0] <= levels[-1] <= 255


@every_method
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", ["together", "each"])
def test_a_dull_picture_gains_contrast_and_keeps_alpha(method: str, mode: str, channels: str) -> None:
    before = dull(mode)
    after = normalized(before, method=method, channels=channels)
    colours = before.shape[2] - mode.endswith("A")
    assert after.shape == before.shape
    assert after[:, :, :colours].std() > 1.3 * before[:, :, :colours].std()
    np.testing.assert_array_equal(after[:, :, colours:], before[:, :, colours:])


def test_minmax_reaches_both_ends() -> None:
    after = normalized(dull("L"), method="minmax")
    assert (after.min(), after.max()) == (0, 255)


def test_percentile_is_not_misled_by_a_few_pixels() -> None:
    before = dull("L").copy()
    before[0, :2] = (0,), (255,)
    assert normalized(before, method="minmax")[1:].std() < 0.6 * normalized(before, method="percentile")[1:].std()


def test_zscore_puts_the_mean_in_the_middle() -> None:
    assert normalized(dull("L"), method="zscore").mean() == pytest.approx(127.5, abs=1)


def test_equalize_makes_every_level_as_often() -> None:
    before = dull("L")
    ours = normalized(before, method="equalize")[:, :, 0].astype(int)
    theirs = np.asarray(ImageOps.equalize(Image.fromarray(before[:, :, 0]))).astype(int)
    assert np.abs(ours - theirs).max() <= 6
    assert (ours.min(), ours.max()) == (0, 255)


def test_together_keeps_grey_grey_and_each_takes_a_cast_away() -> None:
    cast = np.stack([dull("L")[:, :, 0] + 40, dull("L")[:, :, 0], dull("L")[:, :, 0]], -1)
    together, each = (normalized(cast, method="minmax", channels=c).astype(int) for c in ("together", "each"))
    assert (together[:, :, 0] - together[:, :, 1]).min() > 30
    np.testing.assert_array_equal(each[:, :, 0], each[:, :, 1])


@every_method
def test_a_flat_picture_stays_as_it_is(method: str) -> None:
    flat = np.full((8, 8, 3), 90, np.uint8)
    np.testing.assert_array_equal(normalized(flat, method=method), flat)


def test_what_is_transparent_counts_for_nothing() -> None:
    before = np.dstack([dull("L")[:, :, 0], np.full((60, 90), 255, np.uint8)])
    before[0] = 255, 0
    seen = normalized(before[1:, :, :1], method="minmax")
    np.testing.assert_array_equal(normalized(before, method="minmax")[1:, :, :1], seen)
