"""Every cause that `imgflow doctor RUN` names, produced for real, all at the same time, and named right."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs
from tests.cluster.conftest import ok
from tests.cluster.faults import FAULTS, Fault, hurried
from tests.diagnoses import keep

from imgflow_steps.list import List
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase
from imgflow_workflows import argo
from imgflow_workflows.doctor.diagnosis import diagnose
from imgflow_workflows.engines.argo import ArgoEngine
from imgflow_workflows.submit.default import DEFAULT

if TYPE_CHECKING:
    from tests.cluster.conftest import Document, Place

    from imgflow_workflows.doctor.findings import Diagnosis
    from imgflow_workflows.doctor.snapshot import Snapshot

pytestmark = pytest.mark.cluster

WAIT = 300  # seconds until a fault shows; most do within ten, a full volume when the kubelet next looks
FUSED = List(layout="fused")
OWN = DEFAULT.with_params(1, width=64)  # not the template's pipeline, so that each Workflow carries its own spec


def config_map(name: str, **data: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name: str, access: str, key: str) -> Document:
    data = {"AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": key}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def surroundings(place: Place) -> list[Document]:
    """What faulty Workflows refer to instead of what the chart has made."""
    told = json.loads(place.kubectl("get", "configmap", "imgflow-store", "-o", "json"))["data"]
    repository = json.loads(place.kubectl("get", "configmap", "artifact-repositories", "-o", "json"))["data"]["imgflow"]
    access = place.environment["AWS_ACCESS_KEY_ID"]
    return [
        secret("wrong-s3", "nobody", "nothing-that-is-right"),
        secret("mistyped-s3", access, "nothing-that-is-right"),
        secret("nobody-s3", "", ""),
        config_map("no-bucket", **{**told, "IMGFLOW_STORE": "s3://not-there"}),
        config_map("other-store", **{**told, "IMGFLOW_STORE": f"{told['IMGFLOW_STORE']}/of-others"}),
        config_map("wide-limits", **dict.fromkeys(("list", "fused", "collect"), "99")),
        config_map("sick-repositories", gone=repository.replace("imgflow-s3", "gone-s3")),
        *quota("none", place.namespace, {"pods": "0"}),
        *quota("limits", f"{place.namespace}-limits", {"limits.cpu": "99"}),
    ]


def quota(name: str, priority: str, hard: dict[str, str]) -> list[Document]:
    """A quota on pods of one priority, and that priority."""
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": [priority]}
    spec = {"hard": hard, "scopeSelector": {"matchExpressions": [scope]}}
    return [
        {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": priority}, "value": 0},
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": spec},
    ]


def fill(place: Place, municipality: str, count: int) -> None:
    """Photographs, the last of which is none."""
    for i in range(count):
        data = photographs.jpeg(i) if i < count - 1 else b"Dear Sir or Madam"
        place.store.write(f"{keys.images(municipality)}{i}.jpg", data)


def faulty(place: Place, template: Document, name: str, fault: Fault) -> Document:
    """A Workflow with one fault."""
    fill(place, name, fault.images)
    run = Run(id=f"sick-{name}", municipality=name, pipeline=OWN, list=FUSED, created=time.time(), engine="argo")
    if not fault.params:
        save(place.store, run)
    document = argo.workflow(run, template=template)
    hurried(document)
    fault.change(document)
    for parameter in document["spec"]["arguments"]["parameters"]:
        parameter["value"] = fault.params.get(parameter["name"], parameter["value"])
    return document


@pytest.fixture(scope="module")
def healthy(place: Place) -> str:
    """A run in which nothing is wrong, and which has made Argo look at the limits."""
    fill(place, "healthy", 3)
    run = Run(id="healthy", municipality="healthy", pipeline=OWN, list=FUSED, created=time.time(), engine="argo")
    save(place.store, run)
    ArgoEngine(place.store, namespace=place.namespace).submit(run)
    return run.id


def limit(place: Place, step: str, count: str) -> None:
    place.kubectl("patch", "configmap", "imgflow-limits", "--type=merge", "-p", json.dumps({"data": {step: count}}))


@pytest.fixture(scope="module")
def sick(place: Place, healthy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A namespace in which one run of each fault has been started, and no list may run that heeds its limits."""
    template = json.loads(place.kubectl("get", "workflowtemplate", "imgflow", "-o", "json"))
    before = json.loads(place.kubectl("get", "configmap", "imgflow-limits", "-o", "json"))["data"]["list"]
    runs = [faulty(place, template, name, fault) for name, fault in FAULTS.items()]
    file = tmp_path_factory.mktemp("sick") / "objects.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [*surroundings(place), *runs]}))
    wait_for(place, healthy, lambda _: place.snapshot(healthy).pods != [])
    limit(place, "list", "0")
    place.kubectl("create", "-f", str(file))
    yield place
    place.store.delete([keys.run_json("sick-run-document-spoilt")])  # or nobody could prune any more
    limit(place, "list", before)
    place.kubectl("delete", "-f", str(file), "--wait=false", "--ignore-not-found")


