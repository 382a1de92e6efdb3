"""fetch: the pictures of a run in a folder of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.flags import (
    DelimiterFlag,
    MunicipalityFlag,
    OutputFlag,
    QuietFlag,
    RunArgument,
    takes_settings,
)
from imgflow_cli.output import Voice, document, emit, printable
from imgflow_cli.progress import status_line
from imgflow_steps.store import Store
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.results.destination import check_destination
from imgflow_workflows.results.fetch import FetchSummary, for_spreadsheets
from imgflow_workflows.results.fetch import fetch as copy
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted

OverwriteFlag = Annotated[
    bool, typer.Option("--overwrite", help="Replace existing files whose content differs (default: keep them).")
]


@takes_settings(*PLACES)
def fetch(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it is made when it is not there.")],
    municipality: MunicipalityFlag = "",
    condition: Annotated[
        str, typer.Option("--where", metavar="SQL", help="Only pictures of images whose results or catalog row match.")
    ] = "",
    overwrite: OverwriteFlag = False,
    delimiter: DelimiterFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Copy a run's pictures into a folder, each checked by its SHA-256.

    The picture of a/x.jpg becomes a/x.jpg, or .png or .webp; beside them RUN.csv has a row for each image.
    Files that exist unchanged are not copied again; nothing is ever deleted.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    known = state.read(store, state.find(store, run, municipality))
    check_destination(directory, "DIR")
    summary = bring(store, known, directory, voice, resolved.command, overwrite=overwrite, condition=condition)
    if delimiter:
        for_spreadsheets(summary.table, delimiter)
    if output == "name":
        emit(printable(str(directory)))
    elif output in {"json", "yaml"}:
        document({"run": known.run.id, **written(directory, summary)}, output)
    else:
        emit(f"{known.run.id}: {summary.in_words()}")
        voice.say(f"a row per image: {summary.table}")
    raise typer.Exit(ExitCode.FAILED if summary.refused else ExitCode.DONE)


def bring(
    store: Store,
    known: state.RunState,
    directory: Path,
    voice: Voice,
    command: str,
    *,
    overwrite: bool,
    condition: str = "",
) -> FetchSummary:
    """Fetch, with progress, and say what was refused or renamed."""
    run = known.run
    state.check_ended(store, known, command)
    try:
        with status_line(voice) as show:
            summary = copy(
                store,
                run,
                directory,
                tell=lambda progress: show(progress.in_words()),
                overwrite=overwrite,
                where=condition,
            )
    except KeyboardInterrupt:
        raise ImgflowError(
            f"fetching run {run.id} was interrupted; what was copied is in {directory}",
            "run the same command again to resume",
            ExitCode.INTERRUPTED,
        ) from None
    for image, path, why in summary.longer:
        voice.say(f"{image} becomes {path}: {why}")
    for refusal in summary.refusals:
        voice.say(f"{refusal.path}: {refusal.reason}: {refusal.message}")
    if summary.harmed:
        pictures = counted(summary.harmed, "picture")
        voice.say(
            f"gone or damaged: {pictures}; `{command} retry {run.id} --repair` makes them again, then fetch again"
        )
    return summary


def written(directory: Path, summary: FetchSummary) -> dict[str, Any]:
    """What was fetched, for programs."""
    return {
        "folder": str(directory),
        "table": str(summary.table),
        "pictures": summary.total,
        "copied": summary.copied,
        "present": summary.present,
        "renamed": summary.renamed,
        "bytes": summary.bytes,
        **summary.document(),
    }
