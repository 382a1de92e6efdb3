"""logs, stop and delete: what only the engine of a run can do."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from imgflow_cli.flags import MunicipalityFlag, RunArgument, YesFlag, takes_settings
from imgflow_cli.output import Voice, emit, printable
from imgflow_steps.records import keys
from imgflow_steps.records.run import load
from imgflow_steps.store import Store
from imgflow_workflows.connect import of_run, open_engine
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.standing import OPEN
from imgflow_workflows.submit import lease

if TYPE_CHECKING:
    from imgflow_workflows.engines import Engine


@takes_settings(*PLACES)
def logs(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    municipality: MunicipalityFlag = "",
    step: Annotated[str, typer.Option(metavar="NAME", help="Only of this step.")] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only of containers that failed.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until the run ends.")] = False,
) -> None:
    """Print the logs of a run's containers."""
    engine, known = _engine_of(resolved, store, run, municipality)
    run_id = known.run.id
    if step and step not in (steps := _steps_of(store, run_id)):
        raise ImgflowError(f"run {run_id} has no step {step!r}", f"it has {', '.join(steps)}")
    none = True
    for line in engine.logs(run_id, step=step, failed=failed, follow=follow):
        none = False
        emit(printable(line))
    if none:
        which = " of containers that failed" if failed else ""
        Voice().say(f"Run {run_id} has no logs{which}{f' of step {step}' if step else ''}.")


def _steps_of(store: Store, run_id: str) -> list[str]:
    """The steps whose containers a run has, whatever its layout."""
    pipeline = load(store, run_id).pipeline
    return [*dict.fromkeys(["list", *(call.name for call in pipeline.steps), pipeline.container, "collect"])]


@takes_settings(*PLACES)
def stop(resolved: Resolved, store: Store, run: RunArgument, municipality: MunicipalityFlag = "") -> None:
    """End a run early; what is published stays.

    A run on this machine ends with Ctrl-C where it was started. `imgflow retry RUN` resumes it with it.
    """
    engine, known = _engine_of(resolved, store, run, municipality)
    run_id = known.run.id
    if not engine.detached and known.status not in OPEN:
        raise ImgflowError(f"run {run_id} has ended: {known.status.value}", f"`imgflow get {run_id}` shows how")
    engine.stop(run_id)
    emit(run_id)


@takes_settings(*PLACES)
def delete(
    resolved: Resolved, store: Store, run: RunArgument, municipality: MunicipalityFlag = "", yes: YesFlag = False
) -> None:
    """Forget a run; its results stay.

    Its listing, its report and its Workflow are deleted. Published pictures and the rows of images stay, so that
    later runs reuse them.
    """
    run_id = state.find(store, run, municipality)
    engine = _engine_that_forgets(resolved, store, run_id)
    lease.check_idle(store, run_id, resolved.command)
    if not yes:
        if not sys.stdin.isatty():
            raise ImgflowError(f"nobody can be asked whether to forget run {run_id}", "give --yes to forget it")
        typer.confirm(f"Forget run {run_id} and its report?", abort=True, err=True)
    engine.delete(run_id)
    for prefix in (keys.all_scratch(run_id), keys.whole_run(run_id)):
        store.delete(found.key for found in store.entries(prefix))
    emit(run_id)


def _engine_that_forgets(resolved: Resolved, store: Store, run_id: str) -> Engine:
    """The engine that a run was submitted with, or the one that is set where its documents are damaged."""
    try:
        with state.readable(store, run_id):
            settings = of_run(resolved.settings, load(store, run_id))
    except ImgflowError as error:
        if error.code is not ExitCode.FAILED:
            raise
        settings = resolved.settings
    return open_engine(settings, store)


def _engine_of(resolved: Resolved, store: Store, run: str, municipality: str) -> tuple[Engine, state.RunState]:
    """The engine that a run was submitted with, and the run as the store knows it."""
    known = state.read(store, state.find(store, run, municipality))
    return open_engine(of_run(resolved.settings, known.run), store), known
