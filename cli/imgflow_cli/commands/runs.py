"""ls, get, watch and report: what became of runs."""

from __future__ import annotations

import tempfile
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from imgflow_cli import outcome
from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, room, table
from imgflow_cli.progress import display
from imgflow_cli.saved import save
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import Store
from imgflow_workflows.connect import of_run, open_engine, where
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.runs import state as known_runs
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.standing import OPEN
from imgflow_workflows.submit.follow import Follower, wait
from imgflow_workflows.text import duration

COLUMNS = ["NAME", "STATUS", "MUNICIPALITY", "LISTED", "PROCESSED", "CACHED", "REJECTED", "FAILED", "AGE"]
AGED = len(COLUMNS) - 1  # columns before the age, which changes always
AGAIN = 2.0  # seconds between two looks
SPARED = ["MUNICIPALITY", "LISTED", "AGE"]  # first where a terminal has no room: names, sums and order tell as much
WIDE = ["ENGINE", "LAYOUT", "DIGEST", "VERSION"]


@takes_settings(*PLACES)
def ls(
    resolved: Resolved,
    store: Store,
    what: Annotated[
        Literal["runs", "municipalities"], typer.Argument(metavar="[runs|municipalities]", help="What to list.")
    ] = "runs",
    municipality: MunicipalityFlag = "",
    status: Annotated[
        list[Phase] | None, typer.Option("--status", help="Only runs with this status; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-l", metavar="N", min=0, help="Only the newest; 0: all.")] = 0,
    watch: Annotated[  # as kubectl has it
        bool, typer.Option("--watch", "-w", help="Print a line for each change until no run is under way.")
    ] = False,
    output: OutputFlag = None,
) -> None:
    """List runs, newest first, or municipalities."""
    if what == "municipalities":
        _list_municipalities(resolved, store, output)
        return

    def look() -> list[known_runs.RunState]:
        chosen = [one for one in _every(resolved, store, municipality) if not status or one.status in status]
        return chosen[:limit] if limit else chosen

    known = look()
    if output in {"json", "yaml"}:
        document({"items": [known_runs.document(store, one) for one in known]}, output)
    elif output == "name":
        for one in known:
            emit(one.run.id)
    elif not known and not watch:
        runs = f"runs{f' of {municipality}' if municipality else ''}"
        sought = f"No {runs} are {' or '.join(status or ())} in {store.url}; `{resolved.command} ls` lists all"
        Voice().say(sought if status else _nothing(runs, resolved, store))
    else:
        wide = output == "wide"
        rows = [_row(one, wide=wide) for one in known]
        table(*((COLUMNS + WIDE, rows) if wide else (COLUMNS, rows) if watch else _narrowed(rows)))
        if watch:
            _changes(known, look, wide=wide)


def _narrowed(rows: list[list[object]]) -> tuple[list[str], list[list[object]]]:
    """Headers and rows without columns that would break the lines of a terminal."""
    headers = list(COLUMNS)
    width = room()
    for name in SPARED:
        widths = [max(len(str(cell)) for cell in column) for column in zip(headers, *rows, strict=True)]
        if sum(widths) + 2 * len(widths) - 2 <= width:
            break
        at = headers.index(name)
        headers, rows = headers[:at] + headers[at + 1 :], [row[:at] + row[at + 1 :] for row in rows]
    return headers, rows


def _every(resolved: Resolved, store: Store, municipality: str) -> list[known_runs.RunState]:
    """All runs, as the store and the cluster know them."""
    known = known_runs.every(store, municipality, skipped=Voice().say)
    still = [one for one in known if one.status in OPEN]  # the store knows best of all others
    asked = {one.run.id: one for one in _seen(resolved, store, still)}
    return [asked.get(one.run.id, one) for one in known]


def _changes(known: list[known_runs.RunState], look: Callable[[], list[known_runs.RunState]], *, wide: bool) -> None:
    """A line for each run that stands otherwise than a moment ago, until none is under way."""
    before = {one.run.id: _row(one, wide=wide)[:AGED] for one in known}
    while any(one.status in OPEN for one in known):
        time.sleep(AGAIN)
        known = look()
        for one in known:
            row = _row(one, wide=wide)
            if row[:AGED] != before.get(one.run.id):
                emit("  ".join(printable(str(cell)) for cell in row))
                before[one.run.id] = row[:AGED]


def _list_municipalities(resolved: Resolved, store: Store, output: str | None) -> None:
    names = known_runs.municipalities(store)
    if output in {"json", "yaml"}:
        document({"items": [{"municipality": name} for name in names]}, output)
    elif output == "name":
        for name in names:
            emit(printable(name))
    elif not names:
        Voice().say(_nothing("municipalities", resolved, store))
    else:
        table(["MUNICIPALITY"], [[name] for name in names])


def _nothing(what: str, resolved: Resolved, store: Store) -> str:
    """What is said instead of a table without rows."""
    absent = not store.url.startswith("s3://") and not Path(store.url).exists()
    there = ", which is not there" if absent else ""
    in_pods = resolved.settings.engine == "argo"  # which see no directory of this machine
    first = "ingest DIR --municipality NAME" if in_pods else "submit --municipality NAME --source DIR"
    return (
        f"No {what} yet in {store.url}{there}.\n"
        f"next: {resolved.command} {first}\n"
        f"      {resolved.command} config  # which store is in use, and why"
    )


def _row(one: known_runs.RunState, *, wide: bool) -> list[object]:
    run, counts = one.run, one.counts
    numbers = [counts.listed, counts.processed, counts.cached, counts.rejected, counts.failed]
    cells: list[object] = [run.id, one.status.value, run.municipality, *numbers, duration(time.time() - run.created)]
    listing = one.progress.listing
    return cells + ([run.engine, listing.layout if listing else "", run.digest, run.version] if wide else [])


@takes_settings(*PLACES)
def get(
    resolved: Resolved, store: Store, run: RunArgument, municipality: MunicipalityFlag = "", output: OutputFlag = None
) -> None:
    """Show the status of one run."""
    known = known_runs.read(store, known_runs.find(store, run, municipality))
    outcome.say_how(store, _seen(resolved, store, [known])[0], output)


def _seen(resolved: Resolved, store: Store, known: list[known_runs.RunState]) -> list[known_runs.RunState]:
    """Runs as the cluster sees them, too; that it cannot be asked is no reason to show nothing."""
    found, why = known_runs.seen(store, resolved.settings, known)
    if why:
        Voice(quiet=False).note(f"only the store was asked: {why}")
    return found


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
    settings = resolved.settings
    engine = open_engine(of_run(settings, known.run), store) if known.run.engine == settings.engine else None
    if engine is None and known.run.engine == "argo":
        voice.note("only the store is followed, which does not show that a run stopped; --engine argo asks its cluster")
    told = Follower(voice.say, voice.note, lambda run: display(run, voice), resolved.command)
    known = wait(known.run, engine, store, told)
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
    """Print where a run's report is, open it, or save it as one file.

    While a run is not finished, --open and --output show how far it is.
    """
    known = known_runs.read(store, known_runs.find(store, run, municipality))
    if not (show or file):
        emit(known_runs.place_of_report(store, known, resolved.command))
        return
    path = file or Path(tempfile.gettempdir()) / f"imgflow-{known.run.id}.html"
    page = known_runs.read_report(store, known, resolved.command)
    save(path, page, "choose another file with --output")
    emit(str(path))
    if show and not webbrowser.open(path.resolve().as_uri()):
        raise ImgflowError(
            "no browser could be started", f"{path} is the whole report: open it in one", ExitCode.FAILED
        )
