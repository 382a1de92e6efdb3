"""List, leave out what is done, cut the rest. Every pass streams: memory does not grow with the images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.list.survey import Spool, surveyed
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.prediction import predict
from imgflow_steps.records.pruning import check_not_pruned
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.threads import ahead

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

UPLOADS = 8  # manifests written at the same time


def run(store: Store, run: Run) -> Listing:
    """Write the listing, one manifest per shard, and ``listing.json`` last of all.

    What an earlier attempt of the same run left about its progress is removed first.
    """
    check_not_pruned(store, run)
    store.delete([keys.summary_json(run.id), *(f.key for f in store.entries(keys.progress(run.id)))])
    with temporary() as folder:
        spool = surveyed(store, run, Path(folder))
        with ThreadPoolExecutor(UPLOADS) as pool:
            for upload in ahead(_uploads(store, run, spool, pool), UPLOADS * 2):
                upload.result()
        spool.listing.ended = time.time()
        store.write(keys.listing_json(run.id), spool.listing.model_dump_json().encode(), "application/json")
        return spool.listing


def _uploads(store: Store, run: Run, spool: Spool, pool: ThreadPoolExecutor) -> Iterator[Future[None]]:
    """Everything that the survey found, on its way to the store; taking one begins it."""
    yield pool.submit(_predict, store, run, spool)
    yield pool.submit(store.upload, spool.entries, keys.listing(run.id), "application/jsonl")
    with spool.todo.open("rb") as todo:
        for shard in range(spool.listing.shards):
            lines = b"".join(islice(todo, spool.listing.shard_size))
            yield pool.submit(store.write, keys.manifest(run.id, shard), lines, "application/jsonl")


def _predict(store: Store, run: Run, spool: Spool) -> None:
    expected = predict(store, run, spool.listing, spool.seen.kept)
    store.write(keys.prediction_json(run.id), expected.model_dump_json().encode(), "application/json")
