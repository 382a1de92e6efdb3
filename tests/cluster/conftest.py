"""The chart in a namespace of its own, which enforces the restricted Pod Security level, and what tests do with it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from imgflow_cli.commands import doctor
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, load
from imgflow_steps.records.summary import Summary, read_summary
from imgflow_steps.store import Store, open_store
from imgflow_workflows.kube.port_forward import reachable
from imgflow_workflows.kube.workflow_nodes import ended, nodes
from imgflow_workflows.settings import resolve

if TYPE_CHECKING:
    from imgflow_workflows.doctor.snapshot import Snapshot

CHART = Path(__file__).parents[2] / "charts/imgflow"
PATIENCE = 600  # seconds for a run of few small images, on nodes that share two cores
# Small requests, so that pods spread over nodes of any size; few at once, since each takes seconds of CPU to start.
VALUES = ",".join(
    f"steps.{step}.resources.requests.cpu=50m,steps.{step}.resources.requests.memory=128Mi,steps.{step}.atOnce=8"
    for step in ("list", "scale", "grayscale", "transform", "infer", "fused", "collect")
)
TAG = os.environ.get("TAG", "dev")  # of the container images, as for images/build

Document = dict[str, Any]


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE, env={**os.environ, **environment}
    )


def ok(*command: str, **environment: str) -> str:
    done = run(*command, **environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables, for as long as it lasts: what is left there would lead tests of another namespace astray."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@dataclass
class Place:
    """A namespace with the chart, and its store reached from here."""

    namespace: str
    store: Store
    environment: dict[str, str]  # what the CLI needs to reach the same store
    seen: dict[str, str] = field(default_factory=dict)  # pod → node, of pods that were running when looked at

    def kubectl(self, *arguments: str) -> str:
        return ok("kubectl", "-n", self.namespace, *arguments)

    def argo(self, *arguments: str) -> str:
        return ok("argo", "-n", self.namespace, *arguments)

    def imgflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(sys.executable, "-m", "imgflow_cli", *arguments, **self.environment)

    def workflow(self, name: str) -> Document:
        document: Document = json.loads(self.kubectl("get", "workflow", name, "-o", "json"))
        return document

    def snapshot(self, run: str) -> Snapshot:
        """What `imgflow doctor RUN` knows."""
        with environment(self.environment):
            return doctor._snapshot(resolve({"engine": "argo", "namespace": self.namespace}), run, "")

    def ended(self, name: str) -> Document:
        """The Workflow when it has ended; the pods that ran meanwhile are in ``seen``."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for pod in json.loads(self.kubectl("get", "pods", "-l", f"imgflow.io/run={name}", "-o", "json"))["items"]:
                if pod["spec"].get("nodeName"):
                    self.seen[pod["metadata"]["name"]] = pod["spec"]["nodeName"]
            document = self.workflow(name)
            if ended(document):
                return document
            time.sleep(1)
        raise AssertionError(f"{name} has not ended after {PATIENCE} s\n{self.argo('get', name)}")

    def pods(self, workflow: Document) -> list[str]:
        """Templates of all pods that the Workflow ever had."""
        return sorted(node["templateName"] for node in nodes(workflow).values() if node["type"] == "Pod")

    def from_template(self, municipality: str, *flags: str) -> str:
        """Start a run with nothing but argo on the client; its name."""
        told = f"municipality={keys.encode(municipality)}"
        return self.argo("submit", "--from", "workflowtemplate/imgflow", "-p", told, "-o", "name", *flags).strip()

    def summary(self, name: str) -> tuple[Run, Summary]:
        found = read_summary(self.store, name)
        assert found, f"{name} has no summary\n{self.argo('get', name)}"
        assert found.counts.add_up
        return load(self.store, name), found


@contextmanager
def installed(values: str = VALUES, prepare: Callable[[str], Any] = lambda _: None) -> Iterator[str]:
    """A namespace with the chart, and with what ``prepare`` puts there before."""
    name = f"imgflow-e2e-{uuid4().hex[:8]}"
    ok("kubectl", "create", "namespace", name)
    ok("kubectl", "label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    prepare(name)
    told = f"{values},containers.tag={TAG}"
    ok("helm", "install", "imgflow", str(CHART), "-n", name, "--wait", "--timeout", "240s", "--set", told)
    yield name
    ok("kubectl", "delete", "workflows,cronworkflows", "--all", "-n", name)
    ok("kubectl", "delete", "namespace", name, "--wait=false")


@contextmanager
def reached(namespace: str) -> Iterator[Place]:
    """The store of a namespace, and what children of this process need to open it."""
    told = json.loads(ok("kubectl", "-n", namespace, "get", "configmap", "imgflow-store", "-o", "json"))["data"]
    secret = json.loads(ok("kubectl", "-n", namespace, "get", "secret", "imgflow-s3", "-o", "json"))["data"]
    told |= {name: base64.b64decode(value).decode() for name, value in secret.items()}
    with reachable(told["AWS_ENDPOINT_URL"]) as endpoint:
        told["AWS_ENDPOINT_URL"] = endpoint
        with environment(told):
            store = open_store(told["IMGFLOW_STORE"])
        yield Place(namespace, store, {**told, "IMGFLOW_ENGINE": "argo", "IMGFLOW_NAMESPACE": namespace})


@pytest.fixture(scope="session")
def namespace() -> Iterator[str]:
    with installed() as name:
        yield name


@pytest.fixture(scope="session")
def place(namespace: str) -> Iterator[Place]:
    with reached(namespace) as place:
        yield place


@pytest.fixture
def held(place: Place) -> Iterator[Callable[[], None]]:
    """No pixel step starts while this is in force: until it is called, or the test ends."""
    limits = json.loads(place.kubectl("get", "configmap", "imgflow-limits", "-o", "json"))["data"]
    at_work = {step: limit for step, limit in limits.items() if step not in {"list", "collect"}}
    hold = {"data": dict.fromkeys(at_work, "0")}
    place.kubectl("patch", "configmap", "imgflow-limits", "--type=merge", "-p", json.dumps(hold))

    def let_go() -> None:
        place.kubectl("patch", "configmap", "imgflow-limits", "--type=merge", "-p", json.dumps({"data": at_work}))

    yield let_go
    let_go()
