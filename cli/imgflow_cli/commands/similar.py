"""similar: images that are like one."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from typing import Annotated

import typer

from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, RunFlag, takes_settings
from imgflow_cli.outcome import say_unfinished
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_cli.which import ImageArgument, one_image
from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.catalog.similar import By
from imgflow_workflows.catalog.similar import similar as find
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.runs import state
from imgflow_workflows.runs.history import Record, records
from imgflow_workflows.settings import PLACES, Resolved

HOW = {"vector": "angle between vectors {name}, 1 is the same", "dhash": "share of equal bits of dhash, 1 is the same"}


@takes_settings(*PLACES)
def similar(
    resolved: Resolved,
    store: Store,
    image: ImageArgument,
    municipality: MunicipalityFlag = "",
    run: RunFlag = "",
    by: Annotated[
        By, typer.Option(help="What is compared: vectors of a model, or hashes; auto: vectors where there are some.")
    ] = "auto",
    limit: Annotated[int, typer.Option("--limit", "-l", metavar="N", min=1, help="How many images at most.")] = 10,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """List the images that are most like one, the nearest first.

    Compared are those that the newest run of its municipality has processed, or the run that --run names. A model
    that gives vectors (infer with read: vector) says what is shown; dhash, which every image has, finds the same
    picture again.
    """
    known = [one for _, one in records(store) if isinstance(one, Record)]
    of = _named(store, known, run, municipality, resolved.command) if run else None
    whose, name = one_image(store, known, image, of.run.municipality if of else municipality)
    found = find(store, whose, name, by=by, limit=limit, of=of)
    run = found.record.run.id
    voice = Voice(quiet=quiet)
    say_unfinished(found.record, resolved.command, voice)
    if output in {"json", "yaml"}:
        near = [asdict(one) for one in found.near]
        told = {"municipality": whose, "image": name, "run": run, "by": found.by, "name": found.name}
        document({**told, "similar": near}, output)
    elif output == "name":
        for one in found.near:
            emit(printable(one.image))
    else:
        rows = [(f"{one.alike:.3f}", f"{one.width}x{one.height}", one.image) for one in found.near]
        table(["ALIKE", "SIZE", "IMAGE"], rows)
        voice.say(f"alike: {HOW[found.by].format(name=found.name)}; run {run}")
        if found.near:
            nearest, theirs = (shlex.quote(printable(name)) for name in (found.near[0].image, whose))
            voice.say(f"next: {resolved.command} why {nearest} --municipality {theirs}")


def _named(store: Store, known: list[Record], name: str, municipality: str, command: str) -> Record:
    """The run that --run names. Raises ImgflowError for one that has no results, or is of another municipality."""
    found = state.read(store, state.find(store, name, municipality))
    state.check_ended(store, found, command)
    if municipality and keys.decode(keys.encode(municipality)) != found.run.municipality:
        raise ImgflowError(
            f"run {found.run.id} is of {found.run.municipality}, not of {municipality}", "omit --municipality"
        )
    return next(one for one in known if one.run.id == found.run.id)
