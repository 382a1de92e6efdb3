"""What goes wrong in a night, done on purpose to runs that are half done; nobody steps in.

Each time every image is there once, with the bytes of an undisturbed run, and the counts add up.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import yaml
from tests import photographs
from tests.cluster.conftest import VALUES, installed, ok, reached
from tests.diagnoses import keep
from tests.local_runs import pictures
from tests.local_runs import submit as submit_here

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.row import Row
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_workflows.doctor.diagnosis import diagnose
from imgflow_workflows.doctor.snapshot import NODE_ID
from imgflow_workflows.engines.argo import ArgoEngine
from imgflow_workflows.kube.workflow_nodes import nodes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Document, Place

pytestmark = [pytest.mark.cluster, pytest.mark.nodes]

IMAGES, SHARD = 72, 36  # a shard for each of two nodes
LOST, KEPT = "2", "1"  # the node that is lost, and the one where the store's data lie
PATIENCE = 300  # seconds for whatever a test waits for
# Small photographs that take half a second each, so that a shard is half done for a while.
PIPELINE = parse(
    {"steps": [{"scale": {"width": 5000, "height": 5000, "enlarge": True}}, "grayscale"], "output": {"format": "webp"}}
)
# Fills the container's memory, which then belongs to no process: the kernel ends them all, the first one too.
HOG = "import os; fd = os.memfd_create('hog'); [os.write(fd, bytes(1 << 22)) for _ in range(1 << 10)]"
VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: {name}}}
spec:
  storageClassName: {name}
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  local: {{path: {path}}}
  nodeAffinity:
    required:
      nodeSelectorTerms:
      - matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [node{node}]}}]
"""


def cluster(*arguments: str) -> str:
    return ok(os.environ["IMGFLOW_CLUSTER"], *arguments)


