"""Runs as they lie in the store: found by name, read, and put into one stable document each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imgflow_steps import keys
from imgflow_steps.collect.report import single_file
from imgflow_steps.contract import unreadable
from imgflow_steps.run import Phase, Progress, ProgressReader, Run, load
from imgflow_steps.spelling import nearest
from imgflow_steps.store import NotFoundError
from imgflow_workflows.faults import ExitCode, ImgflowError

if TYPE_CHECKING:
    from imgflow_steps.contract import Counts
    from imgflow_steps.store import Store

LATEST = "@latest"
OPEN = {Phase.PENDING, Phase.RUNNING}
ARRIVING = 30  # seconds that a report may be under way into the store
READERS = 16  # runs read at the same time
SILENCE = 60  # seconds, beyond what its images may take, after which an unfinished run here has been interrupted


@dataclass(frozen=True, slots=True)
class Known:
    """A run and how far it is."""

    run: Run
    progress: Progress

    @property
    def counts(self) -> Counts:
        """Counts so far."""
        return self.progress.counts

    @property
    def status(self) -> Phase:
        """Where it stands. A run of this machine that has been silent for long was interrupted."""
        phase = self.progress.phase
        if phase not in OPEN or self.run.engine == "argo":
            return phase
        heard = max([self.run.created, *(step.updated for step in self.progress.steps.values())])
        patience = SILENCE + 2 * self.run.pipeline.limits.seconds
        return Phase.INTERRUPTED if time.time() - heard > patience else phase


def read(store: Store, run_id: str) -> Known:
    """One run. Raises ImgflowError when it is not there or cannot be read."""
    with readable(store, run_id):
        run = load(store, run_id)
        return Known(run, ProgressReader(store, run_id).read())


@contextmanager
def readable(store: Store, run_id: str) -> Iterator[None]:
    """Raises ImgflowError for a run that turns out not to be there, or not to be read, inside of the context."""
    try:
        yield
    except NotFoundError:
        raise _unknown(store, run_id) from None
    except ValidationError as error:
        raise ImgflowError(
            f"run {run_id} in {store.url} cannot be read: {unreadable(error)}",
            "was it written by another version of imgflow?",
            ExitCode.FAILED,
        ) from error


def every(store: Store, municipality: str = "") -> list[Known]:
    """All readable runs, newest first, of one municipality when it is named."""
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda run_id: _maybe(store, run_id), store.folders("runs/"))
        known = [one for one in found if one and municipality in {"", one.run.municipality}]
    return sorted(known, key=lambda one: one.run.created, reverse=True)


def _maybe(store: Store, run_id: str) -> Known | None:
    try:
        return read(store, run_id)
    except ImgflowError:
        return None  # a folder that is no run (yet), or a run of another version: not this list's to judge


def find(store: Store, name: str, municipality: str = "") -> str:
    """The id of a run: ``name`` itself, or the newest one's for ``@latest``. Raises ImgflowError."""
    if name != LATEST:
        return keys.check_run(name)
    known = every(store, municipality)
    if not known:
        whose = f" of {municipality}" if municipality else ""
        raise ImgflowError(
            f"there is no run{whose} in {store.url}", "start one with `imgflow submit --municipality NAME`"
        )
    return known[0].run.id


def _unknown(store: Store, run_id: str) -> ImgflowError:
    return ImgflowError(
        f"there is no run {run_id!r} in {store.url}",
        nearest(run_id, list(store.folders("runs/"))) or "`imgflow ls` lists them",
    )


def check_ended(store: Store, known: Known, command: str) -> None:
    """Raises ImgflowError, with what to do, for a run that has no results yet; ``command`` as in ``launch.start``."""
    if known.progress.summary is None or store.stat(keys.results_jsonl(known.run.id)) is None:
        raise _unfinished(known, "results", "them", command)


def read_report(store: Store, known: Known, command: str) -> bytes:
    """A run's report as one file. Raises as ``check_ended``."""
    check_report(known, command)
    prefix = keys.report(known.run.id)
    until = time.monotonic() + (ARRIVING if known.run.engine == "argo" else 0)
    while True:
        try:
            return single_file(lambda name: store.read(prefix + name))
        except NotFoundError:  # Argo brings it, file by file, when collect has ended with its summary
            if time.monotonic() >= until:
                raise
            time.sleep(1)


def check_report(known: Known, command: str) -> str:
    """Where a run's report is. Raises as ``check_ended``."""
    if not (known.progress.summary and known.progress.summary.report):
        raise _unfinished(known, "report", "it", command)
    return known.progress.summary.report


def _unfinished(known: Known, what: str, it: str, command: str) -> ImgflowError:
    following = "watch" if known.status in OPEN else "retry"
    return ImgflowError(
        f"run {known.run.id} is {known.status.value} and has no {what} yet",
        f"`{command} {following} {known.run.id}` brings {it}",
        ExitCode.FAILED,
    )


def municipalities(store: Store) -> list[str]:
    """Names of all municipalities with a dataset."""
    return [keys.decode(segment) for segment in store.folders("datasets/")]


def document(store: Store, known: Known) -> dict[str, Any]:
    """What ``-o json`` says of a run; keys are only ever added."""
    run, progress = known.run, known.progress
    summary, listing = progress.summary, progress.listing
    return {
        "run": run.id,
        "municipality": run.municipality,
        "status": known.status.value,
        "exit": summary.exit if summary else None,
        "counts": known.counts.model_dump(),
        "report": summary.report if summary else "",
        "results": f"{store.url.rstrip('/')}/{keys.results(run.municipality, run.digest)}",
        "duplicates": summary.duplicates if summary else None,
        "left_out": run.left_out,
        "absent": listing.absent if listing else 0,
        "message": summary.message if summary else "",
        "digest": run.digest,
        "pipeline": run.pipeline.labels,
        "source": run.source,
        "engine": run.engine,
        "store": store.url,
        "layout": listing.layout if listing else "",
        "shards": listing.shards if listing else 0,
        "created": run.created,
        "ended": summary.ended if summary else None,
        "version": run.version,
    }
