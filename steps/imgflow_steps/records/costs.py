"""What the steps of a run took, in one small document per run that the next run's prediction is made of.

Of every step six sums over images are kept, so a document has the same size for ten images and for ten million.
What explains a step's time best of what a listing knows is, for fetch and decode, the bytes of the file (of the
demo's photographs they explain more of decode's time than the pixels do, which nobody knows before decoding), and
for every other step the number of images.
"""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from imgflow_steps.contract.options import PICTURE_VERSION
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.row import Status
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.records.row import Row
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

BY_BYTES = frozenset({"fetch", "decode"})
WAITING = frozenset({"fetch", "publish"})  # done by threads while others compute: they take time, and no core
KEPT = 10  # documents of one municipality and digest


@dataclass(slots=True)  # a model would take ten times as long to add to
class Cost:
    """Milliseconds y that one step took for images of size x (bytes, or 1 each), as sums."""

    work: str  # what was done, and to what: equal for equal work
    n: int = 0
    x: float = 0.0
    xx: float = 0.0
    y: float = 0.0
    yy: float = 0.0
    xy: float = 0.0
    between: float = 0.0  # how much shards differ beyond what their images explain: a variance, relative to the mean

    def add(self, x: float, y: float) -> None:
        """Count one image."""
        self.n += 1
        self.x += x
        self.xx += x * x
        self.y += y
        self.yy += y * y
        self.xy += x * y

    @property
    def rate(self) -> float:
        """Milliseconds per byte, or per image."""
        return self.y / self.x if self.x else 0.0

    @property
    def residual(self) -> float:
        """Variance of an image's milliseconds around ``rate * x``; a single image is taken to say little."""
        rate = 0.0 if self.n == 1 else self.rate
        return max(0.0, self.yy - 2 * rate * self.xy + rate * rate * self.xx) / max(1, self.n - 1)


class Costs(BaseModel):
    """``costs/<municipality>/<digest>/<when>-<run>.json``: what a run computed, and how fast. Times in seconds."""

    run: str
    municipality: str
    digest: str
    engine: str = ""
    layout: str = ""
    ended: float = 0.0  # of the last image, since the epoch
    images: int = 0
    steps: dict[str, Cost]  # by label
    start: float = 0.0  # from the listing's end to the first image
    seconds: float = 0.0  # from the first image's beginning to the last one's end; 0 where that is not known
    workers: int = 1  # computing processes of a container, or of this machine

    @property
    def busy(self) -> float:
        """Seconds that processes computed, all together."""
        return sum(cost.y for label, cost in self.steps.items() if label not in WAITING) / 1000

    @property
    def processes(self) -> float:
        """How many processes were kept busy, on average."""
        return self.busy / self.seconds if self.seconds else 0.0


def works(pipeline: Pipeline) -> dict[str, str]:
    """What each step does and to what, by label: two steps of equal work cost the same.

    A step's work is its declaration, its parameters and the picture that reaches it: the box of the last step that
    brings pictures into one, or all that was done since.
    """
    plan = decode_plan(pipeline)
    picture: list[Any] = [PICTURE_VERSION, plan.model_dump()]
    found = {"fetch": _name("fetch"), "decode": _name("decode", *picture)}
    for label, call in zip(pipeline.labels, pipeline.steps, strict=True):
        step = [call.name, call.step.version, call.params.model_dump(mode="json")]
        found[label] = _name(*step, picture)
        target = call.step.target(call.params)
        if target:
            picture = [target.width, target.height, target.mode, plan.luma]
        elif call.step.drops_colour or not call.step.keeps_size:
            picture = [*picture, *step]
    output = pipeline.output.model_dump()
    return found | {"encode": _name("encode", output, picture), "publish": _name("publish", output, picture)}


def _name(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class Ledger:
    """Adds up what images took in one run; memory grows with the shards, not with the images."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._works = works(run.pipeline)
        self._shards: dict[int, dict[str, Cost]] = {}
        self._images, self._began, self._ended = 0, math.inf, 0.0

    def add(self, row: Row) -> None:
        """Count an image that was computed, or rejected on the way."""
        if row.status is Status.FAILED:
            return
        self._images += 1
        self._began = min(self._began, row.ended - sum(row.ms.values()) / 1000)
        self._ended = max(self._ended, row.ended)
        if row.shard not in self._shards:
            self._shards[row.shard] = {label: Cost(work=work) for label, work in self._works.items()}
        for label, cost in self._shards[row.shard].items():
            cost.add(max(1, row.bytes) if label in BY_BYTES else 1, row.ms.get(label, 0.0))

    def costs(self, listing: Listing, workers: int) -> Costs | None:
        """The document of the whole run, or None when nothing was computed."""
        if not self._images:
            return None
        return Costs(
            run=self._run.id,
            municipality=self._run.municipality,
            digest=self._run.digest,
            engine=self._run.engine,
            layout=listing.layout,
            ended=self._ended,
            images=self._images,
            steps={label: _whole([shard[label] for shard in self._shards.values()]) for label in self._works},
            start=max(0.0, self._began - listing.ended) if listing.ended else 0.0,
            seconds=max(1e-3, self._ended - self._began),
            workers=workers,
        )


def of_sample(run: Run, rows: Sequence[Row]) -> Costs | None:
    """What some rows of the same pipeline tell, of runs that never came to their end; nothing of wall times."""
    ledger = Ledger(run)
    for row in rows:
        ledger.add(row)
    costs = ledger.costs(Listing(), workers=1)
    if costs is None:
        return None
    newest_row = max(rows, key=lambda row: row.ended)
    return costs.model_copy(update={"run": newest_row.run, "start": 0.0, "seconds": 0.0})


def _whole(shards: list[Cost]) -> Cost:
    """The sums of all shards together, and how much these differ."""
    whole = Cost(
        work=shards[0].work,
        n=sum(one.n for one in shards),
        x=sum(one.x for one in shards),
        xx=sum(one.xx for one in shards),
        y=sum(one.y for one in shards),
        yy=sum(one.yy for one in shards),
        xy=sum(one.xy for one in shards),
    )
    whole.between = _between(whole, shards)
    return whole


def _between(whole: Cost, shards: list[Cost]) -> float:
    """Variance of the shards' rates, weighted by size, less what the spread of their images makes of it (moments)."""
    if len(shards) < 2 or not whole.y:  # noqa: PLR2004 - one shard says nothing of others
        return 0.0
    seen = sum(one.x * (one.rate - whole.rate) ** 2 for one in shards) / whole.x * len(shards) / (len(shards) - 1)
    expected = sum(one.n * whole.residual / one.x for one in shards) / whole.x
    return max(0.0, seen - expected) / whole.rate**2


def write(store: Store, costs: Costs) -> None:
    """Keep the document, and of its municipality and digest only the newest ones."""
    prefix = keys.costs(costs.municipality, costs.digest)
    name = f"{prefix}{int(costs.ended):012d}-{costs.run}.json"
    store.write(name, costs.model_dump_json().encode(), "application/json")
    store.delete(sorted(found.key for found in store.entries(prefix))[:-KEPT])


def newest(store: Store, prefix: str) -> list[Costs]:
    """The newest documents below a prefix, newest first; no others are read, and one of another version is left out."""
    names = sorted((found.key for found in store.entries(prefix)), key=lambda key: key.rpartition("/")[2])
    found: list[Costs] = []
    for name in reversed(names[-KEPT:]):
        with suppress(NotFoundError, ValidationError):  # the former: a run that just ended keeps a newer one
            found.append(Costs.model_validate_json(store.read(name)))
    return found