def wait_until(what: str, true: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain: {what}"
        time.sleep(0.5)


def fill(store: Store, municipality: str) -> None:
    for i in range(IMAGES):
        store.write(f"{keys.images(municipality)}{i:03d}.jpg", photographs.jpeg(i))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pictures that the local engine makes, in peace."""
    store = open_store(str(tmp_path_factory.mktemp("undisturbed")))
    fill(store, "Demo")
    assert submit_here(store, "undisturbed", PIPELINE).counts.processed == IMAGES
    return pictures(store, "undisturbed")


@pytest.fixture(scope="module")
def sturdy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The chart with a store that outlives its pod, on the node that no test loses."""
    name, path = f"imgflow-{uuid4().hex[:8]}", tmp_path_factory.mktemp("volume")
    file = path.with_suffix(".yaml")
    file.write_text(VOLUME.format(name=name, path=path, node=KEPT))
    ok("kubectl", "create", "-f", str(file))
    persistence = f"minio.persistence.type=pvc,minio.persistence.storageClass={name},minio.persistence.size=1Gi"
    memory = ",".join(f"steps.{step}.resources.limits.memory=1Gi" for step in ("scale", "grayscale", "fused"))
    with installed(f"{VALUES},{persistence},{memory}") as namespace, reached(namespace) as place:
        yield place
    ok("kubectl", "delete", "persistentvolume", name, "--wait=false")


@dataclass(frozen=True)
class Disturbed:
    """A run, and the pod that has half of a shard done."""

    place: Place
    run: Run
    pod: str

    def heals(self, undisturbed: dict[str, str], *, since: float) -> Document:
        """The Workflow, which has ended as if nothing had happened at ``since``."""
        workflow = self.place.ended(self.run.id)
        assert workflow["status"]["phase"] == "Succeeded", self.place.argo("get", self.run.id)
        _, summary = self.place.summary(self.run.id)
        assert (summary.counts.listed, summary.counts.processed) == (IMAGES, IMAGES)
        lines = self.place.store.read(keys.results_jsonl(self.run.id)).splitlines()
        verdicts = [Row.model_validate_json(line) for line in lines]
        assert [row.image for row in verdicts] == [f"{i:03d}.jpg" for i in range(IMAGES)]
        assert pictures(self.place.store, self.run.id) == undisturbed
        assert any(row.ended < since for row in verdicts), "nothing was done when the fault came"
        assert any(row.ended > since for row in verdicts), "everything was done when the fault came"
        return workflow


Disturb = Callable[..., Disturbed]


def half_done(place: Place, run: Run, node: str = "") -> Disturbed:
    """Wait until a pod of which Argo knows has images of its shard in the store, and others still to do.

    It is on that node, if one is named.
    """
    position, found = len(run.pipeline.steps), ""
    selector = f"imgflow.io/run={run.id},imgflow.io/step in (fused,{run.pipeline.steps[-1].name})"

    def far() -> bool:
        nonlocal found
        running = {key for key, node in nodes(place.workflow(run.id)).items() if node.get("phase") == "Running"}
        for pod in json.loads(place.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]:
            [main] = [one for one in pod["spec"]["containers"] if one["name"] == "main"]
            [shard] = [int(word.partition("=")[2]) for word in main["args"] if word.startswith("--shard=")]
            key = keys.shard_progress(run.id, position, shard)
            seen = pod["metadata"]["annotations"].get(NODE_ID) in running and node in pod["spec"].get("nodeName", "")
            if not seen or place.store.stat(key) is None:
                continue
            done = ShardProgress.model_validate_json(place.store.read(key)).done
            assert done < SHARD, "too fast for this test"
            if done:
                found = pod["metadata"]["name"]
        return bool(found)

    wait_until(f"{run.id} half done", far)
    return Disturbed(place, run, found)


def a_run(place: Place, layout: str) -> Run:
    run = Run.model_validate(
        {
            "id": f"fault-{uuid4().hex[:8]}",
            "municipality": f"Fault {uuid4().hex[:8]}",
            "pipeline": PIPELINE,
            "list": {"layout": layout, "shard_size": SHARD},
            "created": time.time(),
            "engine": "argo",
        }
    )
    fill(place.store, run.municipality)
    return run


@pytest.fixture
def half(sturdy: Place) -> Disturb:
    """Starts a run and gives it when it is half done."""

    def start(layout: str = "fused", node: str = "") -> Disturbed:
        run = a_run(sturdy, layout)
        save(sturdy.store, run)
        ArgoEngine(sturdy.store, namespace=sturdy.namespace).submit(run)
        return half_done(sturdy, run, node)

    return start


def attempts(workflow: Document) -> list[str]:
    """How each pod that ever was has ended."""
    return sorted(node["phase"] for node in nodes(workflow).values() if node["type"] == "Pod")


def ready(node: str) -> bool:
    says = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return ok("kubectl", "get", "node", f"node{node}", "--ignore-not-found", "-o", says) == "True"


def test_the_client_is_killed(sturdy: Place, undisturbed: dict[str, str], tmp_path: Path) -> None:
    run = a_run(sturdy, "fused")
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(PIPELINE.model_dump(mode="json")))
    command = ["submit", "--watch", "--run", run.id, "--municipality", run.municipality, "--pipeline", str(file)]
    with (tmp_path / "said").open("wb") as said:
        client = subprocess.Popen(
            [sys.executable, "-m", "imgflow_cli", *command, "--layout=fused", f"--shard-size={SHARD}"],
            env={**os.environ, **sturdy.environment},
            stdout=said,
            stderr=said,
        )
    try:
        wait_until("a Workflow", lambda: client.poll() is not None or sturdy.kubectl("get", "workflow", "-o", "name"))
        assert client.poll() is None, (tmp_path / "said").read_text()
        disturbed = half_done(sturdy, run)
        since = time.time()
        assert client.poll() is None, (tmp_path / "said").read_text()
    finally:
        client.kill()
        client.wait()
    assert attempts(disturbed.heals(undisturbed, since=since)) == ["Succeeded"] * 4


