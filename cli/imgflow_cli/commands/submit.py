"""submit, plan and retry: three ways to say what shall be done."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Annotated

import typer

from imgflow_cli import outcome
from imgflow_cli.flags import (
    CUTS,
    ChoiceFlags,
    ListingFlags,
    MakingFlags,
    MunicipalityFlag,
    NotifyFlag,
    OutputFlag,
    QuietFlag,
    RunArgument,
    SourceFlag,
    TakeOverFlag,
    takes_settings,
)
from imgflow_cli.output import Format, Voice, document, emit, printable
from imgflow_cli.plan import say_plan
from imgflow_cli.progress import display
from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store
from imgflow_workflows.argo import schedule_name
from imgflow_workflows.connect import open_argo, open_engine, where
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved, flag
from imgflow_workflows.submit import launch
from imgflow_workflows.submit.follow import Follower
from imgflow_workflows.submit.request import Request, Submission, again, begin, build


@takes_settings(*PLACES, "workers", *CUTS)
def submit(
    resolved: Resolved,
    store: Store,
    *,
    municipality: MunicipalityFlag = "",
    source: SourceFlag = "",
    making: MakingFlags,
    choice: ChoiceFlags,
    listing: ListingFlags,
    run: Annotated[
        str, typer.Option(metavar="ID", help="Name of the run; an existing run of that name is resumed.")
    ] = "",
    watch: Annotated[bool, typer.Option("--watch", help="argo: show progress until the run ends.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="argo: wait in silence until the run ends.")] = False,
    cron: Annotated[
        str,
        typer.Option(metavar="SCHEDULE", help="argo: do it again and again, such as '0 3 * * *'; in UTC as a rule."),
    ] = "",
    notify: NotifyFlag = "",
    take_over: TakeOverFlag = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")] = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Run a municipality's photographs through the pipeline.

    Images that earlier runs with the same pipeline finished are not computed again. On this machine the command
    ends with the run; on a cluster it returns at once unless --watch or --wait is given. With --cron
    nothing runs now: the cluster starts a run at these times, and --run names the schedule.
    """
    voice = Voice(quiet=quiet)
    submission = Submission(
        municipality,
        source,
        run=run,
        take_over=take_over,
        cuts=tuple(flag(name) for name in CUTS if resolved.origins[name] == flag(name)),
        **making.wishes(),
        **choice.wishes(),
        **listing.wishes(),
    )
    voice.say(where(resolved))
    if cron and not dry_run:
        _schedule(submission, cron, resolved, store, voice, output, notify)
        return
    request = begin(submission, resolved.settings, store)
    if dry_run:
        _note(request.run, voice)
        say_plan(store, request, output)
        return
    _run(request, resolved, store, voice, output, notify, patient=watch or wait, silent=wait and not watch)


@takes_settings(*PLACES, "workers", *CUTS)
def plan(
    resolved: Resolved,
    store: Store,
    *,
    municipality: MunicipalityFlag,
    source: SourceFlag = "",
    making: MakingFlags,
    choice: ChoiceFlags,
    listing: ListingFlags,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Show what submit would do, and why, without doing it.

    Nothing is written to the store, and no image is read unless --checksum is given.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    submission = Submission(municipality, source, **making.wishes(), **choice.wishes(), **listing.wishes())
    request = build(submission, resolved.settings, store)
    _note(request.run, voice)
    say_plan(store, request, output)


@takes_settings(*PLACES, "workers")
def retry(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    municipality: MunicipalityFlag = "",
    rejected: Annotated[bool, typer.Option("--rejected", help="Try rejected images again, too.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make pictures again that are gone from the store or damaged there.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="argo: show progress until the run ends.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="argo: wait in silence until the run ends.")] = False,
    notify: NotifyFlag = "",
    take_over: TakeOverFlag = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Resume a run: compute what failed or is missing.

    The same as `imgflow submit --run RUN`. With --repair every picture that its pipeline made is compared with
    its row, and pictures that are missing or damaged are made again, too.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    submission = Submission(
        "", retry="rejected" if rejected else "", run=state.find(store, run, municipality), take_over=take_over
    )
    known = state.read(store, submission.run)
    request = replace(again(known.run, submission, resolved.settings, store), repair=repair)
    _run(request, resolved, store, voice, output, notify, patient=watch or wait, silent=wait and not watch)


def _note(run: Run, voice: Voice) -> None:
    for fault in doubts(run.pipeline):
        voice.note(str(fault))


def _run(
    request: Request,
    resolved: Resolved,
    store: Store,
    voice: Voice,
    output: Format | None,
    notify: str,
    *,
    patient: bool,
    silent: bool,
) -> None:
    engine = open_engine(resolved.settings, store)
    shown = Voice(quiet=voice.quiet or (silent and engine.detached))
    told = Follower(voice.say, voice.note, lambda run: display(run, shown), resolved.command)
    known = launch.execute(request, engine, store, told, notify=notify, to_the_end=patient)
    outcome.say_how(store, known, output)
    voice.say(outcome.next_commands(known, resolved.command))
    raise typer.Exit(outcome.exit_code(known))


def _schedule(
    submission: Submission,
    cron: str,
    resolved: Resolved,
    store: Store,
    voice: Voice,
    output: Format | None,
    notify: str,
) -> None:
    """Without --run the schedule is named after the municipality, so that the same command replaces it."""
    settings = resolved.settings
    if settings.engine != "argo":
        raise ImgflowError("only a cluster keeps schedules", "give --engine argo with --cron")
    if submission.choice or submission.once:
        raise ImgflowError(
            "--where, --sample and --once choose now, and --cron runs later", "schedule all, or submit without --cron"
        )
    request = build(submission, settings, store, scheduled=True)
    run = request.run
    name = submission.run or schedule_name(run.municipality)
    engine = open_argo(settings, store)
    launch.announced_to(engine, notify)
    request.upload(store)
    engine.schedule(name, cron, run)
    if output == "name":
        emit(name)
    elif output in {"json", "yaml"}:
        document({"schedule": name, "cron": cron, "municipality": run.municipality, "digest": run.digest}, output)
    else:
        emit(f"{'Schedule':<13} {name}")
        emit(f"{'Municipality':<13} {printable(run.municipality)}")
        emit(f"{'When':<13} {cron}")
    voice.say(
        f"next: {resolved.command} ls --municipality {shlex.quote(run.municipality)}\n"
        f"      kubectl -n {settings.namespace} get cronworkflow {name}\n"
        f"      kubectl -n {settings.namespace} delete cronworkflow {name}"
    )
