"""ls, get, watch and report: what became of runs."""

from __future__ import annotations

import tempfile
import time
import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from imgflow_cli import outcome
from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_cli.progress import display
from imgflow_steps.store import Store
from imgflow_workflows import launch
from imgflow_workflows import runs as known_runs
from imgflow_workflows.faults import ExitCode, ImgflowError
from imgflow_workflows.opening import open_engine, where
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.words import duration

COLUMNS = ["NAME", "STATUS", "MUNICIPALITY", "LISTED", "PROCESSED", "CACHED", "REJECTED", "FAILED", "AGE"]
WIDE = ["ENGINE", "LAYOUT", "DIGEST", "VERSION"]


@takes_settings(*PLACES)
def ls(
    store: Store,
    what: Annotated[
        Literal["runs", "municipalities"], typer.Argument(metavar="[runs|municipalities]", help="What to list.")
    ] = "runs",
    municipality: MunicipalityFlag = "",
    output: OutputFlag = None,
) -> None:
    """List runs, newest first, or municipalities."""
    if what == "municipalities":
        _list_municipalities(store, output)
        return
    known = known_runs.every(store, municipality)
    if output in {"json", "yaml"}:
        document({"items": [known_runs.document(store, one) for one in known]}, output)
    elif output == "name":
        for one in known:
            emit(one.run.id)
    else:
        wide = output == "wide"
        table(COLUMNS + (WIDE if wide else []), [_row(one, wide=wide) for one in known])


def _list_municipalities(store: Store, output: str | None) -> None:
    names = known_runs.municipalities(store)
    if output in {"json", "yaml"}:
        document({"items": [{"municipality": name} for name in names]}, output)
    elif output == "name":
        for name in names:
            emit(printable(name))
    else:
        table(["MUNICIPALITY"], [[name] for name in names])


def _row(one: known_runs.Known, *, wide: bool) -> list[object]:
    run, counts = one.run, one.counts
    numbers = [counts.listed, counts.processed, counts.cached, counts.rejected, counts.failed]
    cells: list[object] = [run.id, one.status.value, run.municipality, *numbers, duration(time.time() - run.created)]
    listing = one.progress.listing
    return cells + ([run.engine, listing.layout if listing else "", run.digest, run.version] if wide else [])


@takes_settings(*PLACES)
def get(store: Store, run: RunArgument, municipality: MunicipalityFlag = "", output: OutputFlag = None) -> None:
    """Show how one run stands."""
    outcome.say_how(store, known_runs.read(store, known_runs.find(store, run, municipality)), output)


@takes_settings(*PLACES)
def watch(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    municipality: MunicipalityFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Follow a run until it ends.

    The exit code is that of the run. Ctrl-C ends only the following.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    known = known_runs.read(store, known_runs.find(store, run, municipality))
    engine = open_engine(resolved.settings, store) if known.run.engine == resolved.settings.engine else None
    known = launch.wait(known.run, engine, store, display=display(known.run, voice), command=resolved.command)
    outcome.say_how(store, known, output)
    raise typer.Exit(outcome.exit_code(known))


@takes_settings(*PLACES)
def report(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    municipality: MunicipalityFlag = "",
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser, as one file.")] = False,
    file: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Save it as one file.")] = None,
) -> None:
    """Say where a run's report is, open it, or save it as one file."""
    known = known_runs.read(store, known_runs.find(store, run, municipality))
    there = known_runs.check_report(known, resolved.command)
    if not (show or file):
        emit(there)
        return
    path = file or Path(tempfile.gettempdir()) / f"imgflow-{known.run.id}.html"
    page = known_runs.read_report(store, known, resolved.command)
    try:
        path.write_bytes(page)
    except OSError as error:
        raise ImgflowError(
            f"{path} cannot be written: {error.strerror}", "choose another file with --output"
        ) from error
    emit(str(path))
    if show and not webbrowser.open(path.resolve().as_uri()):
        raise ImgflowError(f"no browser could be started; the report is in {path}", code=ExitCode.FAILED)
