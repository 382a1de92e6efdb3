"""submit, plan and retry: three ways to say what shall be done."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from imgflow_cli import outcome
from imgflow_cli.flags import (
    MunicipalityFlag,
    OnceFlag,
    OutputFlag,
    QuietFlag,
    RunArgument,
    SampleFlag,
    SeedFlag,
    WhereFlag,
    takes_settings,
)
from imgflow_cli.output import Format, Voice, document, emit, printable
from imgflow_cli.plan import say_plan
from imgflow_cli.progress import display
from imgflow_steps.lint import doubts
from imgflow_steps.run import Run
from imgflow_steps.store import Store
from imgflow_workflows import launch, runs
from imgflow_workflows.argo import schedule_name
from imgflow_workflows.catalog.choice import Choice
from imgflow_workflows.faults import ImgflowError
from imgflow_workflows.opening import open_argo, open_engine, where
from imgflow_workflows.request import Asked, Request, again, begin, build
from imgflow_workflows.settings import PLACES, Resolved

if TYPE_CHECKING:
    from imgflow_steps.notify import Webhook

SourceFlag = Annotated[str, typer.Option(metavar="DIR|URL", help="Photographs that lie elsewhere; only read.")]
PipelineFlag = Annotated[Path | None, typer.Option(metavar="FILE", help="A pipeline of your own, as YAML or JSON.")]
StepsFlag = Annotated[
    str, typer.Option(metavar="STEPS|@FILE", help="Steps in short, such as 'scale:1024x768,blur:median', or a file.")
]
FormatFlag = Annotated[
    Literal["jpeg", "jpg", "png", "webp", "none"] | None,
    typer.Option("--format", help="What pictures are written as; none: findings only."),
]
SetFlag = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="STEP.NAME=VALUE", help="Change a parameter, such as scale.width=512; repeatable."),
]
RejectedFlag = Annotated[
    str, typer.Option(metavar="N|N%", help="How many images may be rejected before the run fails.")
]
RetryFlag = Annotated[
    Literal["failed", "rejected"] | None,
    typer.Option(help="What of earlier runs is tried again; rejected includes failed.  [default: failed]"),
]
NotifyFlag = Annotated[
    str,
    typer.Option(
        metavar="URL",
        help="Webhook that gets the summary when the run ends here; IMGFLOW_NOTIFY_URL keeps it out of the history.",
    ),
]
CUTS = ("nodes", "layout", "shard_size")


@takes_settings(*PLACES, "workers", *CUTS)
def submit(
    resolved: Resolved,
    store: Store,
    municipality: MunicipalityFlag = "",
    source: SourceFlag = "",
    pipeline: PipelineFlag = None,
    steps: StepsFlag = "",
    form: FormatFlag = None,
    changes: SetFlag = None,
    max_rejected: RejectedFlag = "",
    retry: RetryFlag = None,
    condition: WhereFlag = "",
    sample: SampleFlag = 0,
    seed: SeedFlag = 0,
    once: OnceFlag = False,
    run: Annotated[str, typer.Option(metavar="ID", help="Name the run, or go on with the one of that name.")] = "",
    watch: Annotated[bool, typer.Option("--watch", help="argo: show progress until the run ends.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="argo: wait in silence until the run ends.")] = False,
    cron: Annotated[
        str,
        typer.Option(metavar="SCHEDULE", help="argo: do it again and again, such as '0 3 * * *'; in UTC as a rule."),
    ] = "",
    notify: NotifyFlag = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Run a municipality's photographs through the pipeline.

    What earlier runs with the same pipeline finished is not done again. On this machine the command
    ends with the run; on a cluster it returns at once unless --watch or --wait is given. With --cron
    nothing runs now: the cluster starts a run at these times, and --run names the schedule.
    """
    voice = Voice(quiet=quiet)
    asked = Asked(
        municipality,
        source,
        pipeline,
        steps,
        form or "",
        changes or (),
        max_rejected,
        retry=retry or "",
        run=run,
        choice=Choice(condition, sample, seed),
        once=once,
    )
    voice.say(where(resolved))
    webhook = _webhook(notify, resolved)
    if cron and not dry_run:
        _schedule(asked, cron, resolved, store, voice, output)
        return
    request = begin(asked, resolved.settings, store)
    _note(request.run, voice)
    if dry_run:
        say_plan(store, request, output)
        return
    _run(request, resolved, store, voice, output, webhook, patient=watch or wait, silent=wait and not watch)


