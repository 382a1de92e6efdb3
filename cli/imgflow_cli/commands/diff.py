"""diff: what two runs made otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.flags import OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_cli.progress import status_line
from imgflow_steps.store import Store
from imgflow_workflows import runs
from imgflow_workflows.diff import Comparison, Difference, compare
from imgflow_workflows.faults import ExitCode, ImgflowError
from imgflow_workflows.opening import where
from imgflow_workflows.settings import PLACES, Resolved

WORST = 24  # differences that are told and shown unless more are asked for


@takes_settings(*PLACES)
def diff(
    resolved: Resolved,
    store: Store,
    first: RunArgument,
    second: RunArgument,
    worst: Annotated[
        int, typer.Option(min=0, metavar="N", help="How many of those that differ most are told.")
    ] = WORST,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that shows them, as one HTML file.")
    ] = None,
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
    """Say which pictures two runs made otherwise, and by how much.

    Pictures with the same SHA-256 are the same and not read. Of the others the mean absolute error over all pixels is
    told, in levels of 255. What has no such measure, as another size or verdict or other words of a model, is more
    than any --fail-over; other numbers of a model are told, and are not.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    one, other = (runs.read(store, runs.find(store, name)) for name in (first, second))
    for known in (one, other):
        runs.check_ended(store, known, resolved.command)
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


def in_words(comparison: Comparison) -> str:
    """How the comparison stands, in one line."""
    changes = [f"{count:,} {change}" for change, count in comparison.changes.items()]
    return " · ".join([f"{comparison.pictures:,} pictures compared", f"{comparison.same:,} the same", *changes])


def _name(one: Difference) -> str:
    return f"{one.image}~{one.piece}" if one.piece else one.image


def _row(one: Difference) -> list[object]:
    return [_name(one), one.change.value, f"{one.error:.3f}" if one.error else "-", one.said]


def _write(page: Path, store: Store, one: runs.Known, other: runs.Known, comparison: Comparison) -> None:
    from imgflow_workflows.contact import page as draw  # noqa: PLC0415 - rarely asked for

    try:
        page.write_bytes(draw(store, one.run, other.run, comparison))
    except OSError as error:
        raise ImgflowError(f"{page} cannot be written: {error.strerror}", "choose another file with --page") from error


def _document(first: str, second: str, comparison: Comparison, fail_over: float | None) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "pictures": comparison.pictures,
        "same": comparison.same,
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
