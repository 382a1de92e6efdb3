"""An open store and an engine, and how everything that is asked of them fails: with one ImgflowError."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imgflow import progress
from imgflow_workflows.connect import located, of_run, open_engine, reached
from imgflow_workflows.errors import translate
from imgflow_workflows.runs import state
from imgflow_workflows.standing import OPEN
from imgflow_workflows.submit import launch
from imgflow_workflows.submit.follow import Follower, wait

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine
    from imgflow_workflows.runs.progress import Display
    from imgflow_workflows.settings import Resolved
    from imgflow_workflows.submit.request import Request

LOG = logging.getLogger("imgflow")


@contextmanager
def translated() -> Iterator[None]:
    """What steps and stores raise becomes an ImgflowError, with the words of the command line."""
    try:
        yield
    except Exception as error:
        known = translate(error)
        if known is None or known is error:
            raise
        raise known from error


class Session:
    """What a flow and its runs have in common. ``settings`` are in use until it is closed, or nobody needs it."""

    def __init__(self, resolved: Resolved, *, show: bool) -> None:
        self.asked, self._show = resolved, show  # what a cluster tells of its store is not part of it
        with translated(), ExitStack() as stack:
            self.resolved = located(resolved)
            self._place = stack.enter_context(reached(self.resolved))
            self.close = weakref.finalize(self, stack.pop_all().close)

    @property
    def store(self) -> Store:
        """The store, open."""
        return self._place.store

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around everything that is asked: other S3 clients and child processes reach the same store."""
        with translated(), self._place.in_use():
            yield

    def line(self) -> AbstractContextManager[progress.Line]:
        """A line that says how far something is."""
        return progress.line(show=self._show)

    def display(self, run: Run) -> AbstractContextManager[Display]:
        """The same for a run."""
        return progress.of_run(run, show=self._show)

    def engine(self, run: Run | None = None) -> Engine:
        """The engine of the settings, or of a run, which may be another one."""
        settings = self.resolved.settings
        return open_engine(of_run(settings, run) if run else settings, self.store)

    def start(self, request: Request) -> state.RunState:
        """Start a run; here it is at its end then, on a cluster it has begun."""
        return launch.execute(request, self.engine(), self.store, self._follower, to_the_end=False)

    @property
    def _follower(self) -> Follower:
        return Follower(LOG.info, LOG.warning, self.display, self.resolved.command)

    def wait(self, known: state.RunState) -> state.RunState:
        """Follow a run until it ends; Ctrl-C ends only the following."""
        if known.status not in OPEN:
            return known
        run, settings = known.run, self.resolved.settings
        engine = self.engine(run) if run.engine == settings.engine else None
        return wait(run, engine, self.store, self._follower)

    def run_state(self, run_id: str) -> state.RunState:
        """A run as the store and its cluster see it now."""
        [known], why = state.seen(self.store, self.resolved.settings, [state.read(self.store, run_id)])
        if why:
            LOG.warning("%s", why)
        return known
