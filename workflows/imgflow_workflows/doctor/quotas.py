"""Whether a namespace's quotas and limit ranges would admit the pods of a run: pure functions over what was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgflow_workflows.argo.options import STEP_LABEL, patched
from imgflow_workflows.doctor.scheduling import parsed

if TYPE_CHECKING:
    from decimal import Decimal

Document = Mapping[str, Any]

# What a quota may ask every container of a pod to name; other amounts it only adds up.
DEMANDED = {
    **{name: ("requests", name) for name in ("cpu", "memory")},
    **{f"{kind}.{name}": (kind, name) for kind in ("requests", "limits") for name in ("cpu", "memory")},
}
PODS = ("pods", "count/pods")
SCOPES = {"Terminating", "NotBestEffort"}  # of every pod of a run: it has a deadline, and asks for something


@dataclass(frozen=True, slots=True)
class ContainerResources:
    """One container of a pod, and what it names as requests and limits once the namespace has filled in its own."""

    name: str
    resources: Mapping[str, Mapping[str, str]]

    def names(self, kind: str, resource: str) -> str:
        """An amount, "" where there is none."""
        return str(self.resources.get(kind, {}).get(resource, ""))


@dataclass(frozen=True, slots=True)
class Pod:
    """The pods of a step: containers that run together, and those that run before."""

    step: str
    containers: tuple[ContainerResources, ...]
    before: tuple[ContainerResources, ...]

    @property
    def every(self) -> tuple[ContainerResources, ...]:
        """All containers."""
        return self.before + self.containers

    def sum(self, kind: str, resource: str) -> Decimal:
        """What the pod takes as a whole; containers that run before make room for those after them."""
        together, *alone = [
            sum((parsed(one.names(kind, resource) or "0") for one in containers), parsed("0"))
            for containers in (self.containers, *((one,) for one in self.before))
        ]
        return max([together, *alone])


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why pods of a step would not be admitted: now, or never; and the chart's value that decides it, "" for none."""

    what: str
    value: str = ""
    never: bool = True


def refusals(template: Document, quotas: list[Document], ranges: list[Document]) -> list[Refusal]:
    """Each reason once, for the first step that it keeps out, those that last first."""
    found: dict[str, Refusal] = {}
    items = [item for one in ranges for item in one["spec"]["limits"]]
    for pod in _pods(template["spec"], items):
        for quota in filter(_counts, quotas):
            for key, one in _by_quota(pod, quota):
                found.setdefault(f"{quota['metadata']['name']} {key}", one)
        for item in items:
            for key, one in _by_range(pod, item):
                found.setdefault(key, one)
    return sorted(found.values(), key=lambda one: not one.never)


def _pods(spec: Document, ranges: list[Document]) -> Iterator[Pod]:
    """The pods that a template describes, as the namespace would see them."""
    patch = patched(spec)
    before, beside = (
        tuple(_resources(one["name"], one, ranges) for one in patch.get(kind, ()))
        for kind in ("initContainers", "containers")
    )
    for leaf in spec["templates"]:
        if "container" in leaf:
            main = _resources("main", leaf["container"], ranges)
            yield Pod(leaf["metadata"]["labels"][STEP_LABEL], (main, *beside), before)


def _resources(name: str, container: Document, ranges: list[Document]) -> ContainerResources:
    own = container.get("resources", {})
    filled: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for item in ranges:
        if item["type"] == "Container":
            filled["requests"] |= item.get("defaultRequest", {})
            filled["limits"] |= item.get("default", {})
    limits, requests = own.get("limits", {}), own.get("requests", {})
    return ContainerResources(
        name,
        {"limits": filled["limits"] | limits, "requests": filled["requests"] | limits | requests},
    )


def _counts(quota: Document) -> bool:
    """Whether a quota is about pods of runs at all."""
    spec = quota["spec"]
    if not SCOPES.issuperset(scope for scope in spec.get("scopes", ())):
        return False
    for one in spec.get("scopeSelector", {}).get("matchExpressions", ()):
        ours = one["scopeName"] in SCOPES
        if (one["operator"] in {"In", "Exists"}) != ours:
            return False
    return True


def _by_quota(pod: Pod, quota: Document) -> Iterator[tuple[str, Refusal]]:
    name, used = quota["metadata"]["name"], quota.get("status", {}).get("used", {})
    for key, hard in quota["spec"].get("hard", {}).items():
        kind, _, resource = key.partition(".")  # a resource may have points itself: nvidia.com/gpu
        kind, resource = DEMANDED.get(key, (kind, resource))
        lacking = [one.name for one in pod.every if key in DEMANDED and not one.names(kind, resource)]
        if lacking:
            what = f"ResourceQuota {name} asks every container for {key}, and {' and '.join(lacking)} name none"
            yield key, Refusal(what, _value(pod, lacking[0], kind, resource))
        elif key in PODS or kind in {"requests", "limits"}:
            needs = parsed("1") if key in PODS else pod.sum(kind, resource)
            value = "" if key in PODS else _value(pod, "main", kind, resource)
            if needs > parsed(hard):
                needed = f"a pod of step {pod.step} needs {_spelt(needs)}"
                what = f"ResourceQuota {name} allows {key} {hard} in all, and {needed}"
                yield key, Refusal(what, value)
            elif needs > parsed(hard) - parsed(used.get(key, "0")):
                what = f"ResourceQuota {name} is used up: {key} {used[key]} of {hard}; pods wait until it leaves room"
                yield key, Refusal(what, never=False)


def _by_range(pod: Pod, item: Document) -> Iterator[tuple[str, Refusal]]:
    """What a limit range refuses: too large a limit, too small a request, of a container or of the pod as a whole."""
    if item["type"] not in {"Container", "Pod"}:
        return
    for bound, kind in (("max", "limits"), ("min", "requests")):
        for resource, edge in item.get(bound, {}).items():
            whole = [(f"a pod of step {pod.step}", "main", pod.sum(kind, resource))]
            each = [
                (f"container {one.name} of step {pod.step}", one.name, parsed(one.names(kind, resource) or "0"))
                for one in pod.every
            ]
            for who, container, amount in each if item["type"] == "Container" else whole:
                if amount > parsed(edge) if bound == "max" else amount < parsed(edge):
                    least = "at most" if bound == "max" else "at least"
                    what = f"a LimitRange admits {kind}.{resource} of {least} {edge}, and {who} has {_spelt(amount)}"
                    yield f"{bound} {resource} {container}", Refusal(what, _value(pod, container, kind, resource))


def _value(pod: Pod, container: str, kind: str, resource: str) -> str:
    """The chart's value that says what a container names."""
    if "/" in resource:
        return ""
    where = "executor" if container in {"init", "wait"} else f"steps.{pod.step}"
    return f"{where}.resources.{kind}.{resource}"


def _spelt(amount: Decimal) -> str:
    """An amount as Kubernetes spells it."""
    for unit, size in (("Gi", 1 << 30), ("Mi", 1 << 20)):
        if amount >= size:
            return f"{float(amount / size):.4g}{unit}"
    return f"{float(amount):g}"