def wait_for(place: Place, run: str, found: Callable[[list[Diagnosis]], bool]) -> tuple[Snapshot, list[Diagnosis]]:
    """The first diagnosis that is as it should be, and what it was made of."""
    deadline = time.monotonic() + WAIT
    while True:
        snapshot = place.snapshot(run)
        findings = diagnose(snapshot)
        if found(findings):
            return snapshot, findings
        assert time.monotonic() < deadline, f"{run}: {findings}\n{snapshot.model_dump_json(indent=1)}"
        time.sleep(2)


def delete(place: Place, run: str, pod: str) -> None:
    """Delete a pod, and again where Argo makes it anew under its name: it had not seen it run by then.

    Its attempt is an Error where Argo looks after the pod is gone, and Failed where it saw the containers end.
    """

    def missed(_: object) -> bool:
        place.kubectl("delete", "pod", pod, "--grace-period=2", "--ignore-not-found")
        return any(attempt.node.get("phase") in {"Error", "Failed"} for attempt in place.snapshot(run).attempts)

    wait_for(place, run, missed)


def disturb(place: Place, act: str, run: str) -> None:
    """Do something to a run: to its first pod or its document, once Argo knows it runs, or to all once it has ended.

    A pod that goes before Argo has seen it run is made once more under the same name, and nothing is wrong.
    """
    mine = ("-l", f"workflows.argoproj.io/workflow={run}")
    if act in {"forget pods", "forget run", "empty store"}:
        place.ended(run)
        if act == "empty store":
            place.store.delete(found.key for found in place.store.entries(keys.whole_run(run)))
            return
        place.kubectl("delete", *(("pods", *mine) if act == "forget pods" else ("workflow", run)))
        return
    wait_for(
        place, run, lambda _: any(attempt.node.get("phase") == "Running" for attempt in place.snapshot(run).attempts)
    )
    pod = place.kubectl("get", "pods", *mine, "-o", "jsonpath={.items[0].metadata.name}")
    if act == "spoil":
        place.store.write(keys.run_json(run), b"{")
    elif act == "suspend":
        place.kubectl("patch", "workflow", run, "--type=merge", "-p", '{"spec": {"suspend": true}}')
    elif act == "remove":
        place.kubectl("delete", "workflow", run)
    elif act == "delete":
        delete(place, run, pod)
    elif act == "stop":
        ArgoEngine(place.store, namespace=place.namespace).stop(run)
        place.ended(run)
    else:
        names = {"name": pod, "namespace": place.namespace}
        eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": names})
        path = f"/api/v1/namespaces/{place.namespace}/pods/{pod}/eviction"
        ok("sh", "-c", f"echo '{eviction}' | kubectl create --raw {path} -f -")


def test_a_run_that_goes_well_gives_no_finding_at_any_time(place: Place, healthy: str) -> None:
    while (snapshot := place.snapshot(healthy)).status is not Phase.SUCCEEDED:
        assert diagnose(snapshot) == []
        assert time.time() < snapshot.created + WAIT, place.argo("get", healthy)
        time.sleep(1)
    assert diagnose(snapshot) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_cause_is_named_with_where_it_was_seen_and_what_to_do(sick: Place, name: str) -> None:
    fault, run = FAULTS[name], f"sick-{name}"
    if fault.act:
        disturb(sick, fault.act, run)

    snapshot, findings = wait_for(sick, run, lambda found: [one.cause for one in found[:1]] == [fault.cause])

    told = json.dumps([findings[0].what, *(vars_of(one) for one in findings[0].evidence), *findings[0].mend])
    assert [word for word in fault.words if word not in told.replace('\\"', '"')] == []
    assert len(findings) == 1, findings
    assert findings[0].mend
    keep(name, snapshot, findings)


def vars_of(evidence: Any) -> dict[str, str]:
    return {name: getattr(evidence, name) for name in ("pod", "node", "reason", "message", "time")}
