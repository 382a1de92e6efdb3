"""Snapshots recorded from a real cluster, trimmed to what a diagnosis can look at."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_workflows.doctor.snapshot import NODE_ID

if TYPE_CHECKING:
    from imgflow_workflows.doctor.findings import Diagnosis
    from imgflow_workflows.doctor.snapshot import Snapshot

GOLDEN = Path(__file__).parent / "workflows/golden/doctor"
RECORD = "IMGFLOW_RECORD"  # set it to have cluster tests write what they saw

Document = dict[str, Any]

# What is kept of each document: names of fields, and below them the same again; "*" is every item or field.
POD = {
    "metadata": {"name": {}, "labels": {"imgflow.io/step": {}}, "annotations": {NODE_ID: {}}, "creationTimestamp": {}},
    "spec": {
        "nodeName": {},
        "nodeSelector": {},
        "tolerations": {},
        "containers": {"*": {"name": {}, "image": {}, "resources": {}}},
    },
    "status": {
        "phase": {},
        "reason": {},
        "message": {},
        "startTime": {},
        "conditions": {},
        "initContainerStatuses": {"*": {"name": {}, "image": {}, "state": {}, "lastState": {}}},
        "containerStatuses": {"*": {"name": {}, "image": {}, "state": {}, "lastState": {}}},
    },
}
EVENT = {"involvedObject": {"name": {}}, "reason": {}, "message": {}, "lastTimestamp": {}, "eventTime": {}}
NODE = {"metadata": {"name": {}}, "spec": {"taints": {}}, "status": {"conditions": {}, "allocatable": {}}}
WORKFLOW_NODE = {
    name: {}
    for name in (
        "id",
        "type",
        "templateName",
        "phase",
        "message",
        "startedAt",
        "finishedAt",
        "hostNodeName",
        "children",
    )
}
WORKFLOW = {
    "metadata": {"name": {}, "creationTimestamp": {}},
    "spec": {"shutdown": {}, "suspend": {}},
    "status": {"phase": {}, "message": {}, "finishedAt": {}, "compressedNodes": {}, "nodes": {"*": WORKFLOW_NODE}},
}
SHAPE: Document = {"workflow": WORKFLOW, "pods": {"*": POD}, "events": {"*": EVENT}, "nodes": {"*": NODE}}


def trimmed(document: Any, shape: Document) -> Any:
    """Only the fields that ``shape`` names; all below an empty shape."""
    if not shape or document is None:
        return document
    if isinstance(document, list):
        return [trimmed(item, shape["*"]) for item in document]
    return {
        key: trimmed(value, shape.get(key, shape.get("*", {})))
        for key, value in document.items()
        if key in shape or "*" in shape
    }


def keep(name: str, snapshot: Snapshot, findings: list[Diagnosis]) -> None:
    """Write a golden file, when asked to record."""
    if not os.environ.get(RECORD):
        return
    document = snapshot.model_dump(mode="json", exclude_defaults=True)
    document |= {key: trimmed(document[key], shape) for key, shape in SHAPE.items() if key in document}
    GOLDEN.mkdir(exist_ok=True)
    content = {"findings": [asdict(one) for one in findings], "snapshot": document}
    (GOLDEN / f"{name}.json").write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def recorded() -> list[str]:
    """Names of the golden files."""
    return sorted(path.stem for path in GOLDEN.glob("*.json"))
