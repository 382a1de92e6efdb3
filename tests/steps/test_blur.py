"""Blur takes detail out, keeps the size, and never lets transparent pixels give colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests import photographs

from imgflow_steps.blur import STEP, Blur
from imgflow_steps.contract.sample import Sample

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

KINDS = ["gaussian", "updownsampling", "bilateral", "median"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def blurred(pixels: Pixels, **params: Any) -> Pixels:
    [sample] = STEP.build(Blur(**params))(Sample(pixels))
    return sample.pixels


def noisy(mode: str = "RGB") -> Pixels:
    image = photographs.pixels(1, 90, 60).convert(mode)
    return np.asarray(image).reshape(60, 90, -1)


def detail(pixels: Pixels) -> float:
    """How much neighbours differ, on average."""
    return float(np.abs(np.diff(pixels[:, :, 0].astype(int))).mean())


@every_kind
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_kind_of_picture_keeps_its_size_and_loses_detail(kind: str, mode: str) -> None:
    before = noisy(mode)
    after = blurred(before, kind=kind)
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert (
        np.abs(np.diff(after[:, :, 0].astype(int))).mean() < 0.9 * np.abs(np.diff(before[:, :, 0].astype(int))).mean()
    )


@every_kind
def test_a_flat_picture_stays_flat(kind: str) -> None:
    assert np.unique(blurred(np.full((20, 30, 3), 77, np.uint8), kind=kind, radius=4)).tolist() == [77]


@every_kind
def test_more_radius_is_more_blur(kind: str) -> None:
    before = noisy("L").astype(int)
    little, much = (np.abs(blurred(noisy("L"), kind=kind, radius=r, edge=255) - before).mean() for r in (1, 5))
    assert little < much


@pytest.mark.parametrize("kind", ["bilateral", "median"])
def test_an_edge_stays_where_it_is_told_to(kind: str) -> None:
    edge = np.zeros((20, 20, 1), np.uint8)
    edge[:, 10:] = 255
    np.testing.assert_array_equal(blurred(edge, kind=kind, radius=3), edge)


def test_a_speck_vanishes_from_a_median() -> None:
    speck = np.zeros((9, 9, 1), np.uint8)
    speck[4, 4] = 255
    assert blurred(speck, kind="median", radius=1).max() == 0


@every_kind
def test_colour_hidden_under_full_transparency_does_not_bleed(kind: str) -> None:
    before = np.zeros((40, 40, 4), np.uint8)
    before[:, :20] = (0, 0, 255, 255)
    before[:, 20:] = (255, 0, 0, 0)
    after = blurred(before, kind=kind, radius=3, edge=255)
    assert after[after[:, :, 3] > 0][:, 0].max() == 0


@every_kind
@pytest.mark.parametrize("shape", [(1, 1), (1, 70_000), (70_000, 1)], ids=str)
def test_the_thinnest_pictures_are_blurred(kind: str, shape: tuple[int, int]) -> None:
    assert blurred(np.full((*shape, 3), 9, np.uint8), kind=kind).shape == (*shape, 3)


def test_only_kinds_that_add_pixels_up_may_work_on_luma() -> None:
    assert [kind for kind in KINDS if STEP.keeps_luma(Blur.model_validate({"kind": kind}))] == KINDS[:2]
