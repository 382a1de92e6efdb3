"""``python bench/controller.py``: what one Workflow of many shards costs Argo's controller, on nodes that are none.

Needs a cluster with Argo Workflows behind KUBECONFIG, its nodes able to start one more controller, and kwok on PATH.
A controller of its own, that sees only the Workflow of this bench, runs the chart's WorkflowTemplate over ``--shards``
shards. Its pods land on nodes that kwok makes up: they start at once, last ``--seconds``, compute nothing and report to
Argo as its executor would. So nothing is measured but Kubernetes and the controller. Everything is removed at the end.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

import typer
import yaml
from kubernetes import client
from kubernetes import watch as untyped

from imgflow_workflows import argo
from imgflow_workflows.argo.options import NAME, Options
from imgflow_workflows.kube.client import connect
from imgflow_workflows.submit.default import DEFAULT

watch: Any = untyped

PLACE = "imgflow-bench-controller"  # namespace, instance id and name of everything that is not in a namespace
INSTANCE = "workflows.argoproj.io/controller-instanceid"
STEPS = ("list", "scale", "grayscale", "infer", "fused", "collect")
NODES = 4
STAGES = Path(__file__).with_name("stages.yaml")
Document = dict[str, Any]


def kubectl(*arguments: str, given: Document | None = None) -> str:
    text = json.dumps(given) if given else None
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def controller(qps: int, requeue: str, cache: int, events: bool) -> list[Document]:
    """The cluster's own controller once more, for Workflows of this bench only."""
    there = json.loads(kubectl("-n", "argo", "get", "deployment", "workflow-controller", "-o", "json"))
    pod = there["spec"]["template"]
    [container] = pod["spec"]["containers"]
    container["args"] = [f"--qps={qps}", f"--burst={qps * 3 // 2}", "--namespaced", f"--configmap={PLACE}"]
    container["env"] = [
        {"name": "LEADER_ELECTION_DISABLE", "value": "true"},
        {"name": "DEFAULT_REQUEUE_TIME", "value": requeue},
    ]
    metadata = {"name": PLACE, "namespace": PLACE}
    labels = {"app": PLACE}
    pod["metadata"] = {"labels": labels}
    pod["spec"]["serviceAccountName"] = PLACE
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "argo-cluster-role"}
    subject = {"kind": "ServiceAccount", "name": PLACE, "namespace": PLACE}
    settings = {
        "instanceID": PLACE,
        "metricsConfig": "{secure: false}",
        "synchronization": f"{{semaphoreLimitCacheSeconds: {cache}}}",
        "nodeEvents": f"{{enabled: {str(events).lower()}}}",
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": settings},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": PLACE},
            "roleRef": role,
            "subjects": [subject],
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": pod},
        },
    ]


def chart() -> list[Document]:
    """What of the chart the controller looks at."""
    repository = yaml.safe_dump({"archiveLogs": True, "s3": {"endpoint": "nowhere:9000", "bucket": "none"}})
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": PLACE}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "artifact-repositories", "namespace": PLACE},
            "data": {NAME: repository},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "imgflow-limits", "namespace": PLACE},
            "data": dict.fromkeys(STEPS, "200"),
        },
    ]


def fake_node(number: int) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"{PLACE}-{number}",
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"type": PLACE, "kubernetes.io/hostname": f"{PLACE}-{number}"},
        },
        "spec": {"taints": [{"key": PLACE, "effect": "NoSchedule"}]},
    }


