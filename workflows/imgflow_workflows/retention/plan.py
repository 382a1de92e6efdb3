"""What a store could do without, what it costs, and why the rest stays. Nothing is deleted here: see ``deletion``.

A digest goes when no run has used it for long enough, and neither is it among the newest of its municipality, nor may
an unfinished run, a failed one that can still be retried, or a schedule need it. With it go the runs that used it. Of
a digest that stays, the newest run stays: it tells when the digest was used. Datasets are never looked at.

Where only what shows something uncovered is to go, age and number do not matter: of a municipality whose images a
pipeline covers, all digests and runs of other pipelines go, with their pictures, reports and pixels between steps. So
does what an older version of such a step made, which left something visible.

Cost: three small documents per run, and a listing of everything that is to go. Memory grows with runs and digests,
never with images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import file_fields
from imgflow_steps.records import keys
from imgflow_steps.records.summary import Phase
from imgflow_workflows.runs.history import Record, records

if TYPE_CHECKING:
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.store import Store
    from imgflow_workflows.argo.schedule import Schedule

DAY = 24 * 3600
RETRY = 7 * DAY  # how long Argo keeps a failed Workflow, which `argo retry` resumes it with without listing anew
LISTINGS = 8  # prefixes listed at the same time


class What(StrEnum):
    """Kinds of things that can go."""

    DIGESTS = "digests"
    THUMBS = "thumbs"
    SCRATCH = "scratch"
    MODELS = "models"
    RUNS = "runs"  # the last to go: they tell what the others were used by


@dataclass(frozen=True, slots=True)
class Rules:
    """What may go. ``schedules`` is None where a cluster uses the store and was not asked for them."""

    now: float  # seconds since the epoch
    older: float = 30 * DAY  # seconds that nothing has used it
    keep: int = 2  # newest digests of each municipality; one is always kept
    what: frozenset[What] = frozenset(What)
    municipality: str = ""  # "" is every one; scratch and models of no known run are nobody's, and stay then
    unredacted: bool = False  # only what shows uncovered what another pipeline covers, however young
    schedules: frozenset[Schedule] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Item:
    """Something that may go; ``keep`` says why it stays, "" that it goes."""

    what: What
    name: str
    prefix: str  # a whole key for a model
    municipality: str = ""
    digest: str = ""
    used: float = 0.0  # seconds since the epoch
    runs: tuple[str, ...] = ()  # that used it, the newest first
    keep: str = ""
    objects: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class RunIndex:
    """Every run that the store knows; ``strange`` were written by another imgflow, ``empty`` have no ``run.json``."""

    records: Mapping[str, Record] = field(default_factory=dict)
    strange: frozenset[str] = frozenset()
    empty: frozenset[str] = frozenset()


UNCOVERING = frozenset({What.DIGESTS, What.SCRATCH, What.RUNS})  # kinds that hold pictures made of photographs


def run_index(store: Store) -> RunIndex:
    """Read every run."""
    found = dict(records(store))
    return RunIndex(
        {name: one for name, one in found.items() if isinstance(one, Record)},
        frozenset(name for name, one in found.items() if one is not None and not isinstance(one, Record)),
        frozenset(name for name, one in found.items() if one is None),
    )


def plan(store: Store, runs: RunIndex, rules: Rules) -> list[Item]:
    """Everything of the kinds asked for, with what it costs where it goes. Raises StoreError."""
    digests = _digests(store, runs, rules)
    staying = [one for one in digests if one.keep or What.DIGESTS not in rules.what]
    old_runs = list(_runs(store, runs, rules, staying))
    gone = {one.name for one in old_runs if not one.keep and What.RUNS in rules.what}
    items = [
        *digests,
        *_thumbs(staying, rules),
        *_scratch(store, runs, rules),
        *_models(store, runs, rules, gone),
        *old_runs,
    ]
    chosen = [one for one in items if one.what in rules.what and rules.municipality in {"", one.municipality}]
    with ThreadPoolExecutor(LISTINGS) as pool:
        return list(pool.map(lambda one: one if one.keep or one.objects else _weighed(store, one), chosen))


def _weighed(store: Store, item: Item) -> Item:
    """With its cost, and where no run tells when it was used, when its newest object came."""
    objects = size = 0
    newest = 0.0
    for found in store.entries(item.prefix):
        objects, size, newest = objects + 1, size + found.bytes, max(newest, found.placed)
    return replace(item, objects=objects, bytes=size, used=item.used or newest)


def _digests(store: Store, runs: RunIndex, rules: Rules) -> list[Item]:
    decided: list[Item] = []
    for segment in store.folders("results/"):
        municipality = keys.decode(segment)
        if rules.municipality in {"", municipality}:
            found = [
                _digest(store, runs, municipality, digest, f"results/{segment}/{digest}/")
                for digest in store.folders(f"results/{segment}/")
            ]
            found.sort(key=lambda one: one.used, reverse=True)
            for place, item in enumerate(found):
                decided.append(replace(item, keep=_needed(item, place, runs, rules)))
    return decided


def _digest(store: Store, runs: RunIndex, municipality: str, digest: str, prefix: str) -> Item:
    users = _newest_first(
        one for one in runs.records.values() if one.run.municipality == municipality and digest in one.digests
    )
    item = Item(
        What.DIGESTS,
        f"{municipality}/{digest}",
        prefix,
        municipality,
        digest,
        used=users[0].used if users else 0.0,
        runs=tuple(one.run.id for one in users),
    )
    return item if users else _weighed(store, item)


def _newest_first(found: Iterator[Record]) -> list[Record]:
    return sorted(found, key=lambda one: one.used, reverse=True)


def _needed(item: Item, place: int, runs: RunIndex, rules: Rules) -> str:
    """Why a digest stays, "" when it does not; ``place`` counts its municipality's digests from the newest."""
    users = [runs.records[name] for name in item.runs]
    if runs.strange:
        return _strange(runs)
    if why := next((why for one in users if (why := _unfinished(one, rules))), ""):
        return why
    if why := _scheduled(item, users, rules):
        return why
    if rules.unredacted:
        return _covered(item.municipality, users, runs)
    if place < max(rules.keep, 1):
        return f"one of the {rules.keep} newest of {item.municipality}" if place else f"newest of {item.municipality}"
    return _recent(item, rules)


