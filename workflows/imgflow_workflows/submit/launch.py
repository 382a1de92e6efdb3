"""The one way to start a run: note what is doubtful, start, announce and, where that is asked, follow to the end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.records import keys
from imgflow_steps.records.run import load, save
from imgflow_steps.records.summary import Phase, read_summary
from imgflow_steps.store import DamagedError, DeniedError, StoreError, UnavailableError, UnwritableError
from imgflow_steps.worker.notify import Webhook
from imgflow_workflows.errors import ExitCode, ImgflowError, translate
from imgflow_workflows.results import intact
from imgflow_workflows.runs import state
from imgflow_workflows.runs.progress import following
from imgflow_workflows.standing import OPEN
from imgflow_workflows.submit import lease
from imgflow_workflows.submit.attempts import attempts, once_more_after
from imgflow_workflows.submit.deduplicate import looking
from imgflow_workflows.submit.follow import Follower, mark, wait
from imgflow_workflows.submit.reporting import reporting
from imgflow_workflows.submit.request import Request, check_same, new_id
from imgflow_workflows.text import counted, near_duplicates

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine
    from imgflow_workflows.submit.lease import Held


def execute(
    request: Request, engine: Engine, store: Store, follower: Follower, *, notify: str = "", to_the_end: bool = True
) -> state.RunState:
    """Do what was asked for, and give the run as it stands then.

    ``notify`` is a webhook's URL, else that of the environment counts; on a cluster the cluster tells. A detached
    engine's run is followed ``to_the_end``, or has only begun. Raises ImgflowError as ``start`` and ``wait`` do.
    """
    webhook = announced_to(engine, notify)
    for fault in doubts(request.run.pipeline):
        follower.warn(str(fault))
    request = look(request, engine, store, follower)
    with announcing(webhook, store, request.run, follower.warn):
        start(request, engine, store, follower)
    known = state.read(store, request.run.id)
    return wait(known.run, engine, store, follower) if engine.detached and to_the_end else known


def announced_to(engine: Engine, url: str) -> Webhook | None:
    """Who is told of the end of a run on this machine. Raises ImgflowError for a ``url`` where the cluster tells."""
    if not engine.detached:
        return Webhook.from_environment(os.environ, url)
    if url:
        raise ImgflowError(
            "on a cluster the webhook's address is in Secret imgflow-notify, and no run carries it",
            "set notify.url of the chart, or make the Secret with IMGFLOW_NOTIFY_URL yourself",
        )
    return None


def start(request: Request, engine: Engine, store: Store, follower: Follower) -> None:
    """Write the run and submit it. Returns at its end, or at once when the engine is detached.

    Raises ImgflowError when interrupted or when the store is away: its rows are in there, and retry goes on from them.
    """
    say, command = follower.say, follower.command
    phase = engine.phase(request.run.id) if engine.detached else None
    if phase in OPEN:
        _check_nothing_more(request, phase, store, command)
    if phase is Phase.SUSPENDED:
        check_same(store, request.run)
        engine.submit(request.run)
        say(f"run {request.run.id} was suspended and is resumed")
        return
    held = lease.claim(store, request.run, engine, phase, take_over=request.take_over, say=say, command=command)
    if held is None:
        check_same(store, request.run)
        say(f"run {request.run.id} is under way already; nothing was started")
        return
    with held.renewed(engine.abandon, kept=engine.detached):
        check_same(store, request.run)
        run = _written(request, store, say)
        held.check(command)
        if engine.detached:
            engine.submit(run)
        else:
            _follow(run, engine, store, held, follower)
    held.check(command)


def _check_nothing_more(request: Request, phase: Phase | None, store: Store, command: str) -> None:
    """Raises ImgflowError where what was asked for is done when an attempt begins, and this one has begun."""
    run, rejected = request.run, request.run.list.retry == "rejected"
    if request.repair or (rejected and load(store, run.id).list.retry != "rejected"):
        flag, what = ("--repair", "compares its pictures") if request.repair else ("--rejected", "asks again")
        first = "retry" if phase is Phase.SUSPENDED else "watch"
        raise ImgflowError(
            f"run {run.id} is {phase}, and only an attempt that begins {what}; nothing was changed",
            f"`{command} {first} {run.id}`, and when it has ended `{command} retry {run.id} {flag}`",
            ExitCode.FAILED,
        )


def _written(request: Request, store: Store, say: Callable[[str], None]) -> Run:
    """The run as it lies in the store then, with all that it needs, and without what an earlier attempt left."""
    run = once_more_after(request.upload(store), attempts(store, request.run.id))
    if run.left_out:
        table = f"{store.url.rstrip('/')}/{keys.left_out(run.id)}"
        say(f"skipped: {near_duplicates(run.left_out)}; which: {table}")
    if request.repair:  # which may take long, and be stopped: the run has its results until then
        found = intact.Look()
        images = intact.mark(store, run, found)
        harmed = f"{counted(images, 'image')} with gone or damaged ones"
        say(f"{counted(found.pictures, 'picture')} compared: {harmed}")
    stale = [found.key for found in store.entries(keys.progress(run.id))]
    store.delete([keys.summary_json(run.id), keys.listing_json(run.id), *stale])  # an earlier attempt's
    save(store, run)
    say(f"run {run.id}")
    return run


def _follow(run: Run, engine: Engine, store: Store, held: Held, follower: Follower) -> None:
    """Work on a run until it ends. Raises as ``start``, and where somebody has taken the run over."""
    command = follower.command
    try:
        with following(store, run, follower.display(run)), reporting(store, run):
            engine.submit(run)
    except KeyboardInterrupt:
        mark(store, run, Phase.INTERRUPTED, ExitCode.INTERRUPTED, "stopped by Ctrl-C")
        raise ImgflowError(
            f"run {run.id} was interrupted; what was finished is safe in {store.url}",
            f"`{command} retry {run.id}` resumes it",
            ExitCode.INTERRUPTED,
        ) from None
    except Exception as error:
        held.check(command)
        _failed(error, store, run, command)
        raise


def _failed(error: Exception, store: Store, run: Run, command: str) -> None:
    """Write down why a run ended. Raises ImgflowError with what to do, where the store is at fault."""
    if isinstance(error, (DamagedError, DeniedError, UnavailableError)):
        hint = f"`{command} retry {run.id}` resumes it"
        code = ExitCode.FAILED if isinstance(error, (DamagedError, UnwritableError)) else ExitCode.UNREACHABLE
        mark(store, run, Phase.FAILED, code, str(error))
        raise ImgflowError(str(error), hint, code) from error
    known = translate(error)
    mark(store, run, Phase.FAILED, known.code if known else ExitCode.FAILED, str(error))


def look(request: Request, engine: Engine, store: Store, follower: Follower) -> Request:
    """Where near-duplicates are to be left out, have a run look at the images that none has seen, and wait for its end.

    Gives the request, which is newer than that run. Raises ImgflowError as ``start``, and where it did not succeed.
    """
    if not request.once or (engine.detached and engine.phase(request.run.id) in OPEN):
        return request
    run = looking(request.run, new_id(request.run.municipality))
    with request.selected(store) as selected:
        if not (selected and selected.unseen and selected.unknown):
            return request
        follower.say(f"no run has seen {selected.unknown:,} of the images yet, so one looks at them first")
        store.upload(selected.unseen, run.selection, "application/jsonl")
    start(Request(run, {}), engine, store, follower)
    known = state.read(store, run.id)
    known = wait(known.run, engine, store, follower) if engine.detached else known
    if known.status is not Phase.SUCCEEDED:
        raise ImgflowError(
            f"run {run.id}, which looks for near-duplicates, ended as {known.status.value}",
            f"`{follower.command} retry {run.id}` tries again what is missing; then give the same command once more",
            ExitCode.FAILED,
        )
    return replace(request, run=request.run.model_copy(update={"created": time.time()}))


@contextmanager
def announcing(webhook: Webhook | None, store: Store, run: Run, warn: Callable[[str], None]) -> Iterator[None]:
    """Tell the webhook how a run ended that ended meanwhile; Ctrl-C is no news to who pressed it."""
    try:
        yield
    finally:
        with suppress(StoreError):
            summary = read_summary(store, run.id) if webhook else None
            if webhook and summary and summary.status is not Phase.INTERRUPTED and (why := webhook.tell(summary)):
                warn(why)
