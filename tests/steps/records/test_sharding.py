"""Any number of images is cut so that none is left out, pods stay few and nodes stay busy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.contract.options import DecodePlan
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records.sharding import MAX_SHARDS, STEPS_SHARDS, bytes_between, cut

SMALL = parse({"steps": [{"scale": {"width": 256, "height": 256}}, "grayscale"]})
WHOLE = parse({"steps": ["infer"]})

counts = st.integers(0, 5_000_000)
sizes = st.integers(0, 1_000_000)
nodes = st.integers(1, 100_000)


@given(images=counts, size=sizes, nodes=nodes)
def test_every_image_has_a_shard_and_no_shard_is_empty(images: int, size: int, nodes: int) -> None:
    plan = cut(SMALL, images=images, shard_size=size, nodes=nodes, layout="auto")
    assert plan.shards * plan.shard_size >= images
    assert (plan.shards - 1) * plan.shard_size < images or images == 0
    assert plan.shards == 0 if images == 0 else plan.shards >= 1


@given(images=counts, size=sizes, nodes=nodes)
def test_shards_never_grow_over_a_thousand(images: int, size: int, nodes: int) -> None:
    assert cut(SMALL, images=images, shard_size=size, nodes=nodes, layout="auto").shards <= MAX_SHARDS


@given(nodes=st.integers(1, 400), images=counts)
def test_every_node_has_two_shards_when_there_are_images_enough(images: int, nodes: int) -> None:
    plan = cut(SMALL, images=images, shard_size=0, nodes=nodes, layout="auto")
    if images >= (2 * nodes) ** 2:  # fewer cannot be cut into so many equal shards
        assert plan.shards >= min(2 * nodes, MAX_SHARDS) - 1
    assert plan.shards <= max(2 * nodes, -(-images // plan.shard_size) if plan.shard_size else 0)


@given(images=st.integers(1, 5_000_000), size=st.integers(1, 1_000_000))
def test_an_asked_shard_size_is_kept_unless_that_makes_too_many(images: int, size: int) -> None:
    plan = cut(SMALL, images=images, shard_size=size, nodes=1, layout="auto")
    assert plan.shard_size == size if images <= size * MAX_SHARDS else plan.shard_size > size


def test_a_shard_may_hold_one_image() -> None:
    plan = cut(SMALL, images=20, shard_size=1, nodes=1, layout="auto")
    assert (plan.shards, plan.shard_size) == (20, 1)


def test_one_machine_hands_nothing_over_between_steps_unless_asked() -> None:
    here = cut(SMALL, images=20, shard_size=0, nodes=1, layout="auto", local=True)
    asked = cut(SMALL, images=20, shard_size=0, nodes=1, layout="steps", local=True)
    assert (here.layout, asked.layout) == ("fused", "steps")
    assert here.why != asked.why == "as asked"


def test_a_municipality_without_images_has_no_shards() -> None:
    assert cut(SMALL, images=0, shard_size=0, nodes=4, layout="auto").shards == 0


def test_a_million_images_stay_a_thousand_shards() -> None:
    plan = cut(SMALL, images=1_000_000, shard_size=0, nodes=10, layout="auto")
    assert (plan.shards, plan.shard_size, plan.layout) == (1000, 1000, "fused")


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_a_layout_that_was_asked_for_is_taken(layout: str) -> None:
    plan = cut(WHOLE, images=100_000, shard_size=0, nodes=1, layout=layout)
    assert (plan.layout, plan.why) == (layout, "as asked")


def test_few_small_shards_go_step_by_step() -> None:
    plan = cut(SMALL, images=500, shard_size=0, nodes=2, layout="auto")
    assert plan.layout == "steps"
    assert plan.shard_bytes == plan.shard_size * 256 * 256


def test_many_shards_are_fused_and_the_reason_has_the_number() -> None:
    plan = cut(SMALL, images=STEPS_SHARDS + 1, shard_size=1, nodes=1, layout="auto")
    assert plan.layout == "fused"
    assert str(STEPS_SHARDS + 1) in plan.why


def test_large_shards_are_fused_and_the_reason_has_their_size() -> None:
    plan = cut(WHOLE, images=50, shard_size=0, nodes=1, layout="auto")
    assert plan.layout == "fused"
    assert "MB" in plan.why


def test_luma_takes_a_third_of_the_room_of_colour() -> None:
    box = DecodePlan(width=100, height=50)
    assert bytes_between(box) == 15_000
    assert bytes_between(box.model_copy(update={"luma": True})) == 5_000
    assert bytes_between(DecodePlan()) > 10_000_000
