"""Clocks that were ahead and were set right: what is computed now counts, whatever time earlier rows tell."""

from __future__ import annotations

import time

import pytest
from tests import photographs
from tests.local_runs import PLAIN, dataset, submit

from imgflow_steps.records import keys
from imgflow_steps.records.row import Status
from imgflow_steps.records.rows import merged, write_part
from imgflow_steps.records.run import Run, load, worked
from imgflow_steps.store import Store

AHEAD = 86400.0  # seconds


def told_ahead(store: Store, run_id: str, **changes: object) -> None:
    """The newest row of every image once more, as a machine would write it whose clock is ahead."""
    run = load(store, run_id)
    with merged(store, run.rows) as rows:
        later = [row.model_copy(update={"ended": row.ended + AHEAD, **changes}) for row in rows]
    write_part(store, run.rows, later)


@pytest.mark.parametrize("layout", ["fused", "steps"])
@pytest.mark.parametrize("again", ["one", "two"])
def test_an_image_that_failed_by_a_clock_that_was_ahead_is_done_by_the_next_attempt(
    directory_store: Store, layout: str, again: str
) -> None:
    dataset(directory_store, 3)
    submit(directory_store, "one", layout=layout)
    told_ahead(directory_store, "one", status=Status.FAILED, code="gone", outputs=[])

    done = submit(directory_store, again, layout=layout)

    assert (done.counts.processed, done.counts.failed) == (3, 0)
    assert submit(directory_store, "three", layout=layout).counts.cached == 3


def test_an_image_that_was_replaced_since_a_clock_was_ahead_is_computed_once(directory_store: Store) -> None:
    dataset(directory_store, 3)
    submit(directory_store, "one")
    told_ahead(directory_store, "one")
    directory_store.write(f"{keys.images('Demo')}a/000.jpg", photographs.jpeg(7))

    second, third = (submit(directory_store, name).counts for name in ("two", "three"))

    assert (second.processed, second.cached, second.failed) == (1, 2, 0)
    assert third.cached == 3


def test_an_image_that_was_rejected_by_a_clock_that_was_ahead_is_asked_again_where_that_is_wished(
    directory_store: Store,
) -> None:
    dataset(directory_store, 2)
    submit(directory_store, "one")
    told_ahead(directory_store, "one", status=Status.REJECTED, code="truncated", outputs=[])

    assert submit(directory_store, "two").counts.rejected == 2
    assert submit(directory_store, "three", retry="rejected").counts.processed == 2


def test_a_run_whose_clock_went_back_took_no_less_than_nothing() -> None:
    run = Run(id="one", municipality="Demo", pipeline=PLAIN, created=time.time() + AHEAD)

    assert worked(run, time.time()) == 0