def test_a_pod_is_evicted(half: Disturb, undisturbed: dict[str, str], tmp_path: Path) -> None:
    disturbed, since = half(), time.time()
    pod, namespace = disturbed.pod, disturbed.place.namespace
    eviction = tmp_path / "eviction.json"
    metadata = {"name": pod, "namespace": namespace}
    eviction.write_text(json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}))
    uid = partial(disturbed.place.kubectl, "get", "pod", pod, "--ignore-not-found", "-o", "jsonpath={.metadata.uid}")
    before = uid()
    ok("kubectl", "create", "--raw", f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction", "-f", str(eviction))
    wait_until("the pod gone", lambda: uid() != before)
    disturbed.heals(undisturbed, since=since)  # Argo tries again or, where a pod was young, makes it anew by its name


def test_a_pod_runs_out_of_memory(half: Disturb, undisturbed: dict[str, str]) -> None:
    disturbed, since = half(), time.time()
    subprocess.run(
        ["kubectl", "-n", disturbed.place.namespace, "exec", disturbed.pod, "-c", "main", "--", "python", "-c", HOG],
        check=False,
        capture_output=True,
        timeout=PATIENCE,
    )
    workflow = disturbed.heals(undisturbed, since=since)
    assert "137" in {n.get("outputs", {}).get("exitCode") for n in nodes(workflow).values()}


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_the_store_is_away_and_comes_back(half: Disturb, undisturbed: dict[str, str], layout: str) -> None:
    disturbed, since = half(layout), time.time()
    minio = partial(disturbed.place.kubectl, "scale", "deployment", "imgflow-minio")
    selector = "app.kubernetes.io/name=imgflow-minio"
    minio("--replicas=0")
    disturbed.place.kubectl("wait", "pod", "-l", selector, "--for=delete", "--timeout=120s")
    time.sleep(20)  # longer than anybody waits who was not told to be patient
    minio("--replicas=1")
    disturbed.place.kubectl("rollout", "status", "deployment/imgflow-minio", "--timeout=120s")
    workflow = disturbed.heals(undisturbed, since=since)
    assert set(attempts(workflow)) == {"Succeeded"}, "waiting is no attempt"


def test_the_controller_is_killed(half: Disturb, undisturbed: dict[str, str]) -> None:
    disturbed, since = half(), time.time()
    cluster("crash-controller")
    assert attempts(disturbed.heals(undisturbed, since=since)) == ["Succeeded"] * 4


@pytest.fixture
def both_nodes() -> Iterator[None]:
    """Afterwards both nodes and what Argo runs on them are well again, whatever the test did."""
    yield
    if not ready(LOST):
        cluster("start-node", LOST)
    wait_until(f"node{LOST} ready", partial(ready, LOST))
    for deployment in ("workflow-controller", "argo-server"):
        ok("kubectl", "-n", "argo", "rollout", "status", f"deployment/{deployment}", "--timeout=300s")


@pytest.mark.parametrize("how", ["drained", "tainted"])
def test_a_node_is_emptied_and_given_back_later(
    half: Disturb, undisturbed: dict[str, str], both_nodes: None, how: str
) -> None:
    disturbed, since, node = half(node=f"node{LOST}"), time.time(), f"node{LOST}"
    mine = f"--pod-selector=imgflow.io/run={disturbed.run.id}"
    empty, back = {
        "drained": (("drain", node, mine, "--force", "--delete-emptydir-data", "--timeout=240s"), ("uncordon", node)),
        "tainted": (("taint", "node", node, "imgflow.io/test=:NoExecute"), ("taint", "node", node, "imgflow.io/test-")),
    }[how]
    try:
        ok("kubectl", *empty)
        disturbed.heals(undisturbed, since=since)  # on the other one
    finally:
        ok("kubectl", *back)


def test_a_node_dies_and_comes_back(half: Disturb, undisturbed: dict[str, str], both_nodes: None) -> None:
    disturbed, since = half(node=f"node{LOST}"), time.time()
    cluster("stop-node", LOST)
    wait_until("the node is missed", lambda: not ready(LOST))
    snapshot = disturbed.place.snapshot(disturbed.run.id)
    findings = diagnose(snapshot)
    assert [(one.cause, one.what) for one in findings] == [("node-gone", f"node node{LOST} does not answer")]
    keep("node-gone", snapshot, findings)
    cluster("start-node", LOST)
    disturbed.heals(undisturbed, since=since)


def test_a_node_dies_and_is_deleted(half: Disturb, undisturbed: dict[str, str], both_nodes: None) -> None:
    disturbed, since = half(node=f"node{LOST}"), time.time()
    cluster("stop-node", LOST)
    ok("kubectl", "delete", "node", f"node{LOST}")
    disturbed.heals(undisturbed, since=since)
    assert not ready(LOST)  # nobody brought it back
