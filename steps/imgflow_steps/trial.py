"""One photograph through a pipeline, here and at once: what each step made of it, and a picture of before and after.

No store, no run, no other process; the pixels are those that a run would give.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image, ImageDraw, ImageFont

from imgflow_steps import picture, resizing
from imgflow_steps.contract import Sample, Target
from imgflow_steps.pipeline import DecodePlan, Output, decode_plan
from imgflow_steps.pixels import to_image, to_pixels
from imgflow_steps.work import applied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_steps.contract import Pixels
    from imgflow_steps.pipeline import Pipeline

Made = TypeVar("Made")

SIDE = 640  # pixels of the box that either side is shown in
GAP = 24  # pixels between the sides, and around them
SHOWN = 16  # pictures that are shown of those that came of it
LETTERS = 17  # pixels
PAPER, INK, QUIET = (250, 250, 250), (30, 35, 40), (105, 115, 120)


@dataclass(frozen=True, slots=True)
class Stage:
    """What there was after one part of the work: how many pictures, the first one's size, and milliseconds it took."""

    label: str
    pictures: int
    width: int
    height: int
    colour: bool
    ms: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a photograph. ``before`` fits a box of ``SIDE``; ``width`` and ``height`` are the photograph's."""

    before: Pixels
    width: int
    height: int
    after: list[Pixels]
    found: list[tuple[str, Mapping[str, Any]]]  # piece, and what models said of it
    stages: list[Stage]
    bytes: int  # of the pictures, encoded; 0 where the pipeline publishes none


def attempt(data: bytes, pipeline: Pipeline, image: str) -> Trial:
    """Take an encoded photograph through the steps, as a run does with an image of this name.

    Raises Rejected as a run would reject it, BadParametersError where a step cannot be opened.
    """
    chain = [(label, call.step.build(call.params)) for label, call in zip(pipeline.labels, pipeline.steps, strict=True)]
    shown = picture.decode(data, DecodePlan(width=SIDE, height=SIDE), pipeline.limits)
    before = resizing.into(shown.pixels, Target(SIDE, SIDE), extent=shown.extent)
    decoded, ms = _timed(lambda: picture.decode(data, decode_plan(pipeline), pipeline.limits))
    samples = [Sample(decoded.pixels, extent=decoded.extent, image=image)]
    stages = [_stage("decode", samples, ms)]
    for label, apply in chain:
        samples, ms = _timed(lambda a=apply, s=samples: applied(a, s, pipeline.limits.pieces))  # type: ignore[misc]
        stages.append(_stage(label, samples, ms))
    written = 0
    if pipeline.output.format != "none":
        encoded, ms = _timed(lambda: [picture.encode(sample.pixels, pipeline.output) for sample in samples])
        stages.append(_stage("encode", samples, ms))
        written = sum(map(len, encoded))
    return Trial(
        before=before,
        width=decoded.width,
        height=decoded.height,
        after=[sample.pixels for sample in samples],
        found=[(sample.piece, sample.found) for sample in samples if sample.found],
        stages=stages,
        bytes=written,
    )


def _timed(work: Callable[[], Made]) -> tuple[Made, float]:
    started = time.perf_counter()
    made = work()
    return made, (time.perf_counter() - started) * 1000


def _stage(label: str, samples: Sequence[Sample], ms: float) -> Stage:
    if not samples:
        return Stage(label, 0, 0, 0, colour=False, ms=ms)
    height, width, channels = samples[0].pixels.shape
    return Stage(label, len(samples), width, height, colour=channels > 2, ms=ms)  # noqa: PLR2004 - L, LA, then RGB


def sheet(trial: Trial, left: str, right: str) -> Image.Image:
    """Before and after beside each other, in boxes of the same size, each with a line of text below.

    Several pictures stand in a grid, the first ``SHOWN`` of them.
    """
    sides = [_grid([trial.before]), _grid(trial.after[:SHOWN])]
    height = max(side.height for side in sides)
    width = 3 * GAP + sum(side.width for side in sides)
    page = Image.new("RGB", (width, height + 3 * GAP + LETTERS), PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(LETTERS)
    x = GAP
    for side, words, ink in zip(sides, (left, right), (QUIET, INK), strict=True):
        page.paste(side, (x, GAP))
        draw.text((x, height + GAP + GAP // 2), words, fill=ink, font=font)
        x += side.width + GAP
    return page


def _grid(pictures: Sequence[Pixels]) -> Image.Image:
    """Pictures row by row, brought into a box of ``SIDE``; small ones are enlarged to be seen beside large ones."""
    across = ceil(sqrt(len(pictures))) or 1
    gutter = GAP // 4
    cell = (SIDE - (across - 1) * gutter) // across
    small = [to_image(resizing.into(pixels, Target(cell, cell), enlarge=True)) for pixels in pictures]
    step_x = max((one.width for one in small), default=SIDE) + gutter
    step_y = max((one.height for one in small), default=SIDE) + gutter
    down = ceil(len(small) / across) or 1
    grid = Image.new("RGBA", (across * step_x - gutter, down * step_y - gutter), PAPER)
    for number, one in enumerate(small):
        colour = one.convert("RGBA")
        grid.alpha_composite(colour, (number % across * step_x, number // across * step_y))
    return grid.convert("RGB")


def write(page: Image.Image, form: str) -> bytes:
    """The sheet as JPEG or PNG."""
    return picture.encode(to_pixels(page), Output.model_validate({"format": form, "quality": 90}))
