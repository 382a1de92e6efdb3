"""How far a run is, on a terminal as one line per step that redraws itself, elsewhere as a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from imgflow_cli.output import Voice, printable
from imgflow_cli.streams import drawing
from imgflow_steps.records.progress import Progress
from imgflow_steps.records.run import Run
from imgflow_workflows.runs.progress import POLL, Display, Line, Watcher, costs, describe, notes
from imgflow_workflows.text import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN = 10.0  # seconds between two lines where nothing can redraw itself


class Silence:
    """Shows nothing."""

    def show(self, progress: Progress) -> None:
        """Nothing."""


class Plain:
    """A line when the phase changes, one that says how the phase ended, and one every ten seconds."""

    def __init__(self, run: Run, voice: Voice) -> None:
        self._watcher, self._voice = Watcher(run), voice
        self._phase, self._said = ("", False), 0.0

    def show(self, progress: Progress) -> None:
        """Say it when there is something to say."""
        now = time.monotonic()
        lines = self._watcher.phases(progress)
        line = next((line for line in lines if not line.ended), lines[-1])
        phase = (line.label, line.ended)
        if phase == self._phase and now - self._said < PLAIN:
            return
        for before in lines[: lines.index(line)]:
            if before.label == self._phase[0]:
                self._voice.say(describe(before))
        self._phase, self._said = phase, now
        self._voice.say(describe(line))


class Block:
    """One line per step, redrawn in place."""

    def __init__(self, run: Run) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where somebody looks
        from rich.live import Live  # noqa: PLC0415

        self._watcher = Watcher(run)
        self._live = Live(console=Console(file=drawing()), auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Redraw."""
        self._live.update(block(self._watcher.lines(progress), costs(progress)), refresh=True)


def block(lines: list[Line], footer: str) -> RenderableType:
    """The lines with bars, and the footer below them."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    grid = Table.grid(padding=(0, 1))
    for justify in ("left", "left", "left", "right", "right", "right", "left"):
        grid.add_column(justify=justify, no_wrap=True)
    grid.columns[2].max_width, grid.columns[2].no_wrap = 24, False  # the bar gives way first where it is narrow
    begun = [line for line in lines if not line.ended][:1]
    for line in lines:
        mark = Text("done", "green") if line.ended else Text("now" if line in begun or line.done else "", "yellow")
        bar = ProgressBar(total=line.total, completed=line.done) if line.total else Text()
        count = f"{line.done:,}/{line.total:,}" if line.total else ""
        pace = f"{line.rate:.1f}/s" if line.rate and not line.ended else ""
        left = f"{duration(line.left)} left" if line.left else ""
        grid.add_row(mark, Text(line.label, "bold"), bar, count, pace, left, Text(notes(line), "red"))
    return Group(grid, Text(footer, "dim")) if footer else grid


@contextmanager
def display(run: Run, voice: Voice) -> Iterator[Display]:
    """The display that fits where messages go."""
    if voice.live:
        with Block(run) as shown:
            yield shown
    else:
        yield Silence() if voice.quiet else Plain(run, voice)


@contextmanager
def status_line(voice: Voice) -> Iterator[Callable[[str], None]]:
    """A line that says how far something is; redrawn on a terminal, elsewhere said every ten seconds."""
    said = time.monotonic()

    def every(seconds: float, say: Callable[[str], None], text: str) -> None:
        nonlocal said
        if time.monotonic() - said >= seconds:
            said = time.monotonic()
            say(text)

    if not voice.live:
        yield partial(every, PLAIN, voice.say)
        return
    from rich.console import Console  # noqa: PLC0415 - as above
    from rich.status import Status  # noqa: PLC0415

    with Status("", console=Console(file=drawing())) as status:
        yield partial(every, POLL, lambda text: status.update(printable(text)))