def workflow(layout: str, shards: int) -> Document:
    """A Workflow of the chart's template: its fan-out without list, which would need a store, and collect."""
    spec = argo.workflow_template(DEFAULT, Options(namespace=PLACE))["spec"]
    [order] = [t for t in spec["templates"] if t["name"] == NAME]
    [fan_out] = [task for task in order["dag"]["tasks"] if task["name"] == layout]
    fan_out["withSequence"]["count"] = str(shards)
    fan_out.pop("depends", None)
    order["dag"]["tasks"] = [fan_out]
    del spec["onExit"], spec["workflowMetadata"]
    spec["arguments"]["parameters"][0]["value"] = "Bench"
    spec["nodeSelector"] = {"type": PLACE}
    spec["tolerations"].append({"key": PLACE, "operator": "Exists"})
    metadata = {"name": f"bench-{layout}", "namespace": PLACE, "labels": {INSTANCE: PLACE}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", "metadata": metadata, "spec": spec}


def report_outputs(ended: threading.Event) -> None:
    """As Argo's executor: every pod that runs says that its log is in the store."""
    api = connect()
    core, objects = client.CoreV1Api(api), client.CustomObjectsApi(api)
    seen = set()
    while not ended.is_set():
        stream = watch.Watch().stream(core.list_namespaced_pod, PLACE, timeout_seconds=5, _preload_content=True)
        for event in stream:
            pod = event["object"]
            node = (pod.metadata.annotations or {}).get("workflows.argoproj.io/node-id")
            if not node or node in seen or pod.status.phase != "Running":
                continue
            seen.add(node)
            labels = {
                "workflows.argoproj.io/workflow": pod.metadata.labels["workflows.argoproj.io/workflow"],
                "workflows.argoproj.io/report-outputs-completed": "true",
                INSTANCE: PLACE,
            }
            log = {"name": "main-logs", "s3": {"key": f"runs/bench/logs/{pod.metadata.name}/main.log"}}
            result = {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "WorkflowTaskResult",
                "metadata": {"name": node, "labels": labels},
                "outputs": {"artifacts": [log]},
            }
            objects.create_namespaced_custom_object("argoproj.io", "v1alpha1", PLACE, "workflowtaskresults", result)


def metrics() -> dict[str, float]:
    """What the controller counts, over all labels; its requests by verb and kind."""
    [pod] = kubectl("-n", PLACE, "get", "pods", "-l", f"app={PLACE}", "-o", "name").split()
    path = f"/api/v1/namespaces/{PLACE}/pods/http:{pod.removeprefix('pod/')}:9090/proxy/metrics"
    counts: dict[str, float] = {}
    for line in kubectl("get", "--raw", path).splitlines():
        if match := re.match(r"(\w+)(?:\{(.*)\})? ([-+.\deE]+)$", line):
            name = match[1].removeprefix("argo_workflows_")
            if name == "k8s_request_total":
                labels = dict(re.findall(r'(\w+)="([^"]*)"', match[2]))
                name = f"{labels['verb'].lower()} {labels['kind']}"
            counts[name] = counts.get(name, 0.0) + float(match[3])
    return counts


@contextmanager
def background(*command: str) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def apart(asked: list[Document], seconds: float) -> Iterator[None]:
    """A namespace, a controller and nodes for this bench; gone afterwards."""
    try:
        kubectl("create", "namespace", PLACE)
        for document in (*asked, *chart(), *map(fake_node, range(NODES))):
            kubectl("create", "-f", "-", given=document)
        with TemporaryDirectory() as folder, ExitStack() as stack:
            stages = Path(folder) / "stages.yaml"
            stages.write_text(STAGES.read_text().replace("MILLISECONDS", str(round(seconds * 1000))))
            selector = "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake"
            stack.enter_context(background("kwok", f"--config={stages}", selector, "--server-address=127.0.0.1:0"))
            kubectl("-n", PLACE, "rollout", "status", f"deployment/{PLACE}", "--timeout=180s")
            kubectl("wait", "node", "-l", f"type={PLACE}", "--for=condition=Ready", "--timeout=60s")
            try:
                yield
            finally:  # while controller and kwok are there to let go of the pods
                kubectl("-n", PLACE, "delete", "workflows", "--all", "--cascade=foreground")
    finally:
        for gone in (["namespace", PLACE], ["node", "-l", f"type={PLACE}"], ["clusterrolebinding", PLACE]):
            subprocess.run(["kubectl", "delete", "--ignore-not-found", *gone], check=False, capture_output=True)


def main(
    shards: Annotated[int, typer.Option(min=1)] = 1000,
    layout: Annotated[Literal["fused", "steps"], typer.Option()] = "fused",
    seconds: Annotated[float, typer.Option(help="How long a pod runs.")] = 5.0,
    qps: Annotated[int, typer.Option(help="Requests a second that the controller may make of Kubernetes.")] = 20,
    requeue: Annotated[str, typer.Option(help="DEFAULT_REQUEUE_TIME of the controller.")] = "10s",
    cache: Annotated[int, typer.Option(help="Seconds for which it remembers how many pods a semaphore allows.")] = 0,
    events: Annotated[bool, typer.Option(help="Whether it tells of every node as an event.")] = True,
    most: Annotated[int, typer.Option(help="Seconds after which it is enough.")] = 600,
) -> None:
    """Measure one Workflow."""
    ended = threading.Event()
    with apart(controller(qps, requeue, cache, events), seconds):
        before, began, largest, packed = metrics(), time.monotonic(), 0, 0
        kubectl("create", "-f", "-", given=workflow(layout, shards))
        threading.Thread(target=report_outputs, args=(ended,), daemon=True).start()
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{PLACE}/workflows/bench-{layout}"
        while not ended.wait(3):
            raw = kubectl("get", "--raw", path)
            largest = max(largest, len(raw))
            status = json.loads(raw).get("status", {})
            packed = max(packed, len(status.get("compressedNodes", "")))
            sys.stderr.write(f"\r{time.monotonic() - began:5.0f} s  {status.get('progress', '')}  {len(raw):,} bytes ")
            if status.get("phase") in {"Succeeded", "Failed", "Error"} or time.monotonic() - began > most:
                ended.set()
        wall, after = time.monotonic() - began, metrics()
        rise = {name: after[name] - before.get(name, 0.0) for name in after}
        pods = int(status["progress"].partition("/")[0])
        reconciles = rise["operation_duration_seconds_count"]
        sys.stderr.write("\n")
        figures = {
            "layout": layout,
            "shards": shards,
            "qps": qps,
            "requeue": requeue,
            "semaphore limits remembered, seconds": cache,
            "events": events,
            "pods": pods,
            "seconds": round(wall),
            "pods a second": round(pods / wall, 2),
            "controller CPU, ms a pod": round(1000 * rise["process_cpu_seconds_total"] / pods, 1),
            "reconciles": round(reconciles),
            "seconds a reconcile, mean": round(rise["operation_duration_seconds_sum"] / reconciles, 2),
            "requests a pod": {name: round(n / pods, 2) for name, n in rise.items() if " " in name},
            "Workflow object at its largest, bytes": largest,
            "nodes of it compressed, bytes": packed,
        }
        typer.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    typer.run(main)
