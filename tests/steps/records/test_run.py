"""How far a run is, read from what its containers wrote."""

from __future__ import annotations

import pytest

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ProgressReader, ShardProgress
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import NotFoundError, Store

PIPELINE = parse({"steps": ["scale", "grayscale"]})


def tell(store: Store, position: int, shard: int, label: str, **facts: int) -> None:
    progress = ShardProgress(label=label, shard=shard, total=10, **facts)
    store.write(keys.shard_progress("demo", position, shard), progress.model_dump_json().encode())


@pytest.fixture
def reader(store: Store) -> ProgressReader:
    save(store, Run(id="demo", municipality="Demo", pipeline=PIPELINE))
    return ProgressReader(store, "demo")


def list_images(store: Store) -> None:
    listing = Listing(listed=25, todo=20, cached=3, processed=1, rejected=1, shards=2)
    store.write(keys.listing_json("demo"), listing.model_dump_json().encode())


def test_a_run_is_pending_until_it_is_listed(store: Store, reader: ProgressReader) -> None:
    before = reader.read().phase
    list_images(store)

    assert (before, reader.read().phase) == (Phase.PENDING, Phase.RUNNING)


def test_only_what_the_last_step_has_done_is_done(store: Store, reader: ProgressReader) -> None:
    list_images(store)
    tell(store, 1, 0, "scale", done=10)
    early = reader.read().counts.processed
    tell(store, 2, 0, "grayscale", done=6, rejected=2, failed=1)

    counts = reader.read().counts

    assert early == 1
    assert (counts.processed, counts.cached, counts.rejected, counts.failed) == (1 + 3, 3, 1 + 2, 1)


def test_shards_of_a_step_add_up_and_forgotten_ones_are_forgotten(store: Store, reader: ProgressReader) -> None:
    list_images(store)
    tell(store, 1, 0, "scale", done=10)
    tell(store, 1, 1, "scale", done=4)
    both = reader.read().steps["scale"].done
    store.delete([keys.shard_progress("demo", 1, 0)])

    assert (both, reader.read().steps["scale"].done) == (14, 4)


def test_a_run_that_nobody_submitted_is_not_there(store: Store) -> None:
    with pytest.raises(NotFoundError):
        ProgressReader(store, "nobody").read()
