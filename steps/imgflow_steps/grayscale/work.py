"""The work of grayscale: luma, and alpha where there is some."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps.pixels.arrays import to_image, to_luma, to_pixels

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Apply, Sample
    from imgflow_steps.grayscale import Grayscale

GRAY = 2  # channels at most: L or LA


def build(_: Grayscale) -> Apply:
    """A function that turns RGB into L and RGBA into LA (ITU-R BT.601), and leaves L and LA alone."""

    def apply(sample: Sample) -> tuple[Sample]:
        if sample.pixels.shape[2] <= GRAY:
            return (sample,)
        return (replace(sample, pixels=to_pixels(to_luma(to_image(sample.pixels)))),)

    return apply
