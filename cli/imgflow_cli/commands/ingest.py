"""ingest: photographs from a folder, a list, an archive or a table into a municipality's dataset."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from imgflow_cli.flags import (
    EncodingFlag,
    ListingFlags,
    MunicipalityFlag,
    OutputFlag,
    QuietFlag,
    SheetFlag,
    takes_settings,
)
from imgflow_cli.output import Voice, document, emit, printable
from imgflow_cli.transfers import AGAIN, copied_document, copy, say_refused
from imgflow_steps.records import keys
from imgflow_steps.records.admission import skipped_in_words
from imgflow_steps.store import Store
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.ingest.sources import FILES, source_of
from imgflow_workflows.ingest.table import Table
from imgflow_workflows.settings import PLACES, Resolved


@takes_settings(*PLACES)
def ingest(
    resolved: Resolved,
    store: Store,
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A directory, zip, tar, CSV, Excel or Parquet table, or - for a list."),
    ],
    *,
    municipality: MunicipalityFlag,
    ids: Annotated[
        str, typer.Option("--id", metavar="COLUMN", help="Column of a table; images/<id>.jpg is beside the table.")
    ] = "",
    paths: Annotated[
        str, typer.Option("--path", metavar="COLUMN", help="Column of a table with paths, relative to the table.")
    ] = "",
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Skip and count what a list or table names that is missing or unreadable.")
    ] = False,
    encoding: EncodingFlag = "",
    sheet: SheetFlag = "",
    hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="HOST", help="Fetch URLs of this host; repeatable. Others are refused."),
    ] = None,
    listing: ListingFlags,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Copy photographs into a municipality's dataset.

    A list has a path on each line, as find prints them. The other columns of a table go to the municipality's
    catalog, which query and submit --where ask; a CSV is read as Excel writes it, in any language. Files
    that exist unchanged are not copied again; nothing is ever deleted. If the source as a whole is wrong, nothing is
    written. To use photographs where they are, without copying, see `imgflow submit --source`.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    name = keys.decode(keys.encode(municipality))
    photographs = source_of(
        source,
        ids,
        paths,
        hosts=hosts or (),
        lenient=lenient,
        say=voice.say,
        encoding=encoding,
        sheet=sheet,
        rules=listing.rules,
        follow=listing.follow,
        checksum=listing.checksum,
    )
    learned = photographs.learned if isinstance(photographs, Table) else None
    interrupted = f"ingest of {source} was interrupted; what was copied is in {store.url}"
    summary, seconds = copy(photographs, store, name, voice, interrupted, checksum=listing.checksum)
    say_refused(summary, voice)
    if output == "name":
        emit(printable(name))
    elif output in {"json", "yaml"}:
        catalog = {"catalog": asdict(learned)} if learned else {}
        document({"municipality": name, **copied_document(summary, seconds), **catalog}, output)
    else:
        emit(f"{printable(name)}: {summary.in_words(seconds)}")
        if learned:
            emit(printable(str(learned)))
    if closed := sorted(summary.left_out.keys() & FILES):
        voice.say(
            f"{' and '.join(closed)} files in it are not opened; to bring in one of them: "
            f"{resolved.command} ingest FILE --municipality {shlex.quote(name)}"
        )
    if summary.copied or summary.present:
        voice.say(f"next: {resolved.command} submit --municipality {shlex.quote(name)}")
    else:
        there = f"; skipped: {skipped_in_words(summary.left_out)}" if summary.left_out else ""
        voice.say(f"there was no photograph to copy in {'the list' if source == '-' else source}{there}")
    raise typer.Exit(ExitCode.FAILED if summary.refused.keys() & AGAIN else ExitCode.DONE)
