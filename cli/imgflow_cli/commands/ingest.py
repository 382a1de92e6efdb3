"""ingest: photographs from a folder, a list, an archive or a table into a municipality's dataset."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from imgflow_cli.copies import AGAIN, COPIES, copied_document, in_words
from imgflow_cli.engine import where
from imgflow_cli.faults import CliError, ExitCode
from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable
from imgflow_cli.progress import status_line
from imgflow_cli.settings import PLACES, Resolved
from imgflow_steps import keys
from imgflow_steps.store import Store
from imgflow_workflows.ingest.archive import Tar, Zip, archive_kind
from imgflow_workflows.ingest.copying import Reason, Source
from imgflow_workflows.ingest.copying import ingest as copy
from imgflow_workflows.ingest.files import FileList
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.ingest.table import SUFFIXES, Table
from imgflow_workflows.ingest.web import Web


@takes_settings(*PLACES)
def ingest(
    resolved: Resolved,
    store: Store,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A directory, a zip, a tar, a CSV or Parquet table, or - for a list."),
    ],
    municipality: MunicipalityFlag,
    ids: Annotated[
        str, typer.Option("--id", metavar="COLUMN", help="Column of a table; images/<id>.jpg lies beside the table.")
    ] = "",
    paths: Annotated[
        str, typer.Option("--path", metavar="COLUMN", help="Column of a table with paths, relative to the table.")
    ] = "",
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave out what a list or table names that is not there or unreadable.")
    ] = False,
    hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="HOST", help="Fetch URLs of this host; repeatable. Others are refused."),
    ] = None,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Copy photographs into a municipality's dataset.

    A list has a path on each line, as find prints them. The other columns of a table go to the municipality's
    catalog, which query and submit --where ask. What lies there already, the same, is not copied again; nothing
    is ever deleted. A source that is wrong as a whole leaves the store as it was. To use photographs where they
    lie, without copying, see `imgflow submit --source`.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    name = keys.decode(keys.encode(municipality))
    photographs = _source(source, ids, paths, Web(frozenset(map(str.lower, hosts or ()))), voice, lenient=lenient)
    started = time.monotonic()
    try:
        with status_line(voice) as show:
            summary = copy(
                photographs, store, name, workers=COPIES, tell=lambda told: show(in_words(told, _since(started)))
            )
    except KeyboardInterrupt:
        raise CliError(
            f"ingest of {source} was interrupted; what was copied is in {store.url}",
            "the same command goes on from there",
            ExitCode.INTERRUPTED,
        ) from None
    for refusal in summary.refusals:
        if refusal.reason is not Reason.NOT_AN_IMAGE:
            voice.say(f"{refusal.path}: {refusal.reason}: {refusal.message}")
    if output == "name":
        emit(printable(name))
    elif output in {"json", "yaml"}:
        document({"municipality": name, **copied_document(summary, _since(started))}, output)
    else:
        emit(f"{name}: {in_words(summary, _since(started))}")
    voice.say(f"next: {resolved.command} submit --municipality {shlex.quote(name)}")
    raise typer.Exit(ExitCode.FAILED if summary.refused.keys() & AGAIN else ExitCode.DONE)


def _source(text: str, ids: str, paths: str, web: Web, voice: Voice, *, lenient: bool) -> Source:
    """What kind of source this is, by its name and content. Raises CliError for flags of another kind."""
    path = Path(text)
    table = path.suffix.lower() in SUFFIXES and not path.is_dir()
    if (ids or paths) and not table:
        raise CliError(f"--id and --path name columns of a table, and {text} is none", "give a .csv or .parquet file")
    if text == "-":
        return FileList(map(os.fsdecode, sys.stdin.buffer), lenient, web)
    if table:
        return Table(path, ids, paths, lenient, voice.say, web)
    match archive_kind(path) if path.is_file() else "":
        case "zip":
            return Zip(path)
        case "tar":
            return Tar(path)
    if path.is_file():
        raise CliError(f"{path} is no directory, zip, tar, .csv, .tsv or .parquet", "give one of them, or - for a list")
    return Folder(path)


def _since(started: float) -> float:
    return time.monotonic() - started
