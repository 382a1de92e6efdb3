"""export: images or their results into a folder or bucket, with what is told of them."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import typer

from imgflow_cli.flags import (
    MunicipalityFlag,
    OutputFlag,
    QuietFlag,
    SampleFlag,
    SeedFlag,
    WhereFlag,
    takes_settings,
)
from imgflow_cli.outcome import say_unfinished
from imgflow_cli.output import Voice, document, emit, printable
from imgflow_cli.transfers import copied_document, copy, say_refused
from imgflow_steps.records import keys
from imgflow_steps.store import Store, open_store
from imgflow_steps.store.walk import HIDDEN
from imgflow_workflows.catalog.choice import Choice
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.results.destination import check_destination
from imgflow_workflows.runs.history import Record, newest_among, records
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.submit.request import check_municipality
from imgflow_workflows.text import counted
from imgflow_workflows.transfer import geojson
from imgflow_workflows.transfer.export import Exported
from imgflow_workflows.transfer.labelled import Form, Labelled


def _places(store: Store, name: str, choice: Choice, target: Store, *, results: bool, output: str | None) -> None:
    number, placed = geojson.write(store, name, choice, target, results=results)
    file = f"{target.url.rstrip('/')}/{geojson.FILE}"
    if output == "name":
        emit(file)
    elif output in {"json", "yaml"}:
        document({"municipality": name, "file": file, "features": number, "with_position": placed}, output)
    else:
        emit(f"{printable(file)}: {counted(number, 'feature')}, {placed:,} with a position")


def _tidy(target: Store) -> None:
    """Leave in a folder nothing but what was exported: the place for unfinished files is empty now."""
    if not target.url.startswith("s3://"):
        with suppress(OSError):  # somebody else exports there, too
            Path(target.url, HIDDEN).rmdir()


@takes_settings(*PLACES)
def export(
    resolved: Resolved,
    store: Store,
    destination: Annotated[str, typer.Argument(metavar="DIR|URL", help="A directory, or s3://bucket/prefix.")],
    municipality: MunicipalityFlag,
    condition: WhereFlag = "",
    sample: SampleFlag = 0,
    seed: SeedFlag = 0,
    results: Annotated[
        bool, typer.Option("--results", help="The pictures that the newest run's pipeline made, instead of images.")
    ] = False,
    form: Annotated[
        Literal[Form, "geojson"] | None,
        typer.Option(
            "--as",
            "--format",
            help="With the boxes that models found, in a layout that training programs read; geojson: points on a map.",
        ),
    ] = None,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Export images or results with their catalog rows.

    Every file keeps its name. The rows of the chosen images are written beside them as catalog.parquet, with
    --results also as results.parquet. Files that exist unchanged are not copied again. With --as only images that the
    newest run has processed are exported, and boxes are in pixels of the exported pictures. --format geojson writes one
    file with a point per photograph and no pictures.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    check_municipality(store, municipality)
    name = keys.decode(keys.encode(municipality))
    target = open_store(destination)
    if not target.url.startswith("s3://"):
        check_destination(Path(target.url), "DIR")
    known = [one for _, one in records(store) if isinstance(one, Record) and one.run.municipality == name]
    latest = newest_among(known).get(name) if results or form else None
    if not results and any(one.run.pipeline.hides for one in known):
        voice.note("these are originals, in which nothing is covered; --results copies what redact has covered")
    if latest:
        say_unfinished(latest, resolved.command, voice)
    choice = Choice(condition, sample, seed)
    if form == "geojson":
        _places(store, name, choice, target, results=results, output=output)
        _tidy(target)
        return
    chosen = Labelled(store, choice, results, form) if form else Exported(store, choice, results)
    interrupted = f"export to {destination} was interrupted; what was copied is there"
    summary, seconds = copy(chosen, target, name, voice, interrupted)
    _tidy(target)
    say_refused(summary, voice)
    if (lost := summary.harmed) and latest:
        repair = f"{resolved.command} retry {latest.run.id} --repair"
        voice.say(f"gone or damaged: {counted(lost, 'picture')}; `{repair}` makes them again, then export again")
    if output == "name":
        emit(target.url)
    elif output in {"json", "yaml"}:
        document({"municipality": name, "destination": target.url, **copied_document(summary, seconds)}, output)
    else:
        emit(f"{printable(destination)}: {summary.in_words(seconds)}")
    if not (results or form) and "://" not in destination:  # else names are not those that the catalog tells of
        told = "/catalog.parquet" if store.stat(keys.catalog(name)) else ""
        again = shlex.quote(destination.rstrip("/") + told)
        voice.say(f"next: {resolved.command} ingest {again} --municipality NAME")
    raise typer.Exit(ExitCode.FAILED if summary.others else ExitCode.DONE)
