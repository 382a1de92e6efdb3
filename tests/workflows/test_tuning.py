"""What is proposed keeps pods worth their start, leaves no node idle, and never contradicts what the run showed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.run import Run
from imgflow_steps.records.sharding import MAX_SHARDS
from imgflow_workflows.kube.workflow_nodes import Span, spans
from imgflow_workflows.submit.default import DEFAULT
from imgflow_workflows.tuning import (
    SHARES,
    Proposal,
    RunFigures,
    cores,
    flags,
    mebi,
    parse,
    propose,
    shard_size,
    values,
)

MIB = 1 << 20


def evidence(*, engine: str = "argo", layout: str = "fused", killed: int = 0, **changes: Any) -> RunFigures:
    """Four shards of 50 images, two at once, in pods that cost 10 s besides 0.2 s for each image."""
    run = Run(id="utrecht-1", municipality="Utrecht", pipeline=DEFAULT, engine=engine, workers=2 * (engine == "local"))
    listing = Listing(listed=200, todo=200, shards=4, shard_size=50, layout=layout, ended=90.0)
    labels = ["infer"] if layout == "fused" else DEFAULT.labels
    ms = {"fetch": 900.0, "decode": 6000.0, "scale": 3000.0, "infer": 1000.0, "publish": 500.0}
    shards = [
        ShardProgress(
            **{
                "label": label,
                "shard": shard,
                "total": 50,
                "done": 50,
                "ms": ms,
                "memory": 300 * MIB,
                "began": 100.0 + 20 * (shard // 2),
                "updated": 110.0 + 20 * (shard // 2),
                **changes,
            }
        )
        for shard in range(4)
        for label in labels
    ]
    template = "fused" if layout == "fused" else "scale"
    ended = [Span(template, template, n, 20.0, succeeded=True, out_of_memory=False) for n in range(4)]
    ended += [Span(template, template, 0, 5.0, succeeded=False, out_of_memory=True)] * killed
    return RunFigures(run, listing, shards, ended if engine == "argo" else ())


def by_setting(proposals: list[Proposal]) -> dict[str, Proposal]:
    return {one.setting: one for one in proposals}


@given(
    images=st.integers(1, 5_000_000),
    overhead=st.floats(0, 120),
    each=st.floats(0.001, 60),
    slots=st.integers(1, 500),
)
def test_overhead_stays_below_a_tenth_where_there_are_images_enough(
    images: int, overhead: float, each: float, slots: int
) -> None:
    size = shard_size(images, overhead=overhead, each=each, slots=slots)

    assert 1 <= size <= images
    assert math.ceil(images / size) <= MAX_SHARDS
    assert size == images or overhead / (overhead + size * each) <= SHARES[-1] + 1e-9


@given(images=st.integers(1, 5_000_000), slots=st.integers(1, 200))
def test_where_pods_cost_nothing_no_node_is_idle_at_the_end(images: int, slots: int) -> None:
    size = shard_size(images, overhead=0.0, each=0.1, slots=slots)
    shards = math.ceil(images / size)
    assume(size >= shards)  # else whole images do not go into equal shards

    assert shards % slots == 0 or shards < slots


def test_a_tenth_is_taken_before_nodes_are_left_without_a_shard() -> None:
    assert shard_size(1000, overhead=10, each=0.5, slots=2) == 500  # 5 % would take 380 images: two shards, 500 each
    assert shard_size(1000, overhead=10, each=0.5, slots=5) == 200  # 10 % takes 180
    assert shard_size(1000, overhead=10, each=0.5, slots=50) == 200  # more shards would be over the bound


def test_a_pod_s_overhead_is_what_it_was_there_for_besides_its_images() -> None:
    size = by_setting(propose(evidence()))["--shard-size"]

    assert "a shard costs 10.0 s (the faster quarter of 4 pods) and each of its images 0.2 s" in size.why
    assert (size.now, size.proposed) == ("50", "200")  # 10 s at 0.2 s an image: 450 of them, and there are no more


def test_waiting_for_the_store_is_not_computing() -> None:
    cpu = by_setting(propose(evidence()))["steps.fused.resources.requests.cpu"]

    assert (cpu.now, cpu.proposed) == ("500m", "1000m")  # 10 s of computing in 10 s


def test_a_step_asks_for_the_cores_it_keeps_busy() -> None:
    idle = by_setting(propose(evidence(ms={"fetch": 9000.0, "decode": 1500.0})))

    assert idle["steps.fused.resources.requests.cpu"].proposed == "200m"


def test_memory_is_what_was_held_and_a_quarter_more() -> None:
    memory = by_setting(propose(evidence()))

    assert memory["steps.fused.resources.requests.memory"].proposed == "384Mi"
    assert "300 MiB" in memory["steps.fused.resources.requests.memory"].why
    assert "steps.fused.resources.limits.memory" not in memory


@given(held=st.integers(0, 8 << 30), killed=st.integers(1, 5))
def test_after_running_out_of_memory_more_is_proposed_never_less(held: int, killed: int) -> None:
    memory = by_setting(propose(evidence(killed=killed, memory=held)))
    request, limit = (memory[f"steps.fused.resources.{kind}.memory"] for kind in ("requests", "limits"))

    assert parse(limit.proposed) >= 2 * parse(limit.now)
    assert parse(request.proposed) > parse(request.now)
    assert parse(request.proposed) <= parse(limit.proposed)
    assert "ran out of memory" in limit.why


@given(held=st.integers(1, 64 << 30))
def test_what_was_held_is_never_more_than_what_is_asked_for(held: int) -> None:
    memory = by_setting(propose(evidence(memory=held)))
    request = parse(memory["steps.fused.resources.requests.memory"].proposed)
    limit = memory.get("steps.fused.resources.limits.memory")

    assert held <= request <= parse(limit.proposed if limit else "3Gi")


def test_pods_for_every_step_are_given_up_where_they_cost_too_much() -> None:
    proposals = by_setting(propose(evidence(layout="steps")))

    assert (proposals["--layout"].now, proposals["--layout"].proposed) == ("steps", "fused")
    assert {"steps.scale.resources.requests.cpu", "steps.infer.resources.requests.cpu"} <= set(proposals)


def test_what_an_earlier_step_took_is_not_counted_again() -> None:
    size = by_setting(propose(evidence(layout="steps")))["--shard-size"]
    assert "each of its images 0.2 s" in size.why


def test_on_one_machine_there_are_no_pods_and_shards_that_cost_nothing_stay() -> None:
    [size] = propose(evidence(engine="local", began=90.0))
    assert (size.setting, size.now, size.proposed) == ("--shard-size", "50", "50")


def test_a_run_that_computed_nothing_says_nothing() -> None:
    assert propose(evidence(done=0)) == []


def test_only_what_changes_is_in_the_values_and_the_flags() -> None:
    proposals = [
        Proposal("--shard-size", "50", "200", ""),
        Proposal("--layout", "fused", "fused", ""),
        Proposal("steps.fused.resources.requests.memory", "512Mi", "384Mi", ""),
        Proposal("steps.fused.resources.requests.cpu", "1", "1", ""),
    ]
    assert values(proposals) == {"steps": {"fused": {"resources": {"requests": {"memory": "384Mi"}}}}}
    assert flags(proposals) == {"--shard-size": "200"}


@pytest.mark.parametrize(("text", "size"), [("512Mi", 512 * MIB), ("3Gi", 3 << 30), ("1.5G", 15 * 10**8), ("7", 7)])
def test_quantities_are_read_as_kubernetes_means_them(text: str, size: int) -> None:
    assert parse(text) == size
    assert parse(mebi(size)) >= size
    assert (cores("500m"), cores("2")) == (0.5, 2.0)


def test_spans_are_read_from_a_workflow() -> None:
    node = {
        "type": "Pod",
        "templateName": "scale-1",
        "phase": "Failed",
        "message": "OOMKilled (exit code 137)",
        "startedAt": "2026-11-21T10:00:00Z",
        "finishedAt": "2026-11-21T10:00:20Z",
        "inputs": {"parameters": [{"name": "shard", "value": "00003"}]},
    }
    listing = {**node, "templateName": "list", "inputs": {}}
    running = {**node, "finishedAt": None}
    workflow = {"status": {"nodes": {"a": node, "b": listing, "c": running}}}

    assert spans(workflow) == [Span("scale-1", "scale", 3, 20.0, succeeded=False, out_of_memory=True)]
