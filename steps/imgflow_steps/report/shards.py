"""When containers worked on which shard, and what they used of what they had: the last attempt at each shard."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from imgflow_steps.records.costs import WAITING
from imgflow_steps.report import charts
from imgflow_steps.report.charts import Lane
from imgflow_steps.report.figures import NONE, count, duration, moment, share, size, spans
from imgflow_steps.report.markup import Content, Markup, lines, section, table, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imgflow_steps.records.progress import ShardProgress
    from imgflow_steps.report.data import Facts

LANES = 100  # shards of a step that the timeline shows
UNDER_WAY = 50  # shards whose bars are shown
HEADS = (
    ("Step", None),
    ("Shards", "figure"),
    ("Computed", "figure"),
    ("Available", "figure"),
    ("Used", "figure"),
    ("Memory held", "figure"),
    ("Memory limit", "figure"),
)
NOTE = (
    "Computed is the time that processes spent on pictures, without fetch and publish. Available is the number "
    "of processes times how long they were there. Memory is the most that one container held, and the lowest limit."
)


def so_far(facts: Facts) -> Markup | None:
    """Of a run without results: which shards are done, and how far the others are."""
    if not facts.unfinished:
        return None
    last = facts.run.pipeline.labels[-1]
    mine = {shard.shard: shard for shard in facts.shards if shard.label == last}
    done = {n for n, shard in mine.items() if shard.done >= shard.total and not shard.error}
    ended = {n for n, shard in mine.items() if shard.error}
    under_way = sorted(mine.keys() - done - ended)
    waiting = sorted(set(range(facts.listing.shards)) - mine.keys())
    groups = {"Done": done, "Ended early": ended, "Not begun": waiting}
    told: dict[str, Content] = {
        name: f"{'shard' if len(of) == 1 else 'shards'} {spans(of)}" for name, of in groups.items() if of
    }
    rows = [_far(mine[n]) for n in under_way[:UNDER_WAY]]
    heads = (("Under way", None), ("", "stretch"), ("Done", "figure"))
    return section(
        "far",
        f"{count(len(done))} of {count(facts.listing.shards, 'shard')} done",
        lines(told),
        table("times", heads, rows) if rows else None,
    )


def _far(shard: ShardProgress) -> Markup:
    return tag(
        "tr",
        tag("th", f"shard {shard.shard}", scope="row"),
        tag("td", charts.bar(shard.done, shard.total), class_="stretch"),
        tag("td", f"{count(shard.done)} of {count(shard.total, 'image')}", class_="figure"),
    )


def use(facts: Facts) -> Markup | None:
    """The section; None where no container said when it began."""
    shards = [shard for shard in facts.shards if shard.began]
    if not shards:
        return None
    steps = [(label, of) for label in _labels(facts) if (of := [shard for shard in shards if shard.label == label])]
    return section(
        "use",
        "Shards",
        table("times", HEADS, (_row(label, of) for label, of in steps)),
        tag("p", NOTE, class_="quiet"),
        [_timeline(label, of, shards) for label, of in steps] if len(shards) > 1 else None,
    )


def _labels(facts: Facts) -> Iterable[str]:
    """Labels in the order of the pipeline."""
    return dict.fromkeys([*facts.run.pipeline.labels, *(shard.label for shard in facts.shards)])


def _seconds(shard: ShardProgress) -> float:
    """How long the container was at it; clocks may go back."""
    return max(0.0, shard.updated - shard.began)


def _computed(shard: ShardProgress) -> float:
    """Seconds that its processes computed, all together."""
    return sum(ms for label, ms in shard.ms.items() if label not in WAITING) / 1000


def _row(label: str, shards: Sequence[ShardProgress]) -> Markup:
    computed = sum(map(_computed, shards))
    there = sum(shard.workers * _seconds(shard) for shard in shards)
    held = max(shard.memory for shard in shards)
    allowed = min((shard.memory_limit for shard in shards if shard.memory_limit), default=0)
    cells = (
        count(len(shards)),
        duration(computed),
        duration(there),
        share(min(computed, there), there),
        size(held) if held else NONE,
        size(allowed) if allowed else NONE,
    )
    return tag("tr", tag("th", label, scope="row"), [tag("td", cell, class_="figure") for cell in cells])


def _timeline(label: str, shards: Sequence[ShardProgress], every: Sequence[ShardProgress]) -> list[Markup]:
    """A bar for each shard of a step, on the time scale that all steps share."""
    low, high = min(shard.began for shard in every), max(shard.began + _seconds(shard) for shard in every)
    shown = sorted(heapq.nlargest(LANES, shards, key=_seconds), key=lambda shard: (shard.began, shard.shard))
    some = f": the {count(LANES)} of {count(len(shards))} that took longest" if len(shards) > LANES else ""
    lanes = [Lane(shard.began, shard.began + _seconds(shard), _spoken(shard), bool(shard.error)) for shard in shown]
    title = f"{label}, shards over time{some}"
    below = (moment(low), f"{duration(high - low)} together", moment(high))
    return [tag("h3", title), charts.timeline(low, high, lanes, of=title, below=below)]


def _spoken(shard: ShardProgress) -> str:
    ended = ", given up" if shard.error else ""
    done = f"{count(shard.done)} of {count(shard.total, 'image')}"
    return f"shard {shard.shard}: {done} in {duration(_seconds(shard))}{ended}"
