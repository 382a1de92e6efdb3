"""What a Workflow object says of itself: phase and pods, also while Argo keeps its nodes compressed."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
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


def failed_pods(workflow: Mapping[str, Any]) -> set[str]:
    """Names of the pods that failed, attempts that were followed by a better one included."""
    name = workflow["metadata"]["name"]
    bad = (n for n in nodes(workflow).values() if n["type"] == "Pod" and n.get("phase") in {"Failed", "Error"})
    return {f"{name}-{node['templateName']}-{node['id'].rpartition('-')[2]}" for node in bad}
