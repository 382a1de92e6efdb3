"""How far a run is: one line per step, made of what its containers tell the store."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import Progress, ProgressReader
from imgflow_steps.records.run import Run
from imgflow_steps.store import StoreError
from imgflow_workflows.text import duration

if TYPE_CHECKING:
    from imgflow_steps.store import Store

POLL = 0.5  # seconds between two looks at the store
STEADY = 3.0  # seconds of counting before anything is foretold: the first images wait for what is loaded once
WINDOW = 15.0  # seconds over which a pace is measured


@dataclass(frozen=True, slots=True)
class Line:
    """One step's line: images done of all there are to do, and what became of them."""

    label: str
    done: int = 0
    total: int = 0
    cached: int = 0
    rejected: int = 0
    failed: int = 0
    rate: float = 0.0  # images per second
    ended: bool = False
    steady: bool = True  # whether the rate has been seen for long enough to foretell by it

    @property
    def left(self) -> float | None:
        """Seconds until this step is done, as far as one can tell."""
        return (self.total - self.done) / self.rate if self.rate and self.steady and not self.ended else None


@dataclass(slots=True)
class Pace:
    """Images per second over the last few seconds, by the clock of those who count them."""

    seen: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def spans(self) -> float:
        """Seconds between the first count that is remembered and the last."""
        return self.seen[-1][0] - self.seen[0][0] if self.seen else 0.0

    def __call__(self, counted: float, done: int) -> float:
        """Note how many were done when it was counted last, and give the pace; 0 when that is long ago."""
        if not self.seen or counted > self.seen[-1][0]:
            self.seen.append((counted, done))
        while counted - self.seen[0][0] > WINDOW:
            self.seen.popleft()
        then, before = self.seen[0]
        silent = time.time() - counted > WINDOW
        return (done - before) / (counted - then) if counted > then and not silent else 0.0


class Watcher:
    """Turns one progress after the other into lines; it remembers only what a pace needs."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._paces = {label: Pace() for label in run.pipeline.labels}

    def lines(self, progress: Progress) -> list[Line]:
        """list, every step in order, collect."""
        listing, ended = progress.listing, progress.summary is not None
        if listing is None:
            return [Line("list")]
        first = Line("list", listing.listed, listing.listed, listing.cached, listing.rejected, ended=True)
        labels = self.run.pipeline.labels
        steps = [self._step(label, progress, listing) for label in labels] if listing.todo else []
        return [first, *steps, Line("collect", ended=ended)]

    def phases(self, progress: Progress) -> list[Line]:
        """The lines where only one is said at a time: the steps of a fused run, which move together, are one."""
        lines = self.lines(progress)
        if not (progress.listing and progress.listing.layout == "fused" and progress.listing.todo):
            return lines
        first, *_, last, collect = lines
        return [first, replace(last, label=" → ".join(self.run.pipeline.labels)), collect]

    def _step(self, label: str, progress: Progress, listing: Listing) -> Line:
        labels = self.run.pipeline.labels
        fused = listing.layout == "fused"
        known = progress.steps.get(labels[-1] if fused else label)
        done, rejected, failed = (known.done, known.rejected, known.failed) if known else (0, 0, 0)
        if fused and label != labels[-1]:  # one process does all: only the last line can say what was rejected
            rejected = failed = 0
        elif not fused and label != labels[0]:  # rejected before is carried along: not this step's verdict
            earlier = progress.steps.get(labels[labels.index(label) - 1])
            rejected = max(0, rejected - (earlier.rejected if earlier else 0))
        pace = self._paces[label]
        return Line(
            label,
            done,
            listing.todo,
            rejected=rejected,
            failed=failed,
            rate=pace(known.updated, done) if known else 0.0,
            steady=pace.spans >= STEADY,
            ended=done >= listing.todo,
        )


def notes(line: Line) -> str:
    """What became of a step's images, where it is worth a word."""
    counts = {"cached": line.cached, "rejected": line.rejected, "failed": line.failed}
    return " · ".join(f"{count:,} {name}" for name, count in counts.items() if count)


def describe(line: Line) -> str:
    """A step's line in words."""
    if not line.total:
        return f"{line.label}: done" if line.ended else f"{line.label} …"
    words = [f"{line.label}: {line.done:,}/{line.total:,}", notes(line)]
    words += [f"{line.rate:.1f}/s"] if line.rate else []
    words += [f"{duration(line.left)} left"] if line.left else []
    return " · ".join(word for word in words if word)


def costs(progress: Progress) -> str:
    """Mean milliseconds per image in each part, or "" while nothing is known."""
    last = next(reversed(progress.steps.values()), None)
    if not last or not last.done:
        return ""
    return "ms per image: " + " · ".join(f"{name} {ms / last.done:.1f}" for name, ms in last.ms.items())


class Display(Protocol):
    """Where progress is shown."""

    def show(self, progress: Progress) -> None:
        """Show how far the run is now."""


@contextmanager
def following(store: Store, run: Run, display: AbstractContextManager[Display]) -> Iterator[None]:
    """Show the run's progress, from a thread, for as long as the body lasts; once more at its end."""
    over = threading.Event()
    with display as shown:
        reader = ProgressReader(store, run.id)

        def look() -> None:
            while not over.wait(POLL):
                _look(reader, shown)

        thread = threading.Thread(target=look, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            _look(reader, shown)


def _look(reader: ProgressReader, shown: Display) -> None:
    try:
        shown.show(reader.read())
    except StoreError:
        return  # the run itself will say that the store is away; the display waits
