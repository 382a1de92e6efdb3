"""Runs as they lie in the store: found by name, read, and put into one stable document each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imgflow_steps.contract.step import BadParametersError, unreadable
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.records import keys, lease
from imgflow_steps.records.progress import Progress, look
from imgflow_steps.records.run import Run, load
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import NotFoundError, StoreError
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.connect import of_run, open_argo
from imgflow_workflows.errors import DAMAGED, ExitCode, ImgflowError
from imgflow_workflows.runs.document import RunDocument
from imgflow_workflows.runs.history import of_every_run
from imgflow_workflows.standing import OPEN, Standing, together

if TYPE_CHECKING:
    from imgflow_steps.contract.job import Counts
    from imgflow_steps.store import Store
    from imgflow_workflows.settings import Settings

LATEST = "@latest"
ARRIVING = 30  # seconds that a report may be under way into the store
READERS = 16  # runs read at the same time
SILENCE = 60  # seconds, beyond what its images may take, after which an unfinished run here has been interrupted


@dataclass(frozen=True, slots=True)
class RunState:
    """A run and how far it is."""

    run: Run
    progress: Progress
    standing: Standing | None = None  # where its cluster was asked, too
    abandoned: bool = False  # unfinished, and the process of this machine that worked on it is dead
    renewed: float = 0.0  # when who works on it said so last, by the store's clock; 0 where nobody does

    @property
    def counts(self) -> Counts:
        """Counts so far."""
        return self.progress.counts

    @property
    def status(self) -> Phase:
        """Where it stands. A run of this machine that has been silent for long was interrupted."""
        if self.standing:
            return self.standing.phase
        phase = self.progress.phase
        if phase not in OPEN or self.run.engine == "argo":
            return phase
        told = (step.updated for step in self.progress.steps.values())
        heard = max([self.run.created, self.renewed, *told])
        patience = SILENCE + 2 * self.run.pipeline.limits.seconds
        return Phase.INTERRUPTED if self.abandoned or time.time() - heard > patience else phase

    @property
    def message(self) -> str:
        """What a person has to know of how it ended, or of why it does not go on."""
        said = self.progress.summary.message if self.progress.summary else ""
        return said or (self.standing.why if self.standing else "")

    def beside(self, theirs: Standing | None) -> RunState:
        """The same run where its cluster has said where it stands, None when it knows no such run."""
        age = time.time() - self.run.created
        return replace(self, standing=together(self.run.id, self.progress.phase, age, theirs))


def read(store: Store, run_id: str) -> RunState:
    """One run. Raises ImgflowError when it is not there or cannot be read."""
    with readable(store, run_id):
        run = load(store, run_id)
        return at(store, run, look(store, run))


def at(store: Store, run: Run, progress: Progress) -> RunState:
    """A run that is so far; of an unfinished one that no cluster has, its lease tells whether it will go on."""
    asked = progress.phase in OPEN and run.engine != "argo"
    held = lease.read(store, run.id) if asked else None
    if held is None:
        return RunState(run, progress)
    return RunState(run, progress, abandoned=held[0].dead, renewed=held[1].placed)


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
            DAMAGED,
            ExitCode.FAILED,
        ) from error


def every(store: Store, municipality: str = "", *, skipped: Callable[[str], object] = len) -> list[RunState]:
    """All readable runs, newest first, of one municipality when it is named; ``skipped`` is told why others are not."""
    known = []
    for one in of_every_run(store, lambda run_id: _maybe(store, run_id, municipality)):
        if isinstance(one, str):
            skipped(one)
        elif one:
            known.append(one)
    return sorted(known, key=lambda one: one.run.created, reverse=True)


def _maybe(store: Store, run_id: str, municipality: str) -> RunState | str | None:
    """A run, why it cannot be read, or None for one of another municipality and a folder that is no run (yet)."""
    try:
        with readable(store, run_id):
            run = load(store, run_id)
            return at(store, run, look(store, run)) if municipality in {"", run.municipality} else None
    except ImgflowError as error:
        return error.message if error.code is ExitCode.FAILED else None


def seen(store: Store, settings: Settings, known: Sequence[RunState]) -> tuple[list[RunState], str]:
    """Runs as the cluster sees them, too, each in its namespace, where that is the engine of these settings.

    And why the cluster could not be asked, "" when it could: those runs stand where the store says.
    """
    refused: list[str] = []
    opened = cache(lambda namespace: open_argo(settings.model_copy(update={"namespace": namespace}), store))

    def look(one: RunState) -> RunState:
        if not (one.run.engine == settings.engine == "argo") or refused:
            return one
        try:
            engine = opened(of_run(settings, one.run).namespace)
            return one.beside(engine.standing(one.run.id, one.run.created))
        except (StoreError, BadParametersError) as error:
            refused.append(str(error))
            return one

    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(look, known)), refused[0] if refused else ""


def find(store: Store, name: str, municipality: str = "") -> str:
    """The id of a run: ``name`` itself, or the newest one's for ``@latest``. Raises ImgflowError."""
    if name != LATEST:
        return keys.check_run(name)
    readable_runs = (one for one in of_every_run(store, lambda run_id: _request(store, run_id)) if one)
    known = [run for run in readable_runs if municipality in {"", run.municipality}]
    if not known:
        whose = f" of {municipality}" if municipality else ""
        raise ImgflowError(
            f"there is no run{whose} in {store.url}", "start one with `imgflow submit --municipality NAME`"
        )
    return max(known, key=lambda run: run.created).id


