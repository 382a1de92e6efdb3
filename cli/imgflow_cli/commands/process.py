"""process: a folder of photographs into a folder of pictures, by a run of its own."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from imgflow_cli import outcome, transfers
from imgflow_cli.commands.fetch import OverwriteFlag, bring, written
from imgflow_cli.flags import (
    CUTS,
    ListingFlags,
    MakingFlags,
    NotifyFlag,
    OnceFlag,
    OutputFlag,
    QuietFlag,
    TakeOverFlag,
    takes_settings,
)
from imgflow_cli.output import Format, Voice, document, emit, printable
from imgflow_cli.progress import display
from imgflow_steps.records import keys
from imgflow_steps.records.admission import admission
from imgflow_steps.store import Store
from imgflow_workflows.connect import open_engine, where
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.results.destination import check_destination
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.submit import launch
from imgflow_workflows.submit.follow import Follower
from imgflow_workflows.submit.presence import nothing_there
from imgflow_workflows.submit.request import Submission, begin, describe


@takes_settings(*PLACES, "workers", *CUTS)
def process(
    resolved: Resolved,
    store: Store,
    source: Annotated[Path, typer.Argument(metavar="IN_DIR", help="Where the photographs are; only read.")],
    directory: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Where the pictures go, in the same tree.")],
    *,
    making: MakingFlags,
    once: OnceFlag = False,
    take_over: TakeOverFlag = False,
    listing: ListingFlags,
    overwrite: OverwriteFlag = False,
    notify: NotifyFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Take a folder of photographs through the pipeline into another folder, on any engine.

    The command is resumable: run it again and it continues. The run name is derived from this machine, IN_DIR and
    the pipeline. A cluster gets a copy of the photographs, other engines read them where they are.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    check_destination(directory)
    _apart(source, directory)
    submission = Submission(
        municipality=_municipality(source),
        source="" if resolved.settings.engine == "argo" else str(source),
        once=once,
        take_over=take_over,
        **making.wishes(),
        **listing.wishes(),
    )
    digest = describe(submission, resolved.settings).run.digest
    submission = replace(submission, run=f"{submission.municipality}-{digest[:8]}")
    voice.say(f"municipality {submission.municipality}")
    known = _run(submission, source, resolved, store, voice, notify)
    _say_end(known, directory, store, voice, resolved.command, output, overwrite=overwrite)


def _apart(source: Path, directory: Path) -> None:
    if not source.is_dir():
        raise ImgflowError(f"{source} is not a directory", "give the one that holds the photographs")
    inner, outer = source.resolve(), directory.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise ImgflowError(
            f"{source} and {directory} overlap: one contains the other",
            "give a folder beside the photographs for OUT_DIR",
        )


def _municipality(source: Path) -> str:
    """A name that this folder of this machine always has, and no other folder."""
    path = source.resolve()
    stamp = hashlib.sha256(f"{platform.node()}\0{path}".encode(errors="surrogateescape")).hexdigest()[:8]
    return f"{keys.slug(path.name)[:24].strip('-')}-{stamp}"


def _run(
    submission: Submission, source: Path, resolved: Resolved, store: Store, voice: Voice, notify: str
) -> state.RunState:
    """The run at its end."""
    engine = open_engine(resolved.settings, store)
    launch.announced_to(engine, notify)  # refused before anything is copied
    if not submission.source:
        _ingest(source, submission, store, voice)
    request = begin(submission, resolved.settings, store)
    told = Follower(voice.say, voice.note, lambda run: display(run, voice), resolved.command)
    try:
        return launch.execute(request, engine, store, told, notify=notify)
    except ImgflowError as error:
        if error.code is ExitCode.INTERRUPTED:  # retry would leave OUT_DIR as it is
            raise ImgflowError(error.message, "run the same command again to resume", error.code) from None
        raise


def _ingest(source: Path, submission: Submission, store: Store, voice: Voice) -> None:
    """Copy the photographs to where pods see them. Raises ImgflowError when one that could be copied was not."""
    summary, seconds = transfers.copy(
        Folder(source, admission(submission.include, submission.exclude), submission.follow),
        store,
        submission.municipality,
        voice,
        "interrupted",
        checksum=submission.checksum,
    )
    voice.say(summary.in_words(seconds))
    transfers.say_refused(summary, voice)
    if not (summary.copied or summary.present or summary.others):
        raise nothing_there(str(source), summary.left_out)
    if missed := sum(summary.refused[reason] for reason in transfers.AGAIN):
        raise ImgflowError(
            f"{missed:,} photographs of {source} could not be copied, so no run was started",
            "fix them or move them away, then run the same command again to resume",
            ExitCode.FAILED,
        )


def _say_end(
    known: state.RunState,
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
    summary = bring(store, known, directory, voice, command, overwrite=overwrite)
    if output in {"json", "yaml"}:
        document({**state.document(store, known), **written(directory, summary)}, output)
    elif output == "name":
        emit(printable(str(directory)))
    else:
        outcome.say_how(store, known, output)
        emit(f"{'Folder':<13} {printable(str(directory))}: {summary.in_words()}")
    voice.say(f"next: {command} report {known.run.id} --open")
    raise typer.Exit(code or (ExitCode.FAILED if summary.refused else ExitCode.DONE))
