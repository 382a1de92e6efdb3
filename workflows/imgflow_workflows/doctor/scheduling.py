"""Why no node takes a pod, and whether any ever could."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from imgflow_workflows.doctor.findings import Diagnosis, Evidence
from imgflow_workflows.doctor.snapshot import seconds

if TYPE_CHECKING:
    from decimal import Decimal

    from imgflow_workflows.doctor.snapshot import Attempt, Document, Sign, Snapshot

PATIENCE = 60  # seconds for which a full cluster is nothing to speak of
SHORT = re.compile(r"Insufficient ([\w./-]*\w)")
# What else the scheduler says, and what it means; most telling first.
OBSTACLES = {
    r"didn't match Pod's node affinity/selector": ("selector", "no node has the labels that its nodeSelector asks for"),
    r"untolerated taint": ("taint", "nodes have taints that it does not tolerate"),
    r"were unschedulable": ("cordoned", "nodes are cordoned"),
    r"Too many pods": ("pods", "nodes have as many pods as they may"),
}


def unschedulable(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """No node takes the pod: none is large enough, none fits, or all are full and not with pods of this run."""
    waits = [s for kind, status, s in attempt.conditions() if kind == "PodScheduled" and status == "False"]
    if not waits or waits[0].reason != "Unschedulable" or not attempt.pending:
        return None
    sign = waits[0]
    if short := sorted(set(SHORT.findall(sign.message))):
        return _short(attempt, snapshot, sign, short)
    for words, (kind, what) in OBSTACLES.items():
        if re.search(words, sign.message):
            return _finding(
                attempt, sign, f"no node takes pods of step {attempt.step}: {what}", _mend(kind, attempt, snapshot)
            )
    return _finding(attempt, sign, f"no node takes pods of step {attempt.step}", ("kubectl describe nodes",))


def _short(attempt: Attempt, snapshot: Snapshot, sign: Sign, short: list[str]) -> Diagnosis | None:
    asked = requests(attempt.pod)
    nodes = [node for node in snapshot.nodes if tolerated(node, attempt.pod)]
    never = [name for name in short if nodes and asked.get(name, 0) > largest(nodes, name)]
    lacking = " and ".join(f"{name} ({_spelt(attempt.pod, name)} each)" for name in never or short)
    if never:
        what = f"no node is large enough for pods of step {attempt.step}: they ask for too much {lacking}"
    elif _busy(snapshot) or snapshot.time - seconds(sign.time) < PATIENCE:
        return None  # the cluster is full with this very run, or only since a moment
    else:
        what = f"no node has room for pods of step {attempt.step}: too little {lacking} is free"
    values = [f"steps.{attempt.step}.resources.requests.{name}=…" for name in never or short if "/" not in name]
    look = "kubectl describe nodes  # what they have, and who has taken it; or add nodes"
    less = (f"{snapshot.helm(*values)}  # asks for less", f"{snapshot.command} stop {snapshot.run}", snapshot.retry)
    mend = (look, *(less if values else ()))
    return _finding(attempt, sign, what, mend)


def _mend(kind: str, attempt: Attempt, snapshot: Snapshot) -> tuple[str, ...]:
    again = (f"{snapshot.command} stop {snapshot.run}", snapshot.retry)
    selector = ",".join(f"{k}={v}" for k, v in attempt.pod.get("spec", {}).get("nodeSelector", {}).items())
    return {
        "selector": (
            f"kubectl label node NODE {selector or 'LABEL=VALUE'}  # pods start at once",
            f"{snapshot.helm(f'steps.{attempt.step}.nodeSelector=null')}  # or ask for none, and then",
            *again,
        ),
        "taint": ("kubectl describe nodes  # which taints; set the step's tolerations, or remove them",),
        "cordoned": ("kubectl uncordon NODE",),
        "pods": ("kubectl describe nodes  # add nodes, or lower the limits in ConfigMap imgflow-limits",),
    }[kind]


def _finding(attempt: Attempt, sign: Sign, what: str, mend: tuple[str, ...]) -> Diagnosis:
    evidence = Evidence(attempt.name, "", sign.reason, sign.message, sign.time)
    return Diagnosis("unschedulable", what, (evidence,), mend)


def _busy(snapshot: Snapshot) -> bool:
    """Whether pods of the run are at work, and will make room when they end."""
    return any(pod.get("status", {}).get("phase") == "Running" for pod in snapshot.pods)


def parsed(quantity: str) -> Decimal:
    """An amount as Kubernetes writes it, as a number: CPU in cores, memory in bytes."""
    from kubernetes.utils import quantity as untyped  # noqa: PLC0415 - half a second, for a full cluster only

    return cast("Decimal", cast("Any", untyped).parse_quantity(quantity))


def requests(pod: Document) -> dict[str, Decimal]:
    """What a pod asks of a node: CPU in cores, memory in bytes, and so on."""
    asked: dict[str, Decimal] = {}
    for container in pod.get("spec", {}).get("containers", ()):
        for name, amount in container.get("resources", {}).get("requests", {}).items():
            asked[name] = asked.get(name, 0) + parsed(amount)
    return asked


def tolerated(node: Document, pod: Document) -> bool:
    """Whether the pod may run on a node at all, as far as its taints go."""
    taints = {taint["key"] for taint in node.get("spec", {}).get("taints", ()) if taint["effect"] != "PreferNoSchedule"}
    tolerations = {one.get("key") for one in pod.get("spec", {}).get("tolerations", ())}
    return None in tolerations or taints <= tolerations


def largest(nodes: list[Document], name: str) -> Decimal:
    """The most that any node has of a resource when it is empty."""
    return max(parsed(node["status"].get("allocatable", {}).get(name, "0")) for node in nodes)


def _spelt(pod: Document, name: str) -> str:
    """The amounts as the pod spells them, that of the container which works on images first."""
    containers = sorted(pod.get("spec", {}).get("containers", ()), key=lambda one: one["name"] != "main")
    amounts = [c.get("resources", {}).get("requests", {}).get(name) for c in containers]
    return " + ".join(amount for amount in amounts if amount) or "?"
