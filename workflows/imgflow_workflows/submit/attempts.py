"""When earlier attempts of a run were at work and what they did, before the next one removes what they told."""

from __future__ import annotations

from contextlib import suppress

from imgflow_steps.records.listing import read_listing
from imgflow_steps.records.progress import done_by, read_shards
from imgflow_steps.records.run import Attempt, Run, load
from imgflow_steps.records.summary import Phase, read_summary
from imgflow_steps.store import NotFoundError, Store


def attempts(store: Store, run: str) -> tuple[Attempt, ...]:
    """Those before the one that is going to begin; asked before it removes what the last one left of its progress.

    A killed one ended when it was last heard of.
    """
    with suppress(NotFoundError):
        known = load(store, run)
        summary, listing, shards = read_summary(store, run), read_listing(store, run), read_shards(store, run)
        said = summary if summary and summary.started == known.created else None
        heard = [known.created, listing.ended if listing else 0.0, *(one.updated for one in shards)]
        last = Attempt(
            began=known.created,
            ended=max(known.created, said.ended if said else max(heard)),
            status=said.status if said else Phase.INTERRUPTED,
            work=done_by(shards, known.pipeline.labels[-1], listing.todo if listing else 0),
        )
        return (*known.earlier, last)
    return ()


def once_more_after(run: Run, earlier: tuple[Attempt, ...]) -> Run:
    """The run as the attempt after these. By their clocks, too: a cluster's may be ahead of this machine's."""
    began = max([run.created, *(one.ended for one in earlier)])
    return run.model_copy(update={"earlier": earlier, "created": began})