def _request(store: Store, run_id: str) -> Run | None:
    """What a run was to do, None where that cannot be read: the newest is looked for among the others."""
    try:
        with readable(store, run_id):
            return load(store, run_id)
    except ImgflowError:
        return None


def _unknown(store: Store, run_id: str) -> ImgflowError:
    others = list(store.folders("runs/"))
    if run_id in others:
        what = (
            f"{store.url} has leftovers of run {run_id!r}, but not what it was to do: was the store emptied meanwhile?"
        )
        return ImgflowError(what, f"`imgflow doctor {run_id}` shows more; `imgflow ls` lists the runs")
    return ImgflowError(
        f"there is no run {run_id!r} in {store.url}", nearest(run_id, others) or "`imgflow ls` lists them"
    )


def check_ended(store: Store, known: RunState, command: str) -> None:
    """Raises ImgflowError, with what to do, for a run that has no results yet; ``command`` as in ``Follower``."""
    summary = known.progress.summary  # without a report the attempt broke off, and what lies there is an older one's
    if summary is None or not summary.report or store.stat(keys.results_jsonl(known.run.id)) is None:
        raise _unfinished(known, "results", "them", command)


def read_report(store: Store, known: RunState, command: str) -> bytes:
    """A run's report as one file; of a run without results, on whatever engine, how far it is now.

    Raises ImgflowError for a run that has listed nothing yet.
    """
    if not (known.progress.summary and known.progress.summary.report):
        return _so_far(store, known, command)
    from imgflow_steps.report.report import single_file  # noqa: PLC0415 - the other commands need no report

    prefix = keys.report(known.run.id)
    until = time.monotonic() + (ARRIVING if known.run.engine == "argo" else 0)
    while True:
        try:
            return single_file(lambda name: store.read(prefix + name))
        except NotFoundError:  # Argo brings it, file by file, when collect has ended with its summary
            if time.monotonic() >= until:
                raise
            time.sleep(1)


def _so_far(store: Store, known: RunState, command: str) -> bytes:
    from imgflow_steps.collect.so_far import SoFar  # noqa: PLC0415 - as above
    from imgflow_steps.report.report import single_file  # noqa: PLC0415 - as above

    with temporary() as folder:
        if not SoFar(store, known.run).write(folder, known.status):
            raise _unfinished(known, "report", "it", command)
        return single_file(lambda name: (folder / name).read_bytes())


def place_of_report(store: Store, known: RunState, command: str) -> str:
    """Where a run's report is; while it goes on, where its last page is. Raises ImgflowError where it has none yet."""
    if known.progress.summary and known.progress.summary.report:
        return known.progress.summary.report
    from imgflow_steps.report.report import FIRST  # noqa: PLC0415 - as above

    first, begun = store.stat(keys.report(known.run.id) + FIRST), store.stat(keys.run_json(known.run.id))
    if first and begun and first.placed >= begun.placed:  # and not an earlier attempt's
        return f"{store.url.rstrip('/')}/{first.key}"
    if known.progress.listing is None:
        raise _unfinished(known, "report", "it", command)
    raise ImgflowError(
        f"run {known.run.id} is {known.status.value} and its report is not in the store yet",
        f"`{command} report {known.run.id} --open` shows how far it is now",
        ExitCode.FAILED,
    )


def _unfinished(known: RunState, what: str, it: str, command: str) -> ImgflowError:
    following = "watch" if known.status in OPEN else "retry"
    return ImgflowError(
        f"run {known.run.id} is {known.status.value} and has no {what} yet",
        f"`{command} {following} {known.run.id}` brings {it}",
        ExitCode.FAILED,
    )


def municipalities(store: Store) -> list[str]:
    """Names of all municipalities with a dataset."""
    return [keys.decode(segment) for segment in store.folders("datasets/")]


def document(store: Store, known: RunState) -> dict[str, Any]:
    """What ``-o json`` says of a run; keys are only ever added."""
    run, progress = known.run, known.progress
    summary, listing = progress.summary, progress.listing
    told = RunDocument(
        run=run.id,
        municipality=run.municipality,
        status=known.status,
        exit=summary.exit if summary else None,
        counts=known.counts,
        report=summary.report if summary else "",
        results=f"{store.url.rstrip('/')}/{keys.results(run.municipality, run.digest)}",
        duplicates=summary.duplicates if summary else None,
        left_out=run.left_out,
        unlisted=listing.unlisted if listing else {},
        absent=listing.absent if listing else 0,
        examples=summary.examples if summary else [],
        message=known.message,
        digest=run.digest,
        pipeline=run.pipeline.labels,
        source=run.source,
        engine=run.engine,
        store=store.url,
        layout=listing.layout if listing else "",
        shards=listing.shards if listing else 0,
        created=run.created,
        ended=summary.ended if summary else None,
        version=run.version,
    )
    return told.model_dump(mode="json")
