"""try: one photograph through some steps, at once, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgflow_cli.flags import QuietFlag
from imgflow_cli.output import Voice, emit, table
from imgflow_cli.saved import check_savable, form_of, save
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.pipeline.model import Pipeline
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.submit import pipeline_file
from imgflow_workflows.text import size

ANOTHER = "choose another file with --output"
FINDINGS = 20  # lines at most


def try_(
    steps: Annotated[
        str, typer.Argument(metavar="STEPS|@FILE", help="Steps in short, such as 'scale:320x240,blur:gaussian'.")
    ],
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photograph; only read.")],
    file: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to; PHOTO.try.jpg beside it when not given."),
    ] = None,
    boxes: Annotated[
        bool,
        typer.Option("--boxes", help="Outline what models found in the picture of after. Runs store no outlines."),
    ] = False,
    quiet: QuietFlag = False,
) -> None:
    """Take one photograph through some steps at once, and write before and after as one picture.

    It prints the size after each step and how long the step took. No run is started, and nothing else is written.
    """
    pipeline = pipeline_file.short(steps).openable()
    voice = Voice(quiet=quiet)
    for fault in doubts(pipeline):
        voice.say(f"note: {fault}")
    try:
        data = photo.read_bytes()
    except OSError as error:
        raise ImgflowError(f"{photo} cannot be read: {error.strerror}") from error
    target = file or photo.with_name(f"{photo.name}.try.jpg")
    form = form_of(target)
    check_savable(target, ANOTHER)
    if target.exists() and target.samefile(photo):
        raise ImgflowError(f"{photo} would be written over", ANOTHER)
    page = _try(data, pipeline, photo, form, boxes=boxes)
    save(target, page, ANOTHER)
    emit(str(target))


def _try(data: bytes, pipeline: Pipeline, photo: Path, form: str, *, boxes: bool) -> bytes:
    """The sheet; what happened is said on the way."""
    from imgflow_steps.pipeline.apply import StepFailedError  # noqa: PLC0415 - as below
    from imgflow_steps.records.results import scalars  # noqa: PLC0415 - as below
    from imgflow_workflows.preview import attempt, sheet  # noqa: PLC0415 - loads Pillow: not for wrong usage
    from imgflow_workflows.results.outlines import write  # noqa: PLC0415 - likewise

    try:
        trial = attempt(data, pipeline, photo.name)
    except Rejected as error:
        message = f"{photo} would be rejected: {error.code}: {error.message}"
        raise ImgflowError(
            message, "`imgflow submit` would reject it, too, and continue with the others", ExitCode.FAILED
        ) from None
    except StepFailedError as error:
        raise ImgflowError(
            f"{photo} would fail: {error}", "that is a fault of the step's code", ExitCode.FAILED
        ) from error
    rows = [
        [s.label, s.pictures, f"{s.width}x{s.height}", "colour" if s.colour else "grey", f"{s.ms:.1f}"]
        for s in trial.stages
    ]
    table(["STEP", "PICTURES", "SIZE", "CHANNELS", "MS"], rows)
    found = [[piece or "-", name, value] for piece, said in trial.found for name, value in scalars(said)]
    if found:
        table(["PIECE", "FOUND", "VALUE"], found[:FINDINGS])
    last = trial.stages[-1]
    many = f"{last.pictures} pictures of " if last.pictures != 1 else ""
    weight = f", {size(trial.bytes)}" if trial.bytes else ""
    took = f"{sum(stage.ms for stage in trial.stages):.0f} ms"
    page = sheet(
        trial,
        f"before: {trial.width} x {trial.height}, {size(len(data))}",
        f"after: {many}{last.width} x {last.height}{weight}, {took}",
        boxes=boxes,
    )
    return write(page, form)
