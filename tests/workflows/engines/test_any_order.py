"""Any order of steps that lints runs, gives the same bytes in both layouts, and no two pictures of one name."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.local_runs import dataset, pictures, submit
from tests.thorough import examples

from imgflow_steps.pipeline.lint import doubts
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_steps.records import keys
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_steps.worker import intermediate
from imgflow_steps.worker.batch import Batch
from imgflow_steps.worker.context import open_context
from imgflow_steps.worker.loop import process

CALLS: dict[str, list[Any]] = {
    "scale": ["scale:40x30", "scale:50%", "scale:30x", {"scale": {"width": 33, "height": 33, "mode": "cover"}}],
    "grayscale": ["grayscale"],
    "crop": ["crop", "crop:40x30", "crop:16:9"],
    "rotate": ["rotate", "rotate:10", {"rotate": {"degrees": 90, "expand": False}}],
    "split": ["split", "split:quarters", "split:20px"],
    "blur": ["blur", "blur:median:1", "blur:bilateral", "blur:updownsampling"],
    "normalize": ["normalize", "normalize:equalize"],
    "augment": ["augment:2", "augment:1:7"],
    "infer": ["infer"],
}
steps = st.lists(st.sampled_from([call for ways in CALLS.values() for call in ways]), min_size=1, max_size=5)
formats = st.sampled_from(["jpeg", "png", "webp", "none"])


def test_every_step_is_tried() -> None:
    """But redact, which needs a model that finds things and runs in one layout only: tests/workflows/test_hidden.py."""
    assert CALLS.keys() == PIXEL_STEPS.keys() - {"redact"}


def done(pipeline: Pipeline, folder: Path, layout: str) -> tuple[list[Row], dict[str, str]]:
    """Rows and pictures of two images, by one process for all steps or with a shard between every two."""
    store = open_store(str(folder / layout))
    dataset(store, 2)
    run = Run(id="run", municipality="Demo", pipeline=pipeline)
    save(store, run)
    items: Any = list(enumerate(entries(store)))
    last, source = len(pipeline.steps), None
    cuts = [(1, last)] if layout == "fused" else [(position, position) for position in range(1, last + 1)]
    for first, end in cuts:
        output = None if end == last else folder / f"{end}.part"
        rows = process(Batch(run, store.url, 0, first, end, tuple(items), source, output, folder / "journal"))
        if output:
            source = folder / f"{end}.tar"
            with source.open("wb") as out:
                intermediate.join([output], out)
            items = intermediate.members(source, len(items))
    open_context.cache_clear()
    return rows, pictures(store, "run")


def entries(store: Store) -> list[Entry]:
    prefix = keys.images("Demo")
    return [Entry(image=f.key.removeprefix(prefix), version=f.version, bytes=f.bytes) for f in store.entries(prefix)]


@given(calls=steps, form=formats)
@examples(40)
def test_any_order_that_lints_runs_to_the_same_bytes_in_both_layouts(
    calls: list[Any], form: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    pipeline = parse({"steps": calls, "output": form})
    assume(not doubts(pipeline))
    folder = tmp_path_factory.mktemp("order")

    fused, published = done(pipeline, folder, "fused")
    stepped, same = done(pipeline, folder, "steps")

    assert published == same
    assert [(row.status, row.code, row.outputs) for row in fused] == [(r.status, r.code, r.outputs) for r in stepped]
    assert {row.code for row in fused} <= {"", "too-many-pieces"}, [row.message for row in fused]
    if form != "none":
        named = Counter(output.key for row in fused for output in row.outputs)
        assert set(named.values()) <= {1}
        assert len(published) == named.total()


@pytest.mark.parametrize(
    "written",
    [
        [["resize", "200x300"], ["split", True], ["blur", "updownsampling"]],
        ["augment:2:7", "split", "rotate:10", "normalize", "crop:4:3", "infer"],
    ],
    ids=str,
)
def test_a_run_of_new_steps_is_the_same_in_every_layout_and_shard_size(written: list[Any], tmp_path: Path) -> None:
    found = []
    for layout, size in (("fused", 3), ("steps", 2)):
        store = open_store(str(tmp_path / layout))
        dataset(store, 5)
        summary = submit(store, "run", parse({"steps": written}), layout=layout, shard_size=size)
        assert summary.counts.processed == 5
        found.append(pictures(store, "run"))

    assert found[0] == found[1]
    assert len(found[0]) == 5 * (4 if written[0] == ["resize", "200x300"] else 6)


def test_an_image_that_would_become_too_many_pictures_is_rejected_with_the_limit(tmp_path: Path) -> None:
    pipeline = parse({"steps": ["split:10px"], "limits": {"pieces": 69}})  # 96 x 64 make 70

    rows, published = done(pipeline, tmp_path, "fused")

    assert {(row.status, row.code) for row in rows} == {(Status.REJECTED, "too-many-pieces")}
    assert "69" in rows[0].message
    assert published == {}