def _strange(runs: RunIndex) -> str:
    return f"run {min(runs.strange)} was written by another imgflow, which alone knows what it needs"


def _unfinished(one: Record, rules: Rules) -> str:
    if one.open:
        return f"run {one.run.id} is not finished"
    failed = one.summary is not None and one.summary.status is Phase.FAILED
    return f"run {one.run.id} failed and can be retried" if failed and rules.now - one.used < RETRY else ""


def _scheduled(item: Item, users: list[Record], rules: Rules) -> str:
    if rules.schedules is None:
        return "a schedule of the cluster may need it" if any(one.run.engine == "argo" for one in users) else ""
    digests = {item.digest, *(one.run.pipeline.digest for one in users)}
    needed = any(one.municipality == item.municipality and one.digest in digests for one in rules.schedules)
    return "a schedule needs it" if needed else ""


def _covered(municipality: str, users: list[Record], runs: RunIndex) -> str:
    """Why what such runs made need not go, as it shows nothing that another pipeline covers; "" where it may."""
    if users and all(one.covers for one in users):
        return "what is to be covered is covered in it"
    if not any(one.run.pipeline.hides and one.run.municipality == municipality for one in runs.records.values()):
        return f"no pipeline covers anything in images of {municipality}"
    return ""


def uncovered(runs: RunIndex, municipality: str) -> list[Record]:
    """Runs of a municipality whose pipeline covers nothing, where another one's does; the newest first."""
    users = _newest_first(one for one in runs.records.values() if one.run.municipality == municipality)
    return [one for one in users if not _covered(municipality, [one], runs)]


