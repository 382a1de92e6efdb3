"""The work of scale: one good resize."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps import scale
from imgflow_steps.contract.step import Target
from imgflow_steps.pixels import places, resize

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Apply, Pixels, Sample


def build(params: scale.Scale) -> Apply:
    """A function that brings one sample into the box; what it is a piece of and what was found stay with it."""
    box = scale.target(params)

    def apply(sample: Sample) -> tuple[Sample]:
        target = box or _share(sample.pixels, params.percent)
        enlarge = box is None or params.enlarge
        pixels = resize.into(sample.pixels, target, enlarge=enlarge, extent=sample.extent)
        (width, height), part = resize.placed(sample.pixels, target, enlarge=enlarge, extent=sample.extent)
        at = places.then(places.part(part, width, height), sample.at)
        return (replace(sample, pixels=pixels, extent=None, at=at),)

    return apply


def _share(pixels: Pixels, percent: int) -> Target:
    """This many percent of either side, rounded half up, and at least a pixel."""
    height, width, _ = pixels.shape
    return Target(max(1, (width * percent + 50) // 100), max(1, (height * percent + 50) // 100), "exact")
