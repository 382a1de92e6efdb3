"""What is known of a run at one moment: documents as the cluster and the store gave them. Nothing here asks anybody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from imgflow_steps.records.progress import Progress, ShardProgress
from imgflow_steps.records.summary import Phase
from imgflow_workflows.argo.options import STEP_LABEL
from imgflow_workflows.kube.workflow_nodes import nodes

Document = dict[str, Any]

NODE_ID = "workflows.argoproj.io/node-id"
OVER = {"Succeeded", "Skipped", "Omitted"}  # nodes of a Workflow that nothing is wrong with


class Snapshot(BaseModel):
    """A run as it stood at ``time``, in seconds since the epoch.

    What could not be read is empty, and ``unread`` says why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ignored_types=(cached_property,))

    run: str
    engine: str
    time: float
    municipality: str = ""
    status: Phase | None = None  # None: nobody knows the run
    namespace: str = ""
    command: str = "imgflow"  # how whoever reads this calls imgflow for this place
    created: float = 0.0
    seconds: float = 60.0  # that one image may take
    progress: Progress | None = None
    shards: list[ShardProgress] = Field(default_factory=list)  # that were given up
    workflow: Document | None = None
    pods: list[Document] = Field(default_factory=list)
    events: list[Document] = Field(default_factory=list)
    nodes: list[Document] = Field(default_factory=list)  # machines
    limits: dict[str, str] = Field(default_factory=dict)  # ConfigMap imgflow-limits
    harmed: dict[str, int] = Field(default_factory=dict)  # pictures by what is wrong with them
    harmed_keys: list[tuple[str, str]] = Field(default_factory=list)  # first ones: what is wrong, and where
    absent: int = 0  # images that were chosen, and are not there
    absent_images: list[str] = Field(default_factory=list)  # the first ones
    uncovered: list[tuple[str, str]] = Field(default_factory=list)  # run and digest that show what this run covers
    store_error: str = ""
    secret_works: bool = False  # the store takes what Secret imgflow-s3 says now
    unknown: bool = False  # the store answers, and has no such run
    unread: list[str] = Field(default_factory=list)

    @property
    def kubectl(self) -> str:
        """How a command about the namespace begins."""
        return f"kubectl -n {self.namespace}"

    @property
    def retry(self) -> str:
        """The command that goes on with the run."""
        return f"{self.command} retry {self.run}"

    def helm(self, *values: str) -> str:
        """The command that puts the chart right, with other values where they are named."""
        settings = "".join(f" --set {value}" for value in values)
        return f"helm upgrade imgflow charts/imgflow -n {self.namespace} --reuse-values{settings}"

    @cached_property
    def attempts(self) -> list[Attempt]:
        """Pods that the Workflow wanted and that are not done, unless another attempt was."""
        if self.workflow is None:
            return []
        every = nodes(self.workflow)
        settled = {
            child
            for node in every.values()
            if node["type"] == "Retry" and node.get("phase") in OVER
            for child in node.get("children", ())
        }
        pods = {pod["metadata"].get("annotations", {}).get(NODE_ID, ""): pod for pod in self.pods}
        events = defaultdict(list)
        for event in self.events:
            events[event["involvedObject"]["name"]].append(event)
        found = []
        for key, node in every.items():
            if key not in settled and _stands_for_a_pod(node):
                name = f"{self.run}-{node['templateName']}-{key.rpartition('-')[2]}"
                found.append(Attempt(name, node, pods.get(key, {}), tuple(events[name])))
        return found


def _stands_for_a_pod(node: Document) -> bool:
    """Whether a node is a pod that is not done, or stands where one would: it waits for a place, or cannot begin."""
    phase = node.get("phase")
    if node["type"] == "Pod":
        return phase not in OVER
    return (node["type"] == "Retry" and phase == "Pending") or (node["type"] == "Skipped" and phase == "Error")


class Sign(NamedTuple):
    """Something that was said about a pod."""

    reason: str
    message: str
    time: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One pod that a Workflow wanted: its node in the Workflow, and the pod and its events as far as they are there."""

    name: str
    node: Document
    pod: Document
    events: tuple[Document, ...] = ()

    @property
    def step(self) -> str:
        """Which step it is of."""
        labels = self.pod.get("metadata", {}).get("labels", {})
        return str(labels.get(STEP_LABEL) or self.node["templateName"].partition("-")[0])

    @property
    def machine(self) -> str:
        """The node it runs or ran on."""
        return str(self.pod.get("spec", {}).get("nodeName") or self.node.get("hostNodeName") or "")

    @property
    def status(self) -> Document:
        """The pod's status."""
        return self.pod.get("status") or {}

    @property
    def pending(self) -> bool:
        """Whether none of its containers has started."""
        return self.status.get("phase", "Pending") == "Pending" and self.node.get("phase") in {"Pending", "Running"}

    @property
    def spoken(self) -> Sign:
        """What the Workflow says of it."""
        return Sign("", self.node.get("message", ""), self.node.get("finishedAt") or self.node.get("startedAt") or "")

    def waiting(self) -> Iterator[tuple[str, Sign]]:
        """Container image and reason of each container that cannot start."""
        for container in self._containers():
            state = container.get("state", {}).get("waiting")
            if state:
                yield container["image"], Sign(state.get("reason", ""), state.get("message", ""), self._since())

    def ended(self) -> Iterator[tuple[int, Sign]]:
        """Exit code and last words of each container that failed, the one that works on images first."""
        for container in self._containers():
            for state in (container.get("state", {}), container.get("lastState", {})):
                end = state.get("terminated")
                if end and end["exitCode"]:
                    sign = Sign(end.get("reason", ""), end.get("message", ""), end.get("finishedAt") or "")
                    yield end["exitCode"], sign

    def conditions(self) -> Iterator[tuple[str, str, Sign]]:
        """Type, status and reason of each condition."""
        for one in self.status.get("conditions", ()):
            sign = Sign(one.get("reason", ""), one.get("message", ""), one.get("lastTransitionTime") or "")
            yield one["type"], one["status"], sign

    def event(self, *reasons: str) -> Sign | None:
        """The last event with one of these reasons."""
        found = [event for event in self.events if event["reason"] in reasons]
        last = max(found, key=when, default=None)
        return Sign(last["reason"], last.get("message", ""), when(last)) if last else None

    def _containers(self) -> list[Document]:
        every = [*self.status.get("initContainerStatuses", ()), *self.status.get("containerStatuses", ())]
        return sorted(every, key=lambda container: container["name"] != "main")

    def _since(self) -> str:
        return str(self.status.get("startTime") or self.pod.get("metadata", {}).get("creationTimestamp") or "")


def when(event: Document) -> str:
    """The time of an event, whichever of its fields says it."""
    return str(event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp") or "")


def seconds(time: str) -> float:
    """A time of the cluster in seconds since the epoch; 0 of ""."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0
