"""How far something is, in one line that changes: in a notebook with a bar, on a terminal in place, else not at all."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Protocol

from imgflow_steps.report.markup import tag
from imgflow_workflows.runs.progress import Watcher, describe
from imgflow_workflows.text import added_up

if TYPE_CHECKING:
    from imgflow_steps.records.progress import Progress
    from imgflow_steps.records.run import Run

PAUSE = 0.2  # seconds between two looks of a line, at least


class Line(Protocol):
    """Where a line is shown."""

    def show(self, text: str, done: int = 0, total: int = 0, *, last: bool = False) -> None:
        """Say how far it is; ``last`` is what stays, and is never left out for being early."""


class _Silence:
    def show(self, text: str, done: int = 0, total: int = 0, *, last: bool = False) -> None:
        pass


class _Paced(ABC):
    """Leaves out what comes too early to be read."""

    def __init__(self) -> None:
        self._shown = 0.0

    def show(self, text: str, done: int = 0, total: int = 0, *, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._shown >= PAUSE:
            self._shown = now
            self.write(text, done, total, last=last)

    @abstractmethod
    def write(self, text: str, done: int, total: int, *, last: bool) -> None: ...


class _Terminal(_Paced):
    """Writes over its line, which what comes next never shares with it, not even an error."""

    under_way = False

    def write(self, text: str, done: int, total: int, *, last: bool) -> None:  # noqa: ARG002 - a bar for notebooks
        shown = text if last else text[: get_terminal_size().columns - 1]  # or it would wrap, and stay
        sys.stderr.write(f"\r\x1b[K{shown}" + ("\n" if last else ""))
        sys.stderr.flush()
        self.under_way = not last

    def end(self) -> None:
        if self.under_way:
            sys.stderr.write("\n")


class _Notebook(_Paced):
    """One output of a cell, replaced again and again; needs no widgets, and the last one is saved."""

    def __init__(self, display: Any) -> None:
        super().__init__()
        self._handle = display(_Shown("…"), display_id=True)

    def write(self, text: str, done: int, total: int, *, last: bool) -> None:
        self._handle.update(_Shown(text, 0 if last else done, 0 if last else total))


class _Shown:
    """A line as a notebook shows it: text for those who read text, a bar before it for the others."""

    def __init__(self, text: str, done: int = 0, total: int = 0) -> None:
        self._text, self._done, self._total = text, done, total

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = tag("progress", value=self._done, max=self._total, style="width:12em") if self._total else None
        return tag("div", bar, " " if bar else None, self._text)


@contextmanager
def line(*, show: bool) -> Iterator[Line]:
    """A line that fits where somebody looks, if anybody does."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if show and hasattr(shell, "kernel"):
        from IPython.display import display  # noqa: PLC0415 - it is there, or nobody would look

        yield _Notebook(display)
    elif show and sys.stderr.isatty():
        terminal = _Terminal()
        try:
            yield terminal
        finally:
            terminal.end()
    else:
        yield _Silence()


class _OfRun:
    def __init__(self, run: Run, shown: Line) -> None:
        self._run, self._watcher, self._line = run, Watcher(run), shown

    def show(self, progress: Progress) -> None:
        """See ``imgflow_workflows.runs.progress.Display``."""
        if summary := progress.summary:
            self._line.show(f"{self._run.id} {summary.status.value}: {added_up(summary.counts, ended=True)}", last=True)
            return
        lines = self._watcher.lines(progress)
        now = next((one for one in lines if not one.ended), lines[-1])
        self._line.show(f"{self._run.id} {describe(now)}", now.done, now.total)


@contextmanager
def of_run(run: Run, *, show: bool) -> Iterator[_OfRun]:
    """The line of a run."""
    with line(show=show) as shown:
        yield _OfRun(run, shown)
