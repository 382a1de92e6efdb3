"""ingest: photographs from a folder, a list, an archive or a table into a municipality's dataset."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from imgflow_cli.copies import AGAIN, copied_document, copy, say_refused
from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable
from imgflow_steps import keys
from imgflow_steps.store import Store
from imgflow_workflows.faults import ExitCode
from imgflow_workflows.ingest.sources import source_of
from imgflow_workflows.opening import where
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.words import copied


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
    photographs = source_of(source, ids, paths, hosts=hosts or (), lenient=lenient, say=voice.say)
    interrupted = f"ingest of {source} was interrupted; what was copied is in {store.url}"
    summary, seconds = copy(photographs, store, name, voice, interrupted)
    say_refused(summary, voice)
    if output == "name":
        emit(printable(name))
    elif output in {"json", "yaml"}:
        document({"municipality": name, **copied_document(summary, seconds)}, output)
    else:
        emit(f"{printable(name)}: {copied(summary, seconds)}")
    if summary.copied or summary.present:
        voice.say(f"next: {resolved.command} submit --municipality {shlex.quote(name)}")
    else:
        voice.say(f"there was no photograph to copy in {'the list' if source == '-' else source}")
    raise typer.Exit(ExitCode.FAILED if summary.refused.keys() & AGAIN else ExitCode.DONE)
