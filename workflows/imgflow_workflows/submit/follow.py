"""Whoever started a run, and how they follow it to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.records.progress import ProgressReader
from imgflow_steps.records.run import load, worked
from imgflow_steps.records.summary import Phase, Summary
from imgflow_steps.store import StoreError, UnavailableError
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.runs import state
from imgflow_workflows.runs.progress import POLL, Display
from imgflow_workflows.standing import OPEN

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine


LOST = 45.0  # seconds; what a silent store has cost before it is told counts as well


@dataclass(frozen=True, slots=True)
class Follower:
    """Whoever started a run: a terminal, or a notebook.

    ``say`` prints news and ``warn`` doubts; ``display`` shows a run's progress; ``command`` is how the user calls
    imgflow for this place, and hints begin with it.
    """

    say: Callable[[str], None]
    warn: Callable[[str], None]
    display: Callable[[Run], AbstractContextManager[Display]]
    command: str


def wait(run: Run, engine: Engine | None, store: Store, follower: Follower) -> state.RunState:
    """Follow a run that goes on elsewhere until it ends. Ctrl-C ends only the following.

    With its engine it ends when that says so: a run's summary comes before its report, and one whose Workflow is gone
    never has any. Warns why a run does not move, as far as its engine knows.
    """
    try:
        with follower.display(run) as shown:
            return _followed(run, engine, store, follower, shown)
    except KeyboardInterrupt:
        raise ImgflowError(
            f"run {run.id} continues without this terminal",
            f"`{follower.command} watch {run.id}` follows it again, `{follower.command} stop {run.id}` ends it",
            ExitCode.INTERRUPTED,
        ) from None


@dataclass(slots=True)
class _Line:
    """The way to the cluster and the store: once a run was seen, it may be lost for ``LOST`` seconds."""

    seen: bool = False
    lost: float = 0.0  # since when, by the monotonic clock; 0 while it is there

    @contextmanager
    def held(self, warn: Callable[[str], None]) -> Iterator[None]:
        """Look once. Raises UnavailableError at the first look, and when the line is lost for too long."""
        began = time.monotonic()
        try:
            yield
        except UnavailableError as error:
            if not self.seen or time.monotonic() - (self.lost or began) > LOST:
                raise
            if not self.lost:
                warn(f"the run continues, and cannot be seen at the moment: {error}")
            self.lost = self.lost or began
        else:
            self.seen, self.lost = True, 0.0


def _followed(run: Run, engine: Engine | None, store: Store, follower: Follower, shown: Display) -> state.RunState:
    reader, said, line = ProgressReader(store, run.id), "", _Line()
    while True:
        with line.held(follower.warn):
            theirs = engine.standing(run.id, run.created) if engine else None
            known = state.at(store, run, reader.read())
        if line.lost:
            time.sleep(2 * POLL)
            continue
        known = known.beside(theirs) if engine else known
        shown.show(known.progress)
        if known.status in OPEN:
            if known.standing and known.standing.why not in {"", said}:
                said = known.standing.why
                follower.warn(said)
            time.sleep(2 * POLL)
        elif known.progress.summary:
            return known
        elif (again := load(store, run.id)).created != run.created:
            run = again  # somebody has submitted it once more
        else:
            return _closed(store, known, follower.command)


def _closed(store: Store, known: state.RunState, command: str) -> state.RunState:
    """A run that is over and has no summary, with one."""
    run, failed = known.run, known.status is not Phase.INTERRUPTED
    why = f"it ended before anything could be collected; `{command} doctor {run.id}` says why"
    mark(store, run, known.status, ExitCode.FAILED, why if failed else known.message)
    return state.read(store, run.id)


def mark(store: Store, run: Run, status: Phase, code: ExitCode, message: str) -> None:
    """Write down how a run ended that never came to its collect."""
    with suppress(StoreError):
        counts = state.read(store, run.id).counts
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
            attempts=len(run.earlier) + 1,
            worked=worked(run, time.time()),
        )
        store.write(keys.summary_json(run.id), summary.model_dump_json(indent=1).encode(), "application/json")
