"""Each attempt of a run that was retried, by itself: when it was at work, for how long, and what it did."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from imgflow_steps.records.progress import done_by
from imgflow_steps.records.run import Attempt
from imgflow_steps.report.figures import NONE, count, duration, moment
from imgflow_steps.report.markup import Content, Markup, section, table, tag

if TYPE_CHECKING:
    from imgflow_steps.report.data import Facts

SHOWN = 50  # attempts in the table, the latest ones
HEADS = (
    ("Attempt", "figure"),
    ("Ended as", None),
    ("Began", None),
    ("Ended", None),
    ("Took", "figure"),
    ("To compute", "figure"),
    ("Processed", "figure"),
    ("Rejected", "figure"),
    ("Failed", "figure"),
    ("No turn", "figure"),
)


def apart(facts: Facts) -> Markup | None:
    """The section; None of a run with a single attempt."""
    if not facts.run.earlier:
        return None
    every = [*facts.run.earlier, _last(facts)]
    first = max(0, len(every) - SHOWN)
    rows = [_row(number, one) for number, one in enumerate(every[first:], first + 1)]
    worked = sum(map(_seconds, every))
    idle = sum(max(0.0, after.began - before.ended) for before, after in pairwise(every))
    some = f" The table shows the last {count(SHOWN)} of {count(len(every))} attempts." if first else ""
    note = (
        f"The attempts took {duration(worked)} together. The pauses between them, {duration(idle)} in all, are not "
        f"counted as work anywhere in this report. An image has no turn where an attempt ends before it.{some}"
    )
    return section(
        "attempts",
        f"{count(len(every), 'attempt')}",
        table("attempts", HEADS, rows),
        tag("p", note, class_="quiet"),
    )


def _last(facts: Facts) -> Attempt:
    """The attempt that this report is of."""
    run, summary = facts.run, facts.summary
    work = done_by(facts.shards, run.pipeline.labels[-1], facts.listing.todo)
    return Attempt(began=run.created, ended=max(run.created, summary.ended), status=summary.status, work=work)


def _seconds(one: Attempt) -> float:
    return max(0.0, one.ended - one.began)


def _row(number: int, one: Attempt) -> Markup:
    did = one.work
    figures = (did.todo, did.processed, did.rejected, did.failed, did.left) if did else ()
    cells = [count(n) for n in figures] or [NONE] * 5
    status = one.status.value if one.status else ""
    ended = tag("span", status, class_=f"status {status}") if status else NONE
    every: list[Content] = [ended, moment(one.began), moment(one.ended), duration(_seconds(one)), *cells]
    (first, css), *heads = HEADS
    return tag(
        "tr",
        tag("th", str(number), scope="row", class_=css, data_head=first),
        [tag("td", cell, class_=css, data_head=head) for cell, (head, css) in zip(every, heads, strict=True)],
    )
