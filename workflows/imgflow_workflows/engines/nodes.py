"""What a Workflow object says of itself: phase and pods, also while Argo keeps its nodes compressed."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgflow_steps.run import Phase

_PHASES = {
    "": Phase.PENDING,
    "Pending": Phase.PENDING,
    "Running": Phase.RUNNING,
    "Succeeded": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
    "Error": Phase.FAILED,
}


@dataclass(frozen=True, slots=True)
class Pod:
    """What a Workflow says of one of its pods; ``attempt`` counts from 1."""

    name: str
    step: str
    attempt: int
    node: str
    outcome: str
    message: str


def phase(workflow: Mapping[str, Any]) -> Phase:
    """Where the run stands. One that somebody stopped is interrupted, not failed."""
    now = _PHASES[workflow.get("status", {}).get("phase", "")]
    stopped = workflow.get("spec", {}).get("shutdown")
    return Phase.INTERRUPTED if stopped and now is Phase.FAILED else now


def ended(workflow: Mapping[str, Any]) -> bool:
    """Whether nothing of the run runs any more."""
    return phase(workflow) not in {Phase.PENDING, Phase.RUNNING}


def nodes(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """Node status by node id. Beyond a megabyte Argo compresses it, and from write to write it may be either."""
    status = workflow.get("status", {})
    packed = status.get("compressedNodes")
    if packed:
        unpacked: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))
        return unpacked
    return status.get("nodes") or {}


def pods(workflow: Mapping[str, Any], shard: int) -> list[Pod]:
    """The pods that had a shard, in the order in which they began."""
    name = workflow["metadata"]["name"]
    found = [n for n in nodes(workflow).values() if n["type"] == "Pod" and _shard(n) == shard]
    return [
        Pod(
            name=pod_name(name, node),
            step=node["templateName"],
            attempt=int(attempt[1]) + 1 if (attempt := re.search(r"\((\d+)\)$", node["name"])) else 1,
            node=node.get("hostNodeName", ""),
            outcome=node.get("phase", "Pending"),
            message=node.get("message", ""),
        )
        for node in sorted(found, key=lambda node: node.get("startedAt") or "~")
    ]


@dataclass(frozen=True, slots=True)
class Span:
    """How long a pod of a shard was there, from its making to its end, and how it ended."""

    template: str
    step: str
    shard: int
    seconds: float
    succeeded: bool
    out_of_memory: bool


def spans(workflow: Mapping[str, Any]) -> list[Span]:
    """All pods that had a shard and ended."""
    return [
        Span(
            template=node["templateName"],
            step=re.sub(r"-\d+$", "", node["templateName"]),
            shard=shard,
            seconds=(_moment(node["finishedAt"]) - _moment(node["startedAt"])).total_seconds(),
            succeeded=node.get("phase") == "Succeeded",
            out_of_memory="OOMKilled" in node.get("message", ""),
        )
        for node in nodes(workflow).values()
        if node["type"] == "Pod" and node.get("finishedAt") and (shard := _shard(node)) is not None
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _shard(node: Mapping[str, Any]) -> int | None:
    """The shard a pod has; None for list and collect."""
    given = {one["name"]: one.get("value", "") for one in node.get("inputs", {}).get("parameters", [])}
    return int(given["shard"]) if given.get("shard", "").isdecimal() else None


def pod_name(workflow: str, node: Mapping[str, Any]) -> str:
    """What Argo calls the pod of a node."""
    return f"{workflow}-{node['templateName']}-{node['id'].rpartition('-')[2]}"


def failed_pods(workflow: Mapping[str, Any]) -> dict[str, str]:
    """The pods that failed, attempts that were followed by a better one included, and what Argo says of each."""
    name = workflow["metadata"]["name"]
    bad = (n for n in nodes(workflow).values() if n["type"] == "Pod" and n.get("phase") in {"Failed", "Error"})
    return {pod_name(name, node): node.get("message", "") for node in bad}
