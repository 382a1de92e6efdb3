"""How every figure is taken: interleaved, on the same bytes, with one thread, as a ratio for each round.

A ratio of two medians would mix minutes in which the machine was busy with minutes in which it was not. So the
contenders take turns, a ratio is made within each round, and what is told is the median of these ratios and their
interquartile range (IQR).
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imgflow_steps.worker import processes

ROUNDS = 7  # fewer say little about the spread
STEADY = 0.1  # an IQR above this share of the median is said in the line's note

# Of all contenders: that of imgflow's computing processes, which keep memory once they have it, and one thread each.
ENVIRONMENT = processes.ENVIRONMENT | dict.fromkeys(
    ("VIPS_CONCURRENCY", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MAGICK_THREAD_LIMIT"), "1"
)

Task = Callable[[], float]  # does the work once and says what it cost, in seconds
Costs = Mapping[str, Sequence[float]]  # by contender: seconds in each round


@dataclass(frozen=True, slots=True)
class Bench:
    """What every section is given: how much to measure, and where."""

    images: Path | None  # a folder of photographs; None makes some
    scratch: Path  # for whatever is made on the way; git ignores it
    rounds: int = ROUNDS
    quick: bool = False  # as little work as shows that everything runs; its figures mean nothing
    tell: Callable[[str], None] = lambda _: None  # a line of progress


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the bench's table: a ratio (or what ``unit`` says) and the goal that it is held against, if any.

    ``ratio`` is the median over rounds and ``iqr`` their interquartile range; None where nothing was measured, and
    then ``note`` says why. ``seconds`` is what each contender took in each round.
    """

    section: str
    name: str
    ratio: float | None = None
    iqr: float | None = None
    goal: float | None = None
    at_most: bool = False  # the goal is an upper bound
    unit: str = "x"
    note: str = ""
    void: bool = False  # measured, but does not count: quality fails
    rounds: tuple[float, ...] = ()
    seconds: dict[str, tuple[float, ...]] = field(default_factory=dict)
    module: str = ""  # that measured it

    @property
    def reached(self) -> bool | None:
        """Whether the goal is met; None where there is no goal, or nothing was measured."""
        if self.goal is None or self.ratio is None:
            return None
        return not self.void and (self.ratio <= self.goal if self.at_most else self.ratio >= self.goal)


def line(
    section: str,
    name: str,
    ratios: Sequence[float],
    *,
    goal: float | None = None,
    at_most: bool = False,
    unit: str = "x",
    note: str = "",
    void: bool = False,
    seconds: Costs | None = None,
) -> Line:
    """A line from the ratios of all rounds; an unsteady one says so in its note."""
    ratio, iqr = statistics.median(ratios), spread(ratios)
    if iqr > STEADY * ratio:
        note = "; ".join(filter(None, [note, f"unsteady: the IQR is {iqr / ratio:.0%} of it"]))
    return Line(
        section,
        name,
        ratio,
        iqr,
        goal,
        at_most,
        unit=unit,
        note=note,
        void=void,
        rounds=tuple(ratios),
        seconds={name: tuple(costs) for name, costs in (seconds or {}).items()},
    )


def spread(values: Sequence[float]) -> float:
    """The interquartile range; 0 for a single value."""
    if len(values) == 1:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return high - low


def interleave(tasks: Mapping[str, Task], rounds: int) -> dict[str, list[float]]:
    """The cost of every task in every round: A B C, C B A, A B C …

    Before that comes one round that does not count, unless a single one is asked for.
    """
    if rounds > 1:
        for task in tasks.values():
            task()
    costs: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(rounds):
        for name in list(tasks)[:: 1 if turn % 2 == 0 else -1]:
            costs[name].append(tasks[name]())
    return costs


def times(costs: Costs, this: str, other: str) -> list[float]:
    """How many times the cost of ``this`` the ``other`` has, round by round: above 1, ``this`` is faster."""
    return [theirs / ours for ours, theirs in zip(costs[this], costs[other], strict=True)]


def geometric_mean(rows: Sequence[Sequence[float]]) -> list[float]:
    """Round by round, the geometric mean over images; a row has one image's ratio of every round."""
    return [statistics.geometric_mean(column) for column in zip(*rows, strict=True)]


def cpu(call: Callable[[], object]) -> Task:
    """Processor time of this process, all of its threads, in a call."""

    def task() -> float:
        started = time.process_time()
        call()
        return time.process_time() - started

    return task


def wall(call: Callable[[], object], before: Callable[[], object] = lambda: None) -> Task:
    """Time that passes in a call; in ``before``, which makes things ready, it does not count."""

    def task() -> float:
        before()
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return task


def command(words: Sequence[str], **options: Any) -> Callable[[], bytes]:
    """A command to be timed by ``wall`` or ``command_cpu``. Raises CalledProcessError, with what the command said."""

    def call() -> bytes:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(words, check=True, capture_output=True, **options)
        return done.stdout

    return call


def command_cpu(call: Callable[[], object]) -> Task:
    """Processor time of the processes that a call starts and waits for."""

    def spent() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    def task() -> float:
        started = spent()
        call()
        return spent() - started

    return task


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and what it starts, on one core, where the system can (Linux)."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
