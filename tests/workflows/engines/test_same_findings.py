"""However a run is cut up and however many compute, the same things are found and the same pixels covered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests import leaks, local_runs
from tests.thorough import mostly_thorough

from imgflow_steps.list import List
from imgflow_steps.records import keys
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import open_store
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.faces
Made = tuple[dict[str, Any], dict[str, str]]  # what was found in each image, and the digests of pictures


def made(folder: Path, *, covered: bool, workers: int, layout: str, shard_size: int) -> Made:
    """Findings and pictures of a store of their own, where every picture is looked at in pieces as well."""
    folder.mkdir()
    store = open_store(str(folder / "store"))
    leaks.dataset(store)
    pipeline = leaks.covering(store, folder, tile=256)
    if not covered:
        pipeline = pipeline.model_copy(update={"steps": tuple(one for one in pipeline.steps if one.name != "redact")})
    asked = List.model_validate({"layout": layout, "shard_size": shard_size})
    run = Run(id="same", municipality="Demo", pipeline=pipeline, list=asked, created=time.time())
    save(store, run)
    LocalEngine(store, workers=workers).submit(run)
    (folder / "results.jsonl").write_bytes(store.read(keys.results_jsonl(run.id)))
    rows = read_jsonl(folder / "results.jsonl")
    return {row.image: [one.found for one in row.outputs] for row in rows}, local_runs.pictures(store, run.id)


@pytest.fixture(scope="module", params=["fused", "steps"])
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Made]:
    """A layout, and what one process makes of all images in one shard; where something is covered there is no steps."""
    covered = request.param == "fused"
    folder = tmp_path_factory.mktemp("same") / "reference"
    return request.param, made(folder, covered=covered, workers=1, layout="fused", shard_size=1000)


@pytest.mark.parametrize("cut", mostly_thorough([(1, 7), (2, 1), (1, 1), (2, 7)], [(2, 1)]))  # workers, shard size
def test_workers_shards_and_layouts_find_and_cover_the_same(
    tmp_path: Path, reference: tuple[str, Made], cut: tuple[int, int]
) -> None:
    (layout, expected), (workers, shard_size) = reference, cut
    other = made(tmp_path / "other", covered=layout == "fused", workers=workers, layout=layout, shard_size=shard_size)
    assert other == expected
    found, pictures = other
    assert len(pictures) == len(found) - 1, "one is broken"
    assert sorted(len(one[0]["objects"]["boxes"]) for one in found.values() if one) == [0, 0, 1, 1, 1]