@takes_settings(*PLACES, "workers", *CUTS)
def plan(
    resolved: Resolved,
    store: Store,
    municipality: MunicipalityFlag,
    source: SourceFlag = "",
    pipeline: PipelineFlag = None,
    steps: StepsFlag = "",
    form: FormatFlag = None,
    changes: SetFlag = None,
    retry: RetryFlag = None,
    condition: WhereFlag = "",
    sample: SampleFlag = 0,
    seed: SeedFlag = 0,
    once: OnceFlag = False,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Say what submit would do, and why, without doing it.

    Nothing is written to the store, and no image is read.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    choice = Choice(condition, sample, seed)
    asked = Asked(
        municipality, source, pipeline, steps, form or "", changes or (), retry=retry or "", choice=choice, once=once
    )
    request = build(asked, resolved.settings, store)
    _note(request.run, voice)
    say_plan(store, request, output)


@takes_settings(*PLACES, "workers")
def retry(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    municipality: MunicipalityFlag = "",
    rejected: Annotated[bool, typer.Option("--rejected", help="Try rejected images again, too.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="argo: show progress until the run ends.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="argo: wait in silence until the run ends.")] = False,
    notify: NotifyFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Go on with a run: what failed or is missing is done again.

    The same as `imgflow submit --run RUN`.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    webhook = _webhook(notify, resolved)
    asked = Asked("", retry="rejected" if rejected else "", run=runs.find(store, run, municipality))
    known = runs.read(store, asked.run)
    request = again(known.run, asked, resolved.settings, store)
    _run(request, resolved, store, voice, output, webhook, patient=watch or wait, silent=wait and not watch)


def _webhook(url: str, resolved: Resolved) -> Webhook | None:
    """Who is told of the end of a run on this machine; on a cluster the cluster tells."""
    from imgflow_steps.notify import Webhook  # noqa: PLC0415 - loads an HTTP client

    if resolved.settings.engine != "argo":
        return Webhook.from_environment(os.environ, url)
    if url:
        raise ImgflowError(
            "on a cluster the webhook's address is in Secret imgflow-notify, and no run carries it",
            "set notify.url of the chart, or make the Secret with IMGFLOW_NOTIFY_URL yourself",
        )
    return None


def _note(run: Run, voice: Voice) -> None:
    for fault in doubts(run.pipeline):
        voice.say(f"note: {fault}")


def _run(
    request: Request,
    resolved: Resolved,
    store: Store,
    voice: Voice,
    output: Format | None,
    webhook: Webhook | None,
    *,
    patient: bool,
    silent: bool,
) -> None:
    engine = open_engine(resolved.settings, store)
    run, command = request.run, resolved.command
    request = launch.look(
        request, engine, store, say=voice.say, display=lambda looked: display(looked, voice), command=command
    )
    with launch.announcing(webhook, store, run, voice.say):
        launch.start(request, engine, store, say=voice.say, display=display(run, voice), command=command)
    known = runs.read(store, run.id)
    if engine.detached and patient:
        watched = display(run, Voice(quiet=silent or voice.quiet))
        known = launch.wait(known.run, engine, store, display=watched, command=command)
    outcome.say_how(store, known, output)
    voice.say(outcome.next_commands(known, command))
    raise typer.Exit(outcome.exit_code(known))


def _schedule(asked: Asked, cron: str, resolved: Resolved, store: Store, voice: Voice, output: Format | None) -> None:
    """Without --run the schedule is named after the municipality, so that the same command replaces it."""
    settings = resolved.settings
    if settings.engine != "argo":
        raise ImgflowError("only a cluster keeps schedules", "give --engine argo with --cron")
    if asked.choice or asked.once:
        raise ImgflowError(
            "--where, --sample and --once choose now, and --cron runs later", "schedule all, or submit without --cron"
        )
    request = build(asked, settings, store)
    run = request.run
    name = asked.run or schedule_name(run.municipality)
    engine = open_argo(settings, store)
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
