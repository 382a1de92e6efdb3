"""One photograph through a pipeline, here and at once: what each step made of it, and a picture of before and after.

No run, no other process, and nothing is written to a store; the pixels are those that a run would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from imgflow_steps import codec
from imgflow_steps.codec.grid import grid
from imgflow_steps.contract.options import DecodePlan
from imgflow_steps.contract.sample import Sample
from imgflow_steps.contract.step import Target
from imgflow_steps.pipeline.apply import OpenPipeline, Times
from imgflow_steps.pixels import resize
from imgflow_steps.records import boxes as manual
from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError, open_source
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.results.outlines import LETTERS, SIDE, outlined, seen
from imgflow_workflows.submit.patience import patiently
from imgflow_workflows.submit.request import check_municipality

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_steps.contract.sample import Pixels
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.records import findings
    from imgflow_steps.records.boxes import ManualBox
    from imgflow_steps.store import Store

GAP = 24  # pixels between the sides, and around them
SHOWN = 16  # pictures that are shown of those that came of it
PAPER, INK, QUIET = (250, 250, 250), (30, 35, 40), (105, 115, 120)


@dataclass(frozen=True, slots=True)
class Stage:
    """What there was after one part of the work: how many pictures, the first one's size, and milliseconds it took."""

    label: str
    pictures: int
    width: int
    height: int
    colour: bool
    ms: float = 0.0


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
    boxes: list[list[findings.Box]]  # what was found, for each of ``after``, in its own pixels


@dataclass(frozen=True, slots=True)
class Boxes:
    """What people said of an image of a municipality that has a table: nothing where ``given`` is None."""

    given: tuple[ManualBox, ...] | None


def of_municipality(store: Store, municipality: str, image: str, source: str = "") -> tuple[bytes, Boxes | None]:
    """A photograph of a dataset, or of a ``source``, and its boxes; None where the municipality has no table of them.

    Raises ImgflowError where there is no such municipality or photograph, and StoreError.
    """
    if not source:
        check_municipality(store, municipality)
    place, prefix = (open_source(source), "") if source else (store, keys.images(municipality))
    try:
        if image.startswith("/") or ".." in image.split("/"):
            raise NotFoundError(image)
        data = place.read(prefix + image)
    except NotFoundError:
        where = source or f"municipality {municipality}"
        raise ImgflowError(f"there is no image {image} in {where}", "name it by its path in the dataset") from None
    with temporary() as folder:
        path = Path(folder, "boxes.jsonl")
        if manual.download(store, municipality, path) is None:
            return data, None
        return data, Boxes(next((one.boxes for one in manual.read(path) if one.image == image), None))


def attempt(data: bytes, pipeline: Pipeline, image: str, boxes: Boxes | None = None) -> Trial:
    """Take an encoded photograph through the steps, as a run does with an image of this name and these boxes.

    Raises Rejected as a run would reject it, BadParametersError where a step cannot be opened.
    """
    opened = patiently(lambda: OpenPipeline(pipeline, marked=boxes is not None), pipeline.limits)
    shown = codec.decode(data, DecodePlan(width=SIDE, height=SIDE), pipeline.limits)
    before = resize.into(shown.pixels, Target(SIDE, SIDE), extent=shown.extent)
    stages: list[Stage] = []
    samples: Sequence[Sample] = []

    def watch(label: str, now: Sequence[Sample]) -> None:
        nonlocal samples
        samples = now
        stages.append(_stage(label, now))

    ms: Times = {}
    decoded = opened.decode(data, ms)
    found = manual.found(boxes.given if boxes else None, decoded.width, decoded.height)
    watch("decode", [first := replace(decoded.sample(image), found=found)])
    pictures = opened.encode(opened.apply([first], ms, watch), ms)
    stages += [_stage("encode", samples)] if pipeline.output.format != "none" else []
    return Trial(
        before=before,
        width=decoded.width,
        height=decoded.height,
        after=[sample.pixels for sample in samples],
        found=[(picture.piece, picture.found) for picture in pictures if picture.found],
        stages=[replace(stage, ms=ms[stage.label]) for stage in stages],
        bytes=sum(len(picture.data) for picture in pictures),
        boxes=[seen(sample.found, sample.at, sample.pixels.shape[1], sample.pixels.shape[0]) for sample in samples],
    )


def _stage(label: str, samples: Sequence[Sample]) -> Stage:
    if not samples:
        return Stage(label, 0, 0, 0, colour=False)
    height, width, channels = samples[0].pixels.shape
    return Stage(label, len(samples), width, height, colour=channels > 2)  # noqa: PLR2004 - L, LA, then RGB


def sheet(trial: Trial, left: str, right: str, *, boxes: bool = False) -> Image.Image:
    """Before and after beside each other, in boxes of the same size, each with a line of text below.

    Several pictures stand in a grid, the first ``SHOWN`` of them. ``boxes`` outlines what was found, on the results
    only: there it is covered where the pipeline covers it.
    """
    after = trial.after[:SHOWN]
    if boxes:
        after = [outlined(pixels, some) for pixels, some in zip(after, trial.boxes, strict=False)]
    sides = [grid(side, SIDE, GAP // 4, PAPER, enlarge=True) for side in ([trial.before], after)]
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
