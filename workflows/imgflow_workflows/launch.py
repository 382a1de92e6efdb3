"""Start a run, follow it, and write down how it ended where it cannot do so itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_steps import keys
from imgflow_steps.run import Phase, ProgressReader, Summary, read_summary, save
from imgflow_steps.store import StoreError, UnavailableError
from imgflow_workflows import runs
from imgflow_workflows.faults import ExitCode, ImgflowError, translate
from imgflow_workflows.once import looking
from imgflow_workflows.progress import POLL, Display, following
from imgflow_workflows.request import Request, new_id
from imgflow_workflows.words import near_duplicates

if TYPE_CHECKING:
    from imgflow_steps.notify import Webhook
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine


def start(
    request: Request,
    engine: Engine,
    store: Store,
    *,
    say: Callable[[str], None],
    display: AbstractContextManager[Display],
    command: str,
) -> None:
    """Write the run and submit it. Returns at its end, or at once when the engine is detached.

    ``display`` shows its progress; ``command`` is how the user calls imgflow for this place, and hints begin with it.

    Raises ImgflowError when interrupted or when the store is away: its rows are in there, and retry goes on from them.
    """
    run = request.run
    if engine.detached and engine.phase(run.id) in runs.OPEN:
        say(f"run {run.id} is under way already; nothing was started")
        return
    run = request.upload(store)
    if run.left_out:
        table = f"{store.url.rstrip('/')}/{keys.left_out(run.id)}"
        say(f"left out: {near_duplicates(run.left_out)}; which: {table}")
    stale = [found.key for found in store.entries(keys.progress(run.id))]
    store.delete([keys.summary_json(run.id), keys.listing_json(run.id), *stale])  # an earlier attempt's
    save(store, run)
    say(f"run {run.id}")
    if engine.detached:
        engine.submit(run)
        return
    try:
        with following(store, run, display):
            engine.submit(run)
    except KeyboardInterrupt:
        _mark(store, run, Phase.INTERRUPTED, ExitCode.INTERRUPTED, "stopped by Ctrl-C")
        raise ImgflowError(
            f"run {run.id} was interrupted; what was finished is safe in {store.url}",
            f"`{command} retry {run.id}` goes on from there",
            ExitCode.INTERRUPTED,
        ) from None
    except UnavailableError as error:
        _mark(store, run, Phase.FAILED, ExitCode.FAILED, str(error))
        hint = f"`{command} retry {run.id}` goes on from there"
        raise ImgflowError(str(error), hint, ExitCode.UNREACHABLE) from error
    except Exception as error:
        known = translate(error)
        _mark(store, run, Phase.FAILED, known.code if known else ExitCode.FAILED, str(error))
        raise


def look(
    request: Request,
    engine: Engine,
    store: Store,
    *,
    say: Callable[[str], None],
    display: Callable[[Run], AbstractContextManager[Display]],
    command: str,
) -> Request:
    """Where near-duplicates are to be left out, have a run look at the images that none has seen, and wait for its end.

    Gives the request, which is newer than that run. Raises ImgflowError as ``start``, and where it did not succeed.
    """
    if not request.once or (engine.detached and engine.phase(request.run.id) in runs.OPEN):
        return request
    run = looking(request.run, new_id(request.run.municipality))
    with request.selected(store) as selected:
        if not (selected and selected.unseen and selected.unknown):
            return request
        say(f"no run has seen {selected.unknown:,} of the images yet, so one looks at them first")
        store.upload(selected.unseen, run.selection, "application/jsonl")
    start(Request(run, {}), engine, store, say=say, display=display(run), command=command)
    known = wait(run, engine, store, display=display(run), command=command) if engine.detached else None
    known = known or runs.read(store, run.id)
    if known.status is not Phase.SUCCEEDED:
        raise ImgflowError(
            f"run {run.id}, which looks for near-duplicates, ended as {known.status.value}",
            f"`{command} retry {run.id}` tries again what is missing; then give the same command once more",
            ExitCode.FAILED,
        )
    return replace(request, run=request.run.model_copy(update={"created": time.time()}))


@contextmanager
def announcing(webhook: Webhook | None, store: Store, run: Run, say: Callable[[str], None]) -> Iterator[None]:
    """Tell the webhook how a run ended that ended meanwhile; Ctrl-C is no news to who pressed it."""
    try:
        yield
    finally:
        with suppress(StoreError):
            summary = read_summary(store, run.id) if webhook else None
            if webhook and summary and summary.status is not Phase.INTERRUPTED and (why := webhook.tell(summary)):
                say(f"note: {why}")


def _mark(store: Store, run: Run, status: Phase, code: ExitCode, message: str) -> None:
    """Write down how a run ended that never came to its collect."""
    with suppress(StoreError):
        counts = runs.read(store, run.id).counts
        summary = Summary(
            run=run.id,
            municipality=run.municipality,
            digest=run.digest,
            status=status,
            exit=code,
            counts=counts,
            message=message,
            started=run.created,
            ended=time.time(),
        )
        store.write(keys.summary_json(run.id), summary.model_dump_json(indent=1).encode(), "application/json")


def wait(
    run: Run, engine: Engine | None, store: Store, *, display: AbstractContextManager[Display], command: str
) -> runs.Known:
    """Follow a run that goes on elsewhere until it ends. Ctrl-C ends only the following."""
    reader = ProgressReader(store, run.id)
    try:
        with display as shown:
            while True:
                over = engine is not None and engine.phase(run.id) not in {*runs.OPEN, None}
                known = runs.Known(run, reader.read())
                shown.show(known.progress)
                if known.status not in runs.OPEN:
                    return known
                if over:
                    why = f"it ended before anything could be collected; `{command} doctor {run.id}` says why"
                    _mark(store, run, Phase.FAILED, ExitCode.FAILED, why)
                    return runs.read(store, run.id)
                time.sleep(2 * POLL)
    except KeyboardInterrupt:
        raise ImgflowError(
            f"run {run.id} goes on without this terminal",
            f"`{command} watch {run.id}` follows it again, `{command} stop {run.id}` ends it",
            ExitCode.INTERRUPTED,
        ) from None
