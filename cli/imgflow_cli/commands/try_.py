"""try: one photograph through some steps, at once, to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgflow_cli.flags import MunicipalityFlag, QuietFlag, SourceFlag, takes_settings
from imgflow_cli.output import Voice, emit, printable, table
from imgflow_cli.saved import check_savable, form_of, save
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.pipeline.model import Pipeline
from imgflow_workflows.connect import located, opened
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.submit import pipeline_file
from imgflow_workflows.text import size

if TYPE_CHECKING:
    from imgflow_workflows.preview import Boxes

ANOTHER = "choose another file with --output"
FINDINGS = 20  # lines at most


@takes_settings(*PLACES, ask=False)
def try_(
    resolved: Resolved,
    steps: Annotated[
        str, typer.Argument(metavar="STEPS|@FILE", help="Steps in short, such as 'scale:320x240,blur:gaussian'.")
    ],
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photograph; only read. With -m, its path there.")],
    municipality: MunicipalityFlag = "",
    source: SourceFlag = "",
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

    With --municipality, PHOTO is an image of its dataset, and redact covers the boxes that people gave for it as well.
    A file belongs to no municipality, so there are no such boxes for it.
    """
    pipeline = pipeline_file.short(steps).openable()
    voice = Voice(quiet=quiet)
    for fault in doubts(pipeline):
        voice.note(str(fault))
    if source and not municipality:
        raise ImgflowError("--source goes with --municipality", "name a file alone, or its municipality as well")
    target = file or (Path() if municipality else photo.parent) / f"{photo.name}.try.jpg"
    form = form_of(target)
    check_savable(target, ANOTHER)
    if municipality:
        data, given = _of_municipality(resolved, municipality, photo.as_posix(), source)
    else:
        data, given = _of_file(photo, target), None
    if pipeline.hides and (why := _without_boxes(municipality, given)):
        voice.note(why)
    name = photo.as_posix() if municipality else photo.name
    page = _try(data, pipeline, photo, name, form, given, outlines=boxes)
    save(target, page, ANOTHER)
    emit(str(target))


def _of_file(photo: Path, target: Path) -> bytes:
    if target.exists() and photo.exists() and target.samefile(photo):
        raise ImgflowError(f"{photo} would be written over", ANOTHER)
    try:
        return photo.read_bytes()
    except OSError as error:
        raise ImgflowError(f"{photo} cannot be read: {error.strerror}") from error


def _of_municipality(resolved: Resolved, municipality: str, image: str, source: str) -> tuple[bytes, Boxes | None]:
    from imgflow_workflows.preview import of_municipality  # noqa: PLC0415 - loads Pillow

    with opened(located(resolved)) as store:
        return of_municipality(store, municipality, image, source)


def _without_boxes(municipality: str, given: Boxes | None) -> str:
    """Why no boxes by people are covered; "" where some are."""
    if not municipality:
        return "a file has no boxes that people gave; for those of a dataset, name its --municipality"
    if given is None:
        return f"nobody gave boxes for {printable(municipality)}; only what a model finds is covered"
    return "" if given.given is not None else "the boxes that people gave say nothing of this image"


def _try(
    data: bytes, pipeline: Pipeline, photo: Path, name: str, form: str, given: Boxes | None, *, outlines: bool
) -> bytes:
    """The sheet; what happened is said on the way."""
    from imgflow_steps.pipeline.apply import StepFailedError  # noqa: PLC0415 - as below
    from imgflow_steps.records.results import scalars  # noqa: PLC0415 - as below
    from imgflow_workflows.preview import attempt, sheet  # noqa: PLC0415 - loads Pillow: not for wrong usage
    from imgflow_workflows.results.outlines import write  # noqa: PLC0415 - likewise

    try:
        trial = attempt(data, pipeline, name, given)
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
        boxes=outlines,
    )
    return write(page, form)
