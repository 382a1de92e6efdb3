"""The work of scale: one good resize."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps import resizing, scale

if TYPE_CHECKING:
    from imgflow_steps.contract import Apply, Sample


def build(params: scale.Scale) -> Apply:
    """A function that brings one sample into the box; what it is a piece of and what was found stay with it."""
    target = scale.target(params)

    def apply(sample: Sample) -> tuple[Sample]:
        pixels = resizing.into(sample.pixels, target, enlarge=params.enlarge, extent=sample.extent)
        return (replace(sample, pixels=pixels, extent=None),)

    return apply
