"""Another processor gives other last digits: boxes and what covers them stay, but for fewer than one in a thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests import finders

from imgflow_steps.contract.sample import Sample
from imgflow_steps.infer import Infer, work
from imgflow_steps.redact import Redact
from imgflow_steps.redact import work as redact

if TYPE_CHECKING:
    from pathlib import Path

    Outputs = list[Any]

SIDE, PLACES = 160, 40  # of a picture, and how many places of CenterFace it has across


def face(random: np.random.Generator) -> Outputs:
    """What CenterFace says of a picture with one face of 16 to 80 pixels somewhere in it."""
    certain, sizes = np.zeros((1, 1, PLACES, PLACES)), np.zeros((1, 2, PLACES, PLACES))
    y, x = random.integers(8, PLACES - 8, 2)
    certain[0, 0, y, x] = random.uniform(0.3, 1)
    sizes[0, :, y, x] = np.log(random.uniform(16, 80, 2) / 4)
    offsets = random.uniform(0, 1, (1, 2, PLACES, PLACES))
    return [one.astype(np.float32) for one in (certain, sizes, offsets, np.zeros((1, 10, PLACES, PLACES)))]


def noisy(outputs: Outputs, noise: float, random: np.random.Generator) -> Outputs:
    return [(one * (1 + random.uniform(-noise, noise, one.shape))).astype(np.float32) for one in outputs]


@pytest.mark.parametrize(("noise", "pictures"), [(1e-4, 1_000), pytest.param(1e-5, 10_000, marks=pytest.mark.thorough)])
def test_noise_of_a_hundred_thousandth_changes_fewer_than_one_picture_in_a_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: float, pictures: int
) -> None:
    """How many change grows with the noise: ten times of both shows it in fewer pictures."""
    random, said = np.random.default_rng(0), []
    monkeypatch.setattr(work, "_ask", lambda *_: said[-1])
    said.append(face(random))
    names = dict(zip(("certain", "sizes", "offsets", "landmarks"), said[-1], strict=True))
    ask, cover = work.build(Infer(model=str(finders.saying(tmp_path, names, SIDE)))), redact.build(Redact())
    pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)

    def picture(outputs: Outputs) -> bytes:
        said.append(outputs)
        [found] = ask(Sample(pixels))
        [covered] = cover(found)
        assert covered.found["redacted"]["count"] == 1
        return covered.pixels.tobytes()

    differ = 0
    for _ in range(pictures):
        outputs = face(random)
        differ += picture(outputs) != picture(noisy(outputs, noise, random))
    assert differ < pictures * noise * 100
