"""What ``make soak`` calls flat, and what not; the soak itself is a command."""

from __future__ import annotations

import random

import pytest
from tests.soak.flat import trend


def noise(seed: int, count: int = 120, wide: float = 3.0) -> list[float]:
    chance = random.Random(seed)
    return [100 + chance.gauss(0, wide) for _ in range(count)]


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_flat_and_noise_on_a_slope_grows(seed: int) -> None:
    assert not trend(noise(seed), least=4).grows
    assert trend([value + 0.2 * n for n, value in enumerate(noise(seed))], least=4).grows


def test_what_is_gained_at_the_begin_is_warmth() -> None:
    assert not trend([*range(0, 100, 4), *noise(1, 75)], least=4).grows


def test_what_shrinks_does_not_grow() -> None:
    assert not trend([value - 0.5 * n for n, value in enumerate(noise(2))], least=4).grows


def test_a_figure_that_never_moves_is_flat_and_one_descriptor_a_sample_is_not() -> None:
    assert not trend([7.0] * 50, least=4).grows
    found = trend([10.0 + n for n in range(60)], least=4)
    assert (found.begin, found.end, found.grows) == (30.0, 69.0, True)


def test_too_few_samples_are_not_judged() -> None:
    with pytest.raises(ValueError, match="measure for longer"):
        trend([1.0] * 4, least=1)
