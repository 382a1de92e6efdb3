"""fetch and process: pictures in a folder of one's own, of a run that was, and by a run of its own."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from imgflow_cli import copies, outcome
from imgflow_cli.commands.submit import (
    CUTS,
    FormatFlag,
    PipelineFlag,
    RejectedFlag,
    RetryFlag,
    SetFlag,
    StepsFlag,
)
from imgflow_cli.flags import MunicipalityFlag, OnceFlag, OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Format, Voice, document, emit, printable
from imgflow_cli.progress import display, status_line
from imgflow_steps import keys
from imgflow_steps.store import Store
from imgflow_workflows import launch, runs
from imgflow_workflows.faults import ExitCode, ImgflowError
from imgflow_workflows.fetch import FetchSummary
from imgflow_workflows.fetch import fetch as copy
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.opening import open_engine, where
from imgflow_workflows.request import Asked, begin, describe
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.words import copied, fetched

OverwriteFlag = Annotated[
    bool, typer.Option("--overwrite", help="Replace files that are there and are other ones; else they stay.")
]


@takes_settings(*PLACES)
def fetch(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it is made when it is not there.")],
    municipality: MunicipalityFlag = "",
    condition: Annotated[
        str, typer.Option("--where", metavar="SQL", help="Only of images whose results or row in the catalog fit.")
    ] = "",
    overwrite: OverwriteFlag = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Copy a run's pictures into a folder, each checked by its SHA-256.

    The picture of a/x.jpg becomes a/x.jpg, or .png or .webp; beside them RUN.csv says what is known of each image.
    What is there already, the same, is not copied again; nothing is ever deleted.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    known = runs.read(store, runs.find(store, run, municipality))
    summary = _bring(store, known, directory, voice, resolved.command, overwrite=overwrite, condition=condition)
    if output == "name":
        emit(printable(str(directory)))
    elif output in {"json", "yaml"}:
        document({"run": known.run.id, **_document(directory, summary)}, output)
    else:
        emit(f"{known.run.id}: {fetched(summary)}")
    raise typer.Exit(ExitCode.FAILED if summary.refused else ExitCode.DONE)


@takes_settings(*PLACES, "workers", *CUTS)
def process(
    resolved: Resolved,
    store: Store,
    source: Annotated[Path, typer.Argument(metavar="IN_DIR", help="Where the photographs are; only read.")],
    directory: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Where the pictures go, in the same tree.")],
    pipeline: PipelineFlag = None,
    steps: StepsFlag = "",
    form: FormatFlag = None,
    changes: SetFlag = None,
    max_rejected: RejectedFlag = "",
    retry: RetryFlag = None,
    once: OnceFlag = False,
    overwrite: OverwriteFlag = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Take a folder of photographs through the pipeline into another folder, on any engine.

    The same command goes on where it was stopped, whatever stopped it: municipality and run are named after this
    machine, IN_DIR and the pipeline. A cluster gets a copy of the photographs, other engines read them where they are.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    _apart(source, directory)
    asked = Asked(
        municipality=_municipality(source),
        source="" if resolved.settings.engine == "argo" else str(source),
        pipeline=pipeline,
        steps=steps,
        format=form or "",
        changes=changes or (),
        max_rejected=max_rejected,
        retry=retry or "",
        once=once,
    )
    digest = describe(asked, resolved.settings).run.digest
    asked = replace(asked, run=f"{asked.municipality}-{digest[:8]}")
    voice.say(f"municipality {asked.municipality}, run {asked.run}")
    known = _run(asked, source, resolved, store, voice)
    _say_end(known, directory, store, voice, resolved.command, output, overwrite=overwrite)


def _apart(source: Path, directory: Path) -> None:
    if not source.is_dir():
        raise ImgflowError(f"{source} is not a directory", "give the one that holds the photographs")
    inner, outer = source.resolve(), directory.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise ImgflowError(
            f"{source} and {directory} hold each other", "give a folder beside the photographs for OUT_DIR"
        )


def _municipality(source: Path) -> str:
    """A name that this folder of this machine always has, and no other folder."""
    path = source.resolve()
    stamp = hashlib.sha256(f"{platform.node()}\0{path}".encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{keys.slug(path.name)[:24].strip('-')}-{stamp}"


def _run(asked: Asked, source: Path, resolved: Resolved, store: Store, voice: Voice) -> runs.Known:
    """The run at its end."""
    engine = open_engine(resolved.settings, store)
    if not asked.source:
        _ingest(source, asked.municipality, store, voice)
    request = begin(asked, resolved.settings, store)
    command = resolved.command
    request = launch.look(
        request, engine, store, say=voice.say, display=lambda looked: display(looked, voice), command=command
    )
    launch.start(request, engine, store, say=voice.say, display=display(request.run, voice), command=command)
    known = runs.read(store, asked.run)
    if engine.detached:
        return launch.wait(known.run, engine, store, display=display(known.run, voice), command=command)
    return known


def _ingest(source: Path, municipality: str, store: Store, voice: Voice) -> None:
    """Copy the photographs to where pods see them. Raises ImgflowError when one that could be copied was not."""
    summary, seconds = copies.copy(Folder(source), store, municipality, voice, "interrupted")
    voice.say(copied(summary, seconds))
    copies.say_refused(summary, voice)
    if missed := sum(summary.refused[reason] for reason in copies.AGAIN):
        raise ImgflowError(
            f"{missed:,} photographs of {source} could not be copied, so no run was started",
            "mend them or move them away, then give the same command again; it goes on from there",
            ExitCode.FAILED,
        )


def _say_end(
    known: runs.Known,
    directory: Path,
    store: Store,
    voice: Voice,
    command: str,
    output: Format | None,
    *,
    overwrite: bool,
) -> None:
    """Fetch what there is, say how the run and the fetching ended, and end as they did."""
    code = outcome.exit_code(known)
    if known.progress.summary is None or not known.progress.summary.report:
        outcome.say_how(store, known, output)
        raise typer.Exit(code or ExitCode.FAILED)
    summary = _bring(store, known, directory, voice, command, overwrite=overwrite)
    if output in {"json", "yaml"}:
        document({**runs.document(store, known), **_document(directory, summary)}, output)
    elif output == "name":
        emit(printable(str(directory)))
    else:
        outcome.say_how(store, known, output)
        emit(f"{'Folder':<13} {printable(str(directory))}: {fetched(summary)}")
    voice.say(f"next: {command} report {known.run.id} --open")
    raise typer.Exit(code or (ExitCode.FAILED if summary.refused else ExitCode.DONE))


def _bring(
    store: Store,
    known: runs.Known,
    directory: Path,
    voice: Voice,
    command: str,
    *,
    overwrite: bool,
    condition: str = "",
) -> FetchSummary:
    """Fetch, with progress, and say what was refused or renamed."""
    run = known.run
    runs.check_ended(store, known, command)
    try:
        with status_line(voice) as show:
            summary = copy(
                store,
                run,
                directory,
                tell=lambda progress: show(fetched(progress)),
                overwrite=overwrite,
                where=condition,
            )
    except KeyboardInterrupt:
        raise ImgflowError(
            f"fetching run {run.id} was interrupted; what was copied is in {directory}",
            "the same command goes on from there",
            ExitCode.INTERRUPTED,
        ) from None
    for image, path, why in summary.longer:
        voice.say(f"{image} becomes {path}: {why}")
    for refusal in summary.refusals:
        voice.say(f"{refusal.path}: {refusal.reason}: {refusal.message}")
    return summary


def _document(directory: Path, summary: FetchSummary) -> dict[str, Any]:
    return {
        "folder": str(directory),
        "table": str(summary.table),
        "pictures": summary.total,
        "copied": summary.copied,
        "present": summary.present,
        "renamed": summary.renamed,
        "bytes": summary.bytes,
        "refused": {str(reason): count for reason, count in summary.refused.items()},
        "refusals": [
            {"path": refusal.path, "reason": str(refusal.reason), "message": refusal.message}
            for refusal in summary.refusals
        ],
    }
