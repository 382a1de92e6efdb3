"""Augment makes variants by chance; the same seed makes the same ones, whatever else happens and wherever."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import photographs

from imgflow_steps.augment import STEP, Augment, pieces
from imgflow_steps.augment.work import Chance, affine
from imgflow_steps.contract.sample import Sample

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels

CALM: dict[str, Any] = {
    "flip": "none", "degrees": 0, "crop": 0, "brightness": 0, "contrast": 0, "noise": 0, "original": False
}  # fmt: skip


def sample(mode: str = "RGB", image: str = "a.jpg") -> Sample:
    return Sample(np.asarray(photographs.pixels(1, 90, 60).convert(mode)).reshape(60, 90, -1), image=image)


def variants(of: Sample, **params: Any) -> list[Pixels]:
    return [one.pixels for one in STEP.build(Augment(**params))(of)]


def same(one: list[Pixels], other: list[Pixels]) -> bool:
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_variants_have_the_size_of_the_picture_and_differ(mode: str) -> None:
    made = list(STEP.build(Augment(variants=3))(sample(mode)))
    assert [one.piece for one in made] == ["v0", "v1", "v2", "v3"]
    assert {one.pixels.shape for one in made} == {sample(mode).pixels.shape}
    assert len({one.pixels.tobytes() for one in made}) == 4
    assert pieces(Augment(variants=3)) == 4
    np.testing.assert_array_equal(made[0].pixels, sample(mode).pixels)


def test_the_same_seed_gives_the_same_variants_in_any_order() -> None:
    apply = STEP.build(Augment(seed=7))
    forth = {name: [one.pixels for one in apply(sample(image=name))] for name in ("a", "b", "c")}
    back = {name: [one.pixels for one in apply(sample(image=name))] for name in ("c", "b", "a")}
    assert all(same(forth[name], back[name]) for name in forth)


@pytest.mark.parametrize("other", ["seed", "image", "piece"])
def test_another_seed_image_or_piece_gives_other_variants(other: str) -> None:
    changed = {
        "seed": (sample(), 1),
        "image": (sample(image="b.jpg"), 0),
        "piece": (replace(sample(), piece="r1c1"), 0),
    }[other]
    assert not same(variants(sample(), original=False), variants(changed[0], seed=changed[1], original=False))


def test_a_variant_does_not_depend_on_how_many_there_are() -> None:
    assert same(variants(sample(), variants=2), variants(sample(), variants=5)[:3])


def test_a_parameter_changes_nothing_but_its_own() -> None:
    """Whether a variant is mirrored is the same with and without noise."""
    calm, loud = (variants(sample(), **{**CALM, "flip": "horizontal", "variants": 8, "noise": n}) for n in (0, 1))
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(calm, loud, strict=True)) < 8


def test_half_of_the_variants_are_mirrored() -> None:
    made = variants(sample(), **{**CALM, "flip": "horizontal", "variants": 100})
    mirrored = sum(np.array_equal(one, sample().pixels[:, ::-1]) for one in made)
    assert 30 < mirrored < 70
    assert mirrored + sum(np.array_equal(one, sample().pixels) for one in made) == 100


@pytest.mark.parametrize("amount", ["degrees", "crop", "brightness", "contrast", "noise"])
def test_each_amount_changes_pixels_and_none_does_not(amount: str) -> None:
    assert same(variants(sample(), **CALM), [sample().pixels] * 4)
    assert not same(variants(sample(), **{**CALM, amount: 10}), [sample().pixels] * 4)


def test_noise_spreads_as_told() -> None:
    grey = Sample(np.full((300, 300, 1), 128, np.uint8), image="a")
    spreads = [one.std() for one in variants(grey, **{**CALM, "noise": 20, "variants": 50})]
    assert max(spreads) == pytest.approx(20, rel=0.1)
    assert min(spreads) < 5
    assert np.mean([one.mean() for one in variants(grey, **{**CALM, "noise": 20})]) == pytest.approx(128, abs=0.2)


def test_alpha_is_turned_with_the_picture_and_not_made_brighter() -> None:
    whole = Sample(np.dstack([sample("RGB").pixels, np.full((60, 90), 255, np.uint8)]), image="a")
    assert {int(one[:, :, 3].min()) for one in variants(whole, brightness=100, noise=20)} == {255}


@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    angle=st.integers(-180_000, 180_000),
    cut=st.integers(0, 90_000),
    x=st.integers(0, 1000),
    y=st.integers(0, 1000),
)
def test_no_corner_of_a_variant_is_empty(width: int, height: int, angle: int, cut: int, x: int, y: int) -> None:
    a, b, c, d, e, f = affine(width, height, Chance(False, False, angle, cut, x, y, 0, 0, 0))
    for u, v in ((0, 0), (width, 0), (0, height), (width, height)):
        assert -0.01 <= a * u + b * v + c <= width + 0.01
        assert -0.01 <= d * u + e * v + f <= height + 0.01


def test_the_numbers_are_the_same_on_every_machine() -> None:
    """Whole numbers, written down once: another numpy, processor or byte order has to give them again."""
    grey = Sample(np.arange(0, 240, 10).astype(np.uint8).reshape(4, 6, 1), image="Örebro/a.jpg")
    [one] = variants(grey, **{**CALM, "variants": 1, "noise": 30, "brightness": 10, "contrast": 10, "seed": 3})
    assert one.ravel().tolist() == [
        *(21, 30, 48, 39, 43, 79, 84, 77, 91, 109, 126, 143),
        *(139, 141, 155, 178, 189, 178, 221, 190, 215, 234, 245, 255),
    ]
