"""Start a run, show how far it is, wait for its end, say how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from imgflow_cli import progress, runs
from imgflow_cli.faults import CliError, ExitCode
from imgflow_cli.output import Format, Voice, document, duration, emit, printable
from imgflow_steps import keys
from imgflow_steps.run import Phase, ProgressReader, Summary, read_summary, save
from imgflow_steps.store import StoreError, UnavailableError

if TYPE_CHECKING:
    from imgflow_cli.request import Request
    from imgflow_steps.notify import Webhook
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine

OPEN = {Phase.PENDING, Phase.RUNNING}


def start(request: Request, engine: Engine, store: Store, voice: Voice, command: str) -> None:
    """Write the run and submit it. Returns at its end, or at once when the engine is detached.

    ``command`` is how the user calls imgflow for this place; hints begin with it.

    Raises CliError when interrupted or when the store is away: its rows are in there, and retry goes on from them.
    """
    run = request.run
    if engine.detached and engine.phase(run.id) in OPEN:
        voice.say(f"run {run.id} is under way already; nothing was started")
        return
    request.upload(store)
    stale = [found.key for found in store.entries(keys.progress(run.id))]
    store.delete([keys.summary_json(run.id), keys.listing_json(run.id), *stale])  # an earlier attempt's
    save(store, run)
    voice.say(f"run {run.id}")
    if engine.detached:
        engine.submit(run)
        return
    try:
        with progress.following(store, run, voice):
            engine.submit(run)
    except KeyboardInterrupt:
        _mark(store, run, Phase.INTERRUPTED, ExitCode.INTERRUPTED, "stopped by Ctrl-C")
        raise CliError(
            f"run {run.id} was interrupted; what was finished is safe in {store.url}",
            f"`{command} retry {run.id}` goes on from there",
            ExitCode.INTERRUPTED,
        ) from None
    except UnavailableError as error:
        _mark(store, run, Phase.FAILED, ExitCode.FAILED, str(error))
        hint = f"`{command} retry {run.id}` goes on from there"
        raise CliError(str(error), hint, ExitCode.UNREACHABLE) from error
    except Exception as error:
        _mark(store, run, Phase.FAILED, ExitCode.FAILED, str(error))
        raise


@contextmanager
def announcing(webhook: Webhook | None, store: Store, run: Run, voice: Voice) -> Iterator[None]:
    """Tell the webhook how a run ended that ended meanwhile; Ctrl-C is no news to who pressed it."""
    try:
        yield
    finally:
        with suppress(StoreError):
            summary = read_summary(store, run.id) if webhook else None
            if webhook and summary and summary.status is not Phase.INTERRUPTED and (why := webhook.tell(summary)):
                voice.say(f"note: {why}")


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


def wait(run: Run, engine: Engine | None, store: Store, voice: Voice, command: str) -> runs.Known:
    """Follow a run that goes on elsewhere until it ends. Ctrl-C ends only the following."""
    reader = ProgressReader(store, run.id)
    try:
        with progress.display(run, voice) as shown:
            while True:
                over = engine is not None and engine.phase(run.id) not in {*OPEN, None}
                known = runs.Known(run, reader.read())
                shown.show(known.progress)
                if known.status not in OPEN:
                    return known
                if over:
                    why = f"it ended before anything could be collected; `{command} doctor {run.id}` says why"
                    _mark(store, run, Phase.FAILED, ExitCode.FAILED, why)
                    return runs.read(store, run.id)
                time.sleep(2 * progress.POLL)
    except KeyboardInterrupt:
        raise CliError(
            f"run {run.id} goes on without this terminal",
            f"`{command} watch {run.id}` follows it again, `{command} stop {run.id}` ends it",
            ExitCode.INTERRUPTED,
        ) from None


def say_how(store: Store, known: runs.Known, form: Format | None) -> None:
    """A run's state on standard output, for people or programs."""
    if form == "name":
        emit(known.run.id)
    elif form in {"json", "yaml"}:
        document(runs.document(store, known), form)
    else:
        _in_words(store, known, wide=form == "wide")


def _in_words(store: Store, known: runs.Known, *, wide: bool) -> None:
    run, summary, counts = known.run, known.progress.summary, known.counts
    ended = f" in {duration(summary.ended - summary.started)}" if summary and summary.started else ""
    facts = {
        "Run": run.id,
        "Municipality": run.municipality,
        "Status": known.status.value + ended + (f": {summary.message}" if summary and summary.message else ""),
        "Images": (
            f"{counts.listed:,} listed = {counts.processed:,} processed + {counts.cached:,} cached"
            f" + {counts.rejected:,} rejected + {counts.failed:,} failed"
            if summary and counts.add_up
            else f"{counts.listed:,} listed, {counts.processed:,} processed so far"
        ),
        "Results": f"{store.url.rstrip('/')}/{keys.results(run.municipality, run.digest)}",
        "Report": summary.report if summary else "",
    }
    if wide:
        listing = known.progress.listing
        facts |= {
            "Pipeline": " → ".join(run.pipeline.labels) + f" ({run.digest})",
            "Source": run.source or "the municipality's dataset",
            "Engine": run.engine,
            "Layout": f"{listing.layout}: {listing.shards} shards, {listing.why}" if listing else "",
            "Version": run.version,
        }
    for name, value in facts.items():
        if value:
            emit(f"{name:<13} {printable(str(value))}")


def next_commands(known: runs.Known, command: str) -> str:
    """What to type next."""
    run_id = known.run.id
    if known.status in OPEN:
        return f"next: {command} watch {run_id}\n      {command} logs {run_id}\n      {command} stop {run_id}"
    return f"next: {command} report {run_id} --open\n      {command} get {run_id} -o json"


def exit_code(known: runs.Known) -> ExitCode:
    """How a command ends that waited for this run."""
    if known.progress.summary:
        return ExitCode(known.progress.summary.exit)
    return ExitCode.DONE if known.status in OPEN else ExitCode.FAILED