def _recent(item: Item, rules: Rules) -> str:
    return "used not long ago" if rules.now - item.used < rules.older else ""


def _runs(store: Store, runs: RunIndex, rules: Rules, staying: list[Item]) -> Iterator[Item]:
    newest = {item.runs[0]: item.digest for item in staying if item.runs}
    for name, one in runs.records.items():
        item = Item(
            What.RUNS, name, keys.whole_run(name), one.run.municipality, one.digest, used=one.used, runs=(name,)
        )
        last = f"the last of digest {newest[name]}, which stays" if name in newest else ""
        young = _covered(item.municipality, [one], runs) if rules.unredacted else _recent(item, rules)
        yield replace(item, keep=_unfinished(one, rules) or last or young)
    for name in runs.strange:
        yield Item(What.RUNS, name, keys.whole_run(name), keep=_strange(runs))
    for name in runs.empty:
        item = _weighed(store, Item(What.RUNS, name, keys.whole_run(name)))
        yield replace(item, keep=_recent(item, rules))


def _scratch(store: Store, runs: RunIndex, rules: Rules) -> Iterator[Item]:
    for name in store.folders("scratch/"):
        item = Item(What.SCRATCH, name, keys.all_scratch(name))
        one = runs.records.get(name)
        if one:
            item = replace(item, municipality=one.run.municipality, used=one.used, runs=(name,))
            young = _covered(item.municipality, [one], runs) if rules.unredacted else _recent(item, rules)
            yield replace(item, keep=_unfinished(one, rules) or young)
        elif name in runs.strange:
            yield replace(item, keep=_strange(runs))
        else:
            item = _weighed(store, item)
            yield replace(item, keep=_recent(item, rules))


def _thumbs(staying: list[Item], rules: Rules) -> Iterator[Item]:
    """Small pictures of digests that stay only to be among the newest: reports have copies of what they show."""
    for one in staying:
        item = replace(one, what=What.THUMBS, prefix=f"{one.prefix}thumbs/", objects=0, bytes=0)
        yield replace(item, keep=_recent(item, rules) if one.keep.startswith("one of the ") else one.keep)


def _models(store: Store, runs: RunIndex, rules: Rules, gone: set[str]) -> Iterator[Item]:
    users: dict[str, list[str]] = {}
    for one in _newest_first(iter(runs.records.values())):
        for key in set(files(one.run.pipeline)):
            users.setdefault(key, []).append(one.run.id)
    asked = rules.schedules or frozenset()
    unknown = rules.schedules is None and any(one.run.engine == "argo" for one in runs.records.values())
    for found in store.entries("models/"):
        names = users.get(found.key, [])
        item = Item(
            What.MODELS,
            found.key,
            found.key,
            used=found.placed,
            objects=1,
            bytes=found.bytes,
            runs=tuple(names),  # also those that go: one of them may be retried before it has gone
        )
        keep = (
            _strange(runs) if runs.strange else next((f"run {name} names it" for name in names if name not in gone), "")
        )
        keep = keep or ("a schedule names it" if any(found.key in one.models for one in asked) else "")
        keep = keep or ("a schedule of the cluster may need it" if unknown else "")
        yield replace(item, keep=keep or _recent(item, rules))


def files(pipeline: Pipeline) -> Iterator[str]:
    """The keys that a pipeline's parameters name."""
    for call in pipeline.steps:
        yield from (str(getattr(call.params, name)) for name in file_fields(call.params))


def age(text: str) -> float:
    """Seconds in ``30d``, ``12h``, ``2w``. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if not match:
        raise ValueError(text)
    return int(match[1]) * {"h": 3600, "d": DAY, "w": 7 * DAY}[match[2]]
