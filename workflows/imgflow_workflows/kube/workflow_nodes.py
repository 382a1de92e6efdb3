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

from imgflow_steps.records.summary import Phase
from imgflow_workflows.standing import OPEN, Standing

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
    now, spec = _PHASES[workflow.get("status", {}).get("phase", "")], workflow.get("spec", {})
    if now in OPEN and spec.get("suspend"):
        return Phase.SUSPENDED
    return Phase.INTERRUPTED if spec.get("shutdown") and now is Phase.FAILED else now


def ended(workflow: Mapping[str, Any]) -> bool:
    """Whether nothing of the run runs any more."""
    return phase(workflow) not in OPEN


def standing(workflow: Mapping[str, Any], since: float) -> Standing | None:
    """Where the run stands that was submitted at ``since``; None when this is the Workflow of an earlier attempt."""
    metadata, status, now = workflow["metadata"], workflow.get("status", {}), phase(workflow)
    name = metadata["name"]
    if now is Phase.SUSPENDED:
        return Standing(now, f"its Workflow is suspended: nothing new starts until `imgflow retry {name}` resumes it")
    if now in OPEN:
        return Standing(now, _refused(workflow))
    if status.get("finishedAt") and _moment(status["finishedAt"]).timestamp() < since:
        return Standing(Phase.PENDING) if metadata.get("deletionTimestamp") else None
    if now is Phase.INTERRUPTED:
        return Standing(now, f"it was stopped before its end; `imgflow retry {name}` resumes it")
    said = status.get("message", "")
    return Standing(now, said and f"Argo says: {said}")


def _refused(workflow: Mapping[str, Any]) -> str:
    """Why no pod of a Workflow begins, where the cluster refuses them: Argo asks again and again, and nothing moves."""
    found = [node for node in nodes(workflow).values() if node["type"] == "Pod"]
    if any(node.get("phase") == "Running" for node in found):
        return ""
    said = (node.get("message", "") for node in found if node.get("phase") in {"Pending", "Error"})
    refusal = next((message for message in said if "is forbidden" in message), "")
    return refusal and f"the cluster admits no pod: {refusal}"


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
