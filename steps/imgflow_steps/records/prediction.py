"""What a run will take, judged by what earlier ones took. Where nothing like it was ever run, nothing is said.

A step's time for images of total size X is ``rate * X``, the rate being that of the run it is known from. The range
is the prediction interval of a ratio estimator, 10 to 90 % of a normal distribution, with four sources of error:

    m s²              the spread s of single images around the rate, over the m images that come
    X² n s² / x²      the rate itself was measured on no more than n images of total size x
    X² r² b           shards of the same run differ by more than their images explain (relative variance b)
    X² r² RERUN²      the same images take another time in another run, on the same machine

and, where the images are of another municipality, a fifth: all of its images may be alike, so the spread of one
image counts for all of them, ``m² s²``. Every term grows with the images, and so do both ends of the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from imgflow_steps.records import documents, keys
from imgflow_steps.records.costs import BY_BYTES, WAITING, Cost, Costs, newest, of_sample, works
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.row import Row
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

RERUN = 0.15  # standard deviation of the time of the same images from run to run, relative: the demo's, on one machine
TENTH = 1.2816  # standard deviations from the median to 10 % or 90 % of a normal distribution
ENOUGH = 100  # images from which on a newer run counts more than a larger one

Likeness = Literal["pipeline", "municipality", "elsewhere"]
SPOKEN: dict[Likeness, str] = {
    "pipeline": "the same pipeline",
    "municipality": "the same municipality, another pipeline",
    "elsewhere": "another municipality",
}


class Range(BaseModel):
    """Seconds: what is expected, and between what 80 of 100 lie."""

    seconds: float = 0.0
    low: float = 0.0
    high: float = 0.0

    def __add__(self, other: Range) -> Range:
        """Both together; their errors, of the same images, are taken to go hand in hand."""
        return Range(seconds=self.seconds + other.seconds, low=self.low + other.low, high=self.high + other.high)

    def shared(self, processes: float, start: float) -> Range:
        """The same work after ``start`` seconds, by this many processes."""
        return Range(
            seconds=start + self.seconds / processes,
            low=start + self.low / processes,
            high=start + self.high / processes,
        )


class Basis(BaseModel):
    """Where something is known from."""

    run: str
    municipality: str
    images: int
    like: Likeness

    def __str__(self) -> str:
        """In words."""
        return f"{self.images:,} image{'' if self.images == 1 else 's'} of run {self.run}: {SPOKEN[self.like]}"


class StepPrediction(Range):
    """One step of all images, in seconds of one process."""

    step: str
    basis: Basis


class Prediction(BaseModel):
    """``prediction.json``: what list expected of the images that it left to do."""

    images: int = 0
    steps: list[StepPrediction] = []
    unknown: list[str] = []  # steps of which no earlier run tells anything
    wall: Range | None = None  # from the end of the listing to the last image
    processes: float = 0.0  # that are taken to compute at the same time…
    pace: str = ""  # …and why, or why no wall time is predicted

    @property
    def core(self) -> Range:
        """Seconds of one core for all known steps; waiting for the store takes none."""
        return sum((step for step in self.steps if step.step not in WAITING), start=Range())


@dataclass(frozen=True, slots=True)
class _Known:
    costs: Costs
    like: Likeness


def predict(store: Store, run: Run, listing: Listing, seen: Sequence[Row] = ()) -> Prediction:
    """What ``listing.todo`` images will take. Reads a few small documents, however many images there are.

    ``seen`` are some rows of this pipeline, of whatever run: they speak where no run of it came to its end.
    """
    if not listing.todo:
        return Prediction()
    found: dict[str, StepPrediction] = {}
    known: list[_Known] = []
    wanted = works(run.pipeline)
    for level in _levels(store, run, seen):
        known += level
        for label, work in wanted.items():
            best = None if label in found else _best(level, work, run.engine)
            if best:
                found[label] = _step(label, best, listing)
        if len(found) == len(wanted):
            break
    steps = [found[label] for label in wanted if label in found]
    prediction = Prediction(images=listing.todo, steps=steps, unknown=[label for label in wanted if label not in found])
    return _paced(prediction, run, listing, known)


def _levels(store: Store, run: Run, seen: Sequence[Row]) -> Iterator[list[_Known]]:
    """What may be known, from the most to the least like the run; each level is asked for only when it is needed."""
    same = newest(store, keys.costs(run.municipality, run.digest)) or filter(None, [of_sample(run, seen)])
    yield [_Known(costs, "pipeline") for costs in same]
    here = newest(store, keys.costs(run.municipality))
    yield [_Known(costs, "municipality") for costs in here if costs.digest != run.digest]
    everywhere = newest(store, keys.costs())
    yield [_Known(costs, "elsewhere") for costs in everywhere if costs.municipality != run.municipality]


def _best(level: Sequence[_Known], work: str, engine: str) -> tuple[_Known, Cost] | None:
    """Who did this work: on the same engine if anybody did, on images enough, and then the newest."""
    did = [(one, cost) for one in level for cost in one.costs.steps.values() if cost.work == work]
    return max(did, key=lambda d: (d[0].costs.engine == engine, min(d[1].n, ENOUGH), d[0].costs.ended), default=None)


def _step(label: str, best: tuple[_Known, Cost], listing: Listing) -> StepPrediction:
    known, cost = best
    size = float(listing.bytes if label in BY_BYTES else listing.todo)
    mean, spread = expected(cost, listing.todo, size, alike=known.like != "elsewhere")
    basis = Basis(run=known.costs.run, municipality=known.costs.municipality, images=cost.n, like=known.like)
    low = max(0.0, mean - TENTH * spread)
    return StepPrediction(step=label, seconds=mean, low=low, high=mean + TENTH * spread, basis=basis)


def expected(cost: Cost, images: int, size: float, *, alike: bool) -> tuple[float, float]:
    """Mean and standard deviation of the seconds for this many images of that total size; the module says how."""
    mean = cost.rate * size
    single = cost.residual
    variance = images * single + mean * mean * (cost.between + RERUN**2)
    variance += size * size * cost.n * single / (cost.x * cost.x) if cost.x else 0.0
    variance += 0.0 if alike else images * images * single
    return mean / 1000, math.sqrt(variance) / 1000


def _paced(prediction: Prediction, run: Run, listing: Listing, known: Sequence[_Known]) -> Prediction:
    """With the wall time of the known steps, where it can be told how many processes will compute."""
    if not prediction.core.seconds:
        return prediction.model_copy(update={"pace": "no earlier run did the same to such pictures"})
    alike = (one.costs for one in known if (one.costs.engine, one.costs.layout) == (run.engine, listing.layout))
    before = next((costs for costs in alike if costs.processes), None)
    if run.workers:
        share = min(1.0, before.processes / before.workers) if before else 1.0
        processes = share * min(run.workers, listing.todo)
        busy = f"busy as in run {before.run}" if before else "taken to be always busy"
        why = f"{run.workers} process{'' if run.workers == 1 else 'es'} {busy}"
    elif before:
        processes = min(before.processes, float(listing.shards * before.workers))
        why = f"as many cores as run {before.run} kept busy, {before.processes:.1f}"
    else:
        why = f"no earlier run in layout {listing.layout} tells how many cores the cluster keeps busy"
        return prediction.model_copy(update={"pace": why})
    wall = prediction.core.shared(max(processes, 1e-3), before.start if before else 0.0)
    return prediction.model_copy(update={"wall": wall, "processes": round(processes, 2), "pace": why})


def read_prediction(store: Store, run: str) -> Prediction | None:
    """What was expected of a run, or None when nobody said."""
    try:
        return documents.read(Prediction, store, keys.prediction_json(run))
    except NotFoundError:
        return None
