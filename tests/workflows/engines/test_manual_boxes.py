"""Boxes that people gave reach whoever decodes an image with the listing, however a run is laid out."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.conftest import KINDS_IN_SHORT
from tests.local_runs import dataset, pictures, submit
from tests.thorough import mostly_thorough

from imgflow_steps.contract.job import Exit, Job
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.boxes import ManualBox, Marked
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import Store, open_store
from imgflow_steps.worker.runner import run_job
from imgflow_workflows.engines.docker import DockerEngine

if TYPE_CHECKING:
    from pathlib import Path

IMAGES = 9
PIPELINE = parse({"steps": ["scale:48x48", "redact", "grayscale"], "output": "png"})
MARKED = [Marked(image=f"a/00{i}.jpg", boxes=(ManualBox("sign", 4, 4, 20 + i, 20),)) for i in (0, 3, 6)]


def fill(store: Store, folder: Path) -> None:
    dataset(store, IMAGES)
    boxes.write(store, "Demo", [*MARKED, Marked(image="b/001.jpg")], folder)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    store = open_store(str(tmp_path_factory.mktemp("reference") / "store"))
    fill(store, tmp_path_factory.mktemp("table"))
    submit(store, "reference", PIPELINE, shard_size=5)
    return pictures(store, "reference")


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
@pytest.mark.parametrize("shard_size", mostly_thorough([1, 2, 1000], always={2}))
def test_every_store_and_shard_size_covers_the_same(
    store: Store, tmp_path: Path, reference: dict[str, str], shard_size: int
) -> None:
    fill(store, tmp_path)
    summary = submit(store, "other", PIPELINE, shard_size=shard_size)

    assert (summary.counts.processed, summary.rejected) == (4, {"no-finder": IMAGES - 4})
    assert pictures(store, "other") == reference


def new_run(store: Store, name: str) -> Run:
    run = Run(id=name, municipality="Demo", pipeline=PIPELINE, list=List(shard_size=2), created=time.time())
    save(store, run)
    return run


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
def test_a_table_that_is_removed_while_a_run_is_under_way_uncovers_nothing_of_it(
    store: Store, tmp_path: Path, reference: dict[str, str]
) -> None:
    fill(store, tmp_path)
    run = new_run(store, "mine")
    shards = run_job(Job(step="list", run=run.id), store).shards
    store.delete([keys.boxes("Demo")])
    for shard in range(shards):
        assert run_job(Job(step="fused", run=run.id, shard=shard), store).exit == Exit.DONE
    run_job(Job(step="collect", run=run.id), store)

    assert pictures(store, run.id) == reference


def test_a_container_that_cannot_read_the_table_refuses_its_job(directory_store: Store, tmp_path: Path) -> None:
    fill(directory_store, tmp_path)
    directory_store.write(keys.boxes("Demo"), b"{}\n")
    result = run_job(Job(step="list", run=new_run(directory_store, "mine").id), directory_store)

    assert (result.exit, "datasets/Demo/boxes.jsonl" in result.error) == (Exit.REFUSED, True)
    assert not list(directory_store.entries("runs/mine/shards/"))


@pytest.mark.parametrize("store", KINDS_IN_SHORT, indirect=True)
@pytest.mark.parametrize(
    ("steps", "pieces"), [(["redact"], [""]), ([{"split": {"columns": 2, "rows": 1}}, "redact"], ["~r1c1", "~r1c2"])]
)
def test_an_image_that_is_rejected_keeps_no_picture_of_an_earlier_run(
    store: Store, tmp_path: Path, steps: list[object], pieces: list[str]
) -> None:
    pipeline = parse({"steps": steps, "output": "png"})
    fill(store, tmp_path)
    alike = Marked(image=f"{MARKED[0].image}.jpg")  # its pictures' keys begin like those of the other
    store.write(keys.images("Demo") + alike.image, store.read(keys.images("Demo") + MARKED[0].image))
    boxes.write(store, "Demo", [MARKED[0], alike, *MARKED[1:]], tmp_path)
    submit(store, "before", pipeline, shard_size=2)
    before = pictures(store, "before")
    gone = {f"{MARKED[0].image}{piece}.png" for piece in pieces}
    assert gone < before.keys()

    far = Marked(image=MARKED[0].image, boxes=(ManualBox("sign", 4000, 4000, 4020, 4020),))
    boxes.write(store, "Demo", [far, alike, *MARKED[1:]], tmp_path)
    summary = submit(store, "after", pipeline, shard_size=2)

    assert summary.rejected["box-outside"] == 1
    assert pictures(store, "after") == {key: sha256 for key, sha256 in before.items() if key not in gone}


@pytest.mark.containers
def test_containers_cover_the_same(directory_store: Store, tmp_path: Path, reference: dict[str, str]) -> None:
    fill(directory_store, tmp_path)
    run = new_run(directory_store, f"boxes-{os.getpid()}")
    DockerEngine(directory_store, workers=1).submit(run)
    summary = read_summary(directory_store, run.id)

    assert summary
    assert summary.counts.processed == len(MARKED) + 1
    assert pictures(directory_store, run.id) == reference
