"""However a pipeline is laid out and wherever its store is, the pictures are the same, byte for byte."""

from __future__ import annotations

import pytest
from tests import photographs
from tests.conftest import KINDS_IN_SHORT
from tests.local_runs import dataset, pictures, submit
from tests.thorough import mostly_thorough

from imgflow_steps.contract.job import Job
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ProgressReader
from imgflow_steps.records.run import load, save
from imgflow_steps.store import Store, open_store
from imgflow_steps.worker.runner import run_job
from imgflow_workflows.submit.default import DEFAULT

IMAGES = 10


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    store = open_store(str(tmp_path_factory.mktemp("reference")))
    fill(store)
    submit(store, "reference", DEFAULT, layout="fused", shard_size=5)
    return pictures(store, "reference")


def fill(store: Store) -> None:
    dataset(store, IMAGES)
    store.write(keys.images("Demo") + "clear.png", photographs.png(3))
    store.write(keys.images("Demo") + "cut.jpg", photographs.jpeg(3)[:700])


@pytest.mark.parametrize("layout", ["steps", "fused"])
@pytest.mark.parametrize("shard_size", mostly_thorough([1, 7, 1000], always={7}))
def test_every_store_layout_and_shard_size_gives_the_same_bytes(
    store: Store, reference: dict[str, str], layout: str, shard_size: int
) -> None:
    fill(store)

    summary = submit(store, "other", DEFAULT, layout=layout, shard_size=shard_size)

    assert pictures(store, "other") == reference
    assert (summary.counts.processed, summary.counts.rejected) == (IMAGES + 1, 1)
    assert not list(store.entries("scratch/"))


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_jobs_handed_over_one_by_one_give_the_same_bytes(store: Store, reference: dict[str, str]) -> None:
    fill(store)
    submit(store, "made", DEFAULT, layout="steps", shard_size=7)
    made = load(store, "made")
    store.delete([found.key for found in store.entries("results/")])
    run = made.model_copy(update={"id": "by-jobs"})
    save(store, run)

    shards = run_job(Job(step="list", run=run.id), store).shards
    for shard in range(shards):
        for position, name in enumerate(("scale", "grayscale", "infer"), 1):
            result = run_job(Job(step=name, run=run.id, position=position, shard=shard), store)
            assert result.exit == 0, result.error
    run_job(Job(step="collect", run=run.id), store)

    assert pictures(store, "by-jobs") == reference
    assert ProgressReader(store, run.id).read().counts.processed == IMAGES + 1
