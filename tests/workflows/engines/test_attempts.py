"""Which containers had a shard, and what they said: from a Workflow while it is there, from the store for good."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from typing import Any

import pytest

from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_workflows.engines.attempts import ContainerLog, attempts

RUN = "utrecht-1"


def node(number: int, template: str, shard: str, attempt: int, phase: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"{RUN}-{number}",
        "name": f"{RUN}.{template}(17:{shard})({attempt})",
        "type": "Pod",
        "templateName": template,
        "phase": phase,
        "startedAt": f"2026-11-21T11:00:{number:02d}Z",
        "inputs": {"parameters": [{"name": "shard", "value": shard}]} if shard else {},
        **more,
    }


NODES = [
    node(9, "fused", "00017", 1, "Succeeded", hostNodeName="node-2"),
    node(3, "fused", "00017", 0, "Failed", hostNodeName="node-1", message="OOMKilled (exit code 137)"),
    node(4, "fused", "00018", 0, "Succeeded"),
    node(1, "list", "", 0, "Succeeded"),
]


class OneWorkflow:
    """A cluster with one Workflow, or with none any more."""

    def __init__(self, *, there: bool = True) -> None:
        self._there = there

    def workflow(self, name: str) -> dict[str, Any] | None:
        nodes = {one["id"]: one for one in NODES}
        return {"metadata": {"name": name}, "status": {"nodes": nodes}} if self._there else None

    def logs(self, name: str, step: str, skip: Container[str], *, follow: bool) -> Iterator[tuple[str, str]]:
        pods = [f"{RUN}-fused-{number}" for number in (3, 4, 9)]
        yield from ((pod, f"{line} of {pod}") for pod in pods if pod not in skip for line in "abc")


def keep(store: Store, pod: str, *events: dict[str, Any] | str) -> None:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    store.write(f"{keys.logs(RUN)}{pod}/main.log", "".join(f"{line}\n" for line in lines).encode())


def start(step: str, shard: int, time: float) -> dict[str, Any]:
    return {"time": time, "event": "start", "run": RUN, "step": step, "position": 0, "shard": shard}


def test_a_workflow_tells_attempt_node_and_outcome_and_the_store_or_the_pod_its_last_words(store: Store) -> None:
    keep(store, f"{RUN}-fused-3", start("fused", 17, 1), "… argo=true", "Killed")

    first, second = attempts(store, RUN, 17, lines=2, cluster=OneWorkflow())  # type: ignore[arg-type]  # it only asks

    assert first == ContainerLog(
        container=f"{RUN}-fused-3",
        step="fused",
        attempt=1,
        node="node-1",
        outcome="Failed",
        message="OOMKilled (exit code 137)",
        log=(json.dumps(start("fused", 17, 1)), "Killed"),
    )
    assert (second.attempt, second.node, second.outcome) == (2, "node-2", "Succeeded")
    assert second.log == (f"b of {RUN}-fused-9", f"c of {RUN}-fused-9")


@pytest.mark.parametrize("cluster", [None, OneWorkflow(there=False)])
def test_without_a_workflow_the_logs_in_the_store_say_whose_they_are(store: Store, cluster: Any) -> None:
    ended = {"event": "end", "exit": 75, "error": "the store is away"}
    keep(store, f"{RUN}-fused-8", "a warning of some library", start("fused", 17, 2.0), "killed in the middle")
    keep(store, f"{RUN}-fused-9", start("fused", 17, 1.0), ended)
    keep(store, f"{RUN}-fused-7", start("fused", 16, 1.0))
    keep(store, f"{RUN}-collect-7", start("collect", 17, 1.0))
    keep(store, f"{RUN}-silent-1")

    first, second = attempts(store, RUN, 17, lines=1, cluster=cluster)

    assert (first.container, first.outcome, first.message) == (f"{RUN}-fused-9", "Failed", "the store is away")
    assert (second.outcome, second.log) == ("", ("killed in the middle",))


def test_of_a_long_log_only_the_end_is_read(store: Store) -> None:
    noise = [f"{number:06d} {'x' * 60}" for number in range(1000)]
    keep(store, f"{RUN}-fused-1", start("fused", 17, 1.0), *noise)

    [one] = attempts(store, RUN, 17, lines=2000)

    assert one.log[-1] == noise[-1]
    assert 100 < len(one.log) < 300
    assert set(one.log) <= set(noise)
