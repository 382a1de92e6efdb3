"""ingest: photographs from a directory into a municipality's dataset."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli.engine import where
from imgflow_cli.faults import CliError, ExitCode
from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, size
from imgflow_cli.progress import status_line
from imgflow_cli.settings import PLACES, Resolved
from imgflow_steps import keys
from imgflow_steps.store import Store
from imgflow_workflows.ingest import IngestProgress, IngestSummary, Reason
from imgflow_workflows.ingest import ingest as copy

COPIES = 8  # files copied at the same time
AGAIN = {Reason.UNREADABLE, Reason.CHANGED}  # a second try may succeed: the command has failed


@takes_settings(*PLACES)
def ingest(
    resolved: Resolved,
    store: Store,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where the photographs are.")],
    municipality: MunicipalityFlag,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Copy photographs into a municipality's dataset.

    What lies there already, the same, is not copied again; nothing is ever deleted. To use photographs
    where they lie, without copying, see `imgflow submit --source`.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    name = keys.decode(keys.encode(municipality))
    try:
        with status_line(voice) as show:
            summary = copy(directory, store, name, workers=COPIES, tell=lambda progress: show(in_words(progress)))
    except KeyboardInterrupt:
        raise CliError(
            f"ingest of {directory} was interrupted; what was copied is in {store.url}",
            "the same command goes on from there",
            ExitCode.INTERRUPTED,
        ) from None
    for refusal in summary.refusals:
        if refusal.reason is not Reason.NOT_AN_IMAGE:
            voice.say(f"{refusal.path}: {refusal.reason}: {refusal.message}")
    if output == "name":
        emit(printable(name))
    elif output in {"json", "yaml"}:
        document(_document(name, summary), output)
    else:
        emit(f"{name}: {in_words(summary)}")
    voice.say(f"next: {resolved.command} submit --municipality {shlex.quote(name)}")
    raise typer.Exit(ExitCode.FAILED if summary.refused.keys() & AGAIN else ExitCode.DONE)


def in_words(progress: IngestProgress) -> str:
    """How far the copying is, in one line."""
    left_out = [f"{count:,} left out: {reason}" for reason, count in progress.refused.items()]
    words = [f"{progress.copied:,} copied ({size(progress.bytes)})", f"{progress.present:,} there already", *left_out]
    return " · ".join(words)


def _document(municipality: str, summary: IngestSummary) -> dict[str, Any]:
    return {
        "municipality": municipality,
        "copied": summary.copied,
        "present": summary.present,
        "bytes": summary.bytes,
        "refused": {str(reason): count for reason, count in summary.refused.items()},
        "refusals": [
            {"path": refusal.path, "reason": str(refusal.reason), "message": refusal.message}
            for refusal in summary.refusals
        ],
    }
