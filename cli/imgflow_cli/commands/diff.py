"""diff: what two runs made otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.flags import OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_cli.progress import status_line
from imgflow_cli.saved import check_savable, save
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.results.diff import Comparison, Difference, compare
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted

ANOTHER = "choose another file with --page"
WORST = 24  # differences that are told and shown unless more are asked for


@takes_settings(*PLACES)
def diff(
    resolved: Resolved,
    store: Store,
    first: RunArgument,
    second: RunArgument,
    worst: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of pictures to list, those that differ most first.")
    ] = WORST,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that shows them, as one HTML file.")
    ] = None,
    unredacted: Annotated[
        bool, typer.Option("--unredacted", help="Let --page show beside what is covered how it looks uncovered.")
    ] = False,
    fail_over: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="LEVELS",
            help="End with 1 when a mean absolute error is more than this, of 255, or a picture cannot be compared.",
        ),
    ] = None,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Compare the results of two runs, picture by picture.

    Pictures with the same SHA-256 are the same and are not read. For the others the mean absolute error over all
    pixels is reported, in levels of 255. Differences without a pixel measure (size, verdict, labels) always exceed
    --fail-over. Differing model scores are reported but never do.
    """
    voice = Voice(quiet=quiet)
    check_savable(page, ANOTHER)
    voice.say(where(resolved))
    one, other = (state.read(store, state.find(store, name)) for name in (first, second))
    for known in (one, other):
        state.check_ended(store, known, resolved.command)
    if page and not unredacted:
        _check_covered(one.run, other.run)
    with status_line(voice) as show:

        def tell(so_far: Comparison, difference: Difference | None) -> None:
            show(in_words(so_far))
            if difference and output == "name":
                emit(printable(difference.image))

        levels = 0.0 if fail_over is None else fail_over
        comparison = compare(store, one.run, other.run, worst=worst, levels=levels, tell=tell)
    if output in {"json", "yaml"}:
        document(_document(one.run.id, other.run.id, comparison, fail_over), output)
    elif output != "name":
        if comparison.worst:
            table(["IMAGE", "CHANGE", "ERROR", "SAID"], map(_row, comparison.worst))
        emit(f"{other.run.id} against {one.run.id}: {in_words(comparison)}")
    if page:
        _write(page, store, one, other, comparison)
        voice.say(f"the worst are shown in {page}")
    failed = fail_over is not None and comparison.over
    if failed:
        voice.say(f"{comparison.over:,} differ by more than --fail-over {fail_over:g}")
    raise typer.Exit(ExitCode.FAILED if failed else ExitCode.DONE)


def _check_covered(*runs: Run) -> None:
    """Raise ImgflowError where one run covers something that another one shows."""
    covers = [run.id for run in runs if run.pipeline.hides]
    shows = [run.id for run in runs if not run.pipeline.hides]
    if covers and shows:
        raise ImgflowError(
            f"the page would show from run {shows[0]} what run {covers[0]} covers",
            "add --unredacted if the readers of the page may see that, or omit --page",
        )


def in_words(comparison: Comparison) -> str:
    """How the comparison stands, in one line."""
    changes = [f"{count:,} {change}" for change, count in comparison.changes.items()]
    if comparison.neither:
        changes.append(f"{counted(comparison.neither, 'image')} rejected or failed in both")
    return " · ".join(
        [f"{counted(comparison.pictures, 'picture')} compared", f"{comparison.same:,} the same", *changes]
    )


def _name(one: Difference) -> str:
    return f"{one.image}~{one.piece}" if one.piece else one.image


def _row(one: Difference) -> list[object]:
    return [_name(one), one.change.value, f"{one.error:.3f}" if one.error else "-", one.said]


def _write(page: Path, store: Store, one: state.RunState, other: state.RunState, comparison: Comparison) -> None:
    from imgflow_workflows.results.diff_page import page as draw  # noqa: PLC0415 - rarely asked for

    save(page, draw(store, one.run, other.run, comparison), ANOTHER)


def _document(first: str, second: str, comparison: Comparison, fail_over: float | None) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "pictures": comparison.pictures,
        "same": comparison.same,
        "neither": comparison.neither,
        "changes": {change.name.lower(): count for change, count in comparison.changes.items()},
        "fail_over": fail_over,
        "over": None if fail_over is None else comparison.over,
        "worst": [
            {
                "image": one.image,
                "piece": one.piece,
                "change": one.change.name.lower(),
                "error": one.error,
                "score": one.score,
                "said": one.said,
                "keys": list(one.keys),
            }
            for one in comparison.worst
        ],
    }
