"""An open store and an engine, and how everything that is asked of them fails: with one ImgflowError."""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imgflow import progress
from imgflow_steps.lint import doubts
from imgflow_workflows import launch, runs
from imgflow_workflows.faults import translate
from imgflow_workflows.opening import located, open_engine, reached

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from imgflow_steps.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine
    from imgflow_workflows.progress import Display
    from imgflow_workflows.request import Request
    from imgflow_workflows.settings import Resolved

LOG = logging.getLogger("imgflow")


@contextmanager
def told() -> Iterator[None]:
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
        with told(), ExitStack() as stack:
            self.resolved = located(resolved)
            self._place = stack.enter_context(reached(self.resolved))
            self.close = weakref.finalize(self, stack.pop_all().close)
        self._show = show

    @property
    def store(self) -> Store:
        """The store, open."""
        return self._place.store

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around everything that is asked: other S3 clients and child processes reach the same store."""
        with told(), self._place.told():
            yield

    def line(self) -> AbstractContextManager[progress.Line]:
        """A line that says how far something is."""
        return progress.line(show=self._show)

    def display(self, run: Run) -> AbstractContextManager[Display]:
        """The same for a run."""
        return progress.of_run(run, show=self._show)

    def engine(self, name: str = "") -> Engine:
        """The engine of the settings, or of a run that was submitted with another one."""
        settings = self.resolved.settings
        return open_engine(settings.model_copy(update={"engine": name} if name else {}), self.store)

    def start(self, request: Request) -> runs.Known:
        """Start a run; here it is at its end then, on a cluster it has begun."""
        from imgflow_steps.notify import Webhook  # noqa: PLC0415 - loads an HTTP client

        run, engine = request.run, self.engine()
        for fault in doubts(run.pipeline):
            LOG.warning("%s", fault)
        webhook = None if engine.detached else Webhook.from_environment(os.environ)
        command = self.resolved.command
        request = launch.look(request, engine, self.store, say=LOG.info, display=self.display, command=command)
        with launch.announcing(webhook, self.store, run, LOG.warning):
            launch.start(request, engine, self.store, say=LOG.info, display=self.display(run), command=command)
        return runs.read(self.store, run.id)

    def wait(self, known: runs.Known) -> runs.Known:
        """Follow a run until it ends; Ctrl-C ends only the following."""
        if known.status not in runs.OPEN:
            return known
        run, settings = known.run, self.resolved.settings
        engine = self.engine() if run.engine == settings.engine else None
        return launch.wait(run, engine, self.store, display=self.display(run), command=self.resolved.command)
