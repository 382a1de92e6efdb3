"""When earlier attempts of a run were at work, so that no pause between two of them is taken for work."""

from __future__ import annotations

from contextlib import suppress

from imgflow_steps.records.listing import read_listing
from imgflow_steps.records.progress import read_shards
from imgflow_steps.records.run import Attempt, load
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import NotFoundError, Store


def attempts(store: Store, run: str) -> tuple[Attempt, ...]:
    """Those before the one that is going to begin; asked before it removes what the last one left of its progress.

    A killed one ended when it was last heard of.
    """
    with suppress(NotFoundError):
        known = load(store, run)
        summary, listing = read_summary(store, run), read_listing(store, run)
        heard = [known.created, listing.ended if listing else 0.0, *(one.updated for one in read_shards(store, run))]
        ended = summary.ended if summary and summary.started == known.created else max(heard)
        return (*known.earlier, Attempt(began=known.created, ended=max(known.created, ended)))
    return ()
