"""export: images or their results into a folder or bucket, with what is told of them."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from imgflow_cli.copies import copied_document, copy, say_refused
from imgflow_cli.flags import (
    MunicipalityFlag,
    OutputFlag,
    QuietFlag,
    SampleFlag,
    SeedFlag,
    WhereFlag,
    takes_settings,
)
from imgflow_cli.output import Voice, document, emit, printable
from imgflow_steps import keys
from imgflow_steps.store import Store, open_store
from imgflow_workflows.catalog.choice import Choice
from imgflow_workflows.catalog.export import Exported
from imgflow_workflows.faults import ExitCode
from imgflow_workflows.opening import where
from imgflow_workflows.request import check_municipality
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.words import copied


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
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Copy images or results out, with what is told of them.

    Every file keeps its name, and the rows of those that were chosen lie beside them as catalog.parquet, with
    --results also as results.parquet. What lies there already, the same, is not copied again.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    check_municipality(store, municipality)
    name = keys.decode(keys.encode(municipality))
    target = open_store(destination)
    chosen = Exported(store, Choice(condition, sample, seed), results)
    interrupted = f"export to {destination} was interrupted; what was copied is there"
    summary, seconds = copy(chosen, target, name, voice, interrupted)
    say_refused(summary, voice)
    if output == "name":
        emit(target.url)
    elif output in {"json", "yaml"}:
        document({"municipality": name, "destination": target.url, **copied_document(summary, seconds)}, output)
    else:
        emit(f"{printable(destination)}: {copied(summary, seconds)}")
    if not results and "://" not in destination:  # a result has another name than the image that the catalog tells of
        told = "/catalog.parquet" if store.stat(keys.catalog(name)) else ""
        again = shlex.quote(destination.rstrip("/") + told)
        voice.say(f"next: {resolved.command} ingest {again} --municipality NAME")
    raise typer.Exit(ExitCode.FAILED if summary.refused else ExitCode.DONE)
