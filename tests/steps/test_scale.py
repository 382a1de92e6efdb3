"""Scale brings a picture into its box and changes nothing else about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from tests import photographs

from imgflow_steps.contract.sample import Sample
from imgflow_steps.scale import STEP, Scale

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels


def scaled(pixels: Pixels, **params: Any) -> Pixels:
    [sample] = STEP.build(Scale(**params))(Sample(pixels))
    return sample.pixels


def photograph(mode: str, width: int = 200, height: int = 120) -> Pixels:
    image = photographs.pixels(1, width, height).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    return np.asarray(image).reshape(height, width, -1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"width": 50, "height": 50}, (50, 30)),
        ({"width": 50, "height": 50, "mode": "cover"}, (50, 50)),
        ({"width": 50, "height": 50, "mode": "exact"}, (50, 50)),
        ({"width": 400, "height": 400, "enlarge": True}, (400, 240)),
    ],
)
def test_every_kind_of_picture_comes_to_its_size(mode: str, params: dict[str, Any], size: tuple[int, int]) -> None:
    before = photograph(mode)
    after = scaled(before, **params)
    assert after.shape == (size[1], size[0], before.shape[2])
    assert after.dtype == np.uint8
    assert after.flags.c_contiguous


def test_a_picture_inside_its_box_stays_as_it_is() -> None:
    before = photograph("RGB")
    np.testing.assert_array_equal(scaled(before, width=200, height=500), before)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_too_small_to_cover_is_cut_in_its_middle_and_not_resampled(mode: str) -> None:
    before = photograph(mode)
    np.testing.assert_array_equal(scaled(before, width=100, height=300, mode="cover"), before[:, 50:150])


def test_cover_keeps_the_middle() -> None:
    stripes = np.zeros((100, 300, 1), np.uint8)
    stripes[:, 100:200] = 255
    assert scaled(stripes, width=50, height=50, mode="cover")[:, 5:45].min() == 255


@pytest.mark.parametrize("size", [(60, 60), (100, 100), (140, 140)])
def test_a_result_is_that_of_one_good_filter_but_for_noise(size: tuple[int, int]) -> None:
    before = scaled(photograph("L", 250, 250), width=1000, height=1000, enlarge=True)  # as soft as a lens draws
    best = Image.fromarray(before[:, :, 0]).resize(size, Image.Resampling.LANCZOS)
    error = np.mean((scaled(before, width=size[0], height=size[1])[:, :, 0].astype(float) - np.asarray(best)) ** 2)
    assert 10 * np.log10(255**2 / max(error, 1e-9)) > 50


def test_colour_hidden_under_full_transparency_does_not_bleed() -> None:
    before = np.zeros((40, 40, 4), np.uint8)
    before[:, :20] = (0, 0, 255, 255)
    before[:, 20:] = (255, 0, 0, 0)
    after = scaled(before, width=5, height=5)
    seen = after[after[:, :, 3] > 0]
    assert seen[:, 0].max() == 0
    assert seen[:, 2].min() >= 250


@pytest.mark.parametrize("source", [(1, 1), (1, 65_535), (65_535, 1)])
@pytest.mark.parametrize("mode", ["fit", "cover", "exact"])
@pytest.mark.parametrize("enlarge", [False, True])
def test_the_thinnest_pictures_keep_a_pixel(source: tuple[int, int], mode: str, enlarge: bool) -> None:
    after = scaled(np.full((*source, 3), 77, np.uint8), width=64, height=48, mode=mode, enlarge=enlarge)
    assert 1 <= after.shape[0] <= 48
    assert 1 <= after.shape[1] <= 64
    assert np.unique(after).tolist() == [77]


def test_what_is_known_of_a_sample_stays_with_it() -> None:
    [after] = STEP.build(Scale(width=10, height=10))(Sample(photograph("L"), "left-2", {"label": "roof"}))
    assert (after.piece, after.found) == ("left-2", {"label": "roof"})
