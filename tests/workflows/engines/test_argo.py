"""The argo engine before a cluster that is a dictionary: what it starts, leaves alone, replaces and reads."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Container, Iterator
from typing import Any

import pytest

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import NotFoundError, Store, UnavailableError
from imgflow_workflows.argo import Options, workflow_template
from imgflow_workflows.argo.schedule import Schedule
from imgflow_workflows.engines.argo import ArgoEngine
from imgflow_workflows.kube import workflow_nodes
from imgflow_workflows.kube.port_forward import reachable
from imgflow_workflows.submit.default import DEFAULT

Document = dict[str, Any]
RUN = Run(id="utrecht-1", municipality="Utrecht", pipeline=DEFAULT, engine="argo")


class InMemory:
    """A cluster whose Workflows stay as they are until the test says otherwise."""

    def __init__(self, *, chart: bool = True) -> None:
        self.namespace = "imgflow"
        self.workflows: dict[str, Document] = {}
        self.crons: dict[str, Document] = {}
        self.live: list[tuple[str, str]] = []
        self.created = 0
        self._chart = chart

    def template(self) -> Document | None:
        return workflow_template(DEFAULT, Options(namespace=self.namespace)) if self._chart else None

    def workflow(self, name: str) -> Document | None:
        return self.workflows.get(name)

    def create(self, workflow: Document) -> bool:
        name = workflow["metadata"]["name"]
        if name in self.workflows:
            return False
        self.created += 1
        metadata = {**workflow["metadata"], "uid": f"uid-{self.created}"}
        self.workflows[name] = {**workflow, "metadata": metadata, "status": {"phase": "Running"}}
        return True

    def schedule(self, cron_workflow: Document) -> None:
        self.crons[cron_workflow["metadata"]["name"]] = cron_workflow

    def schedules(self) -> list[Document]:
        return list(self.crons.values())

    def stop(self, name: str) -> None:
        """As Argo's controller does it, which leaves a suspended Workflow as it is until that is resumed."""
        self.workflows[name]["spec"]["shutdown"] = "Stop"
        if not self.workflows[name]["spec"].get("suspend"):
            self.end(name, "Failed")

    def suspend(self, name: str) -> None:
        self.workflows[name]["spec"]["suspend"] = True

    def resume(self, name: str) -> None:
        spec = self.workflows[name]["spec"]
        spec.pop("suspend")
        if spec.get("shutdown"):
            self.end(name, "Failed")

    def delete(self, name: str, uid: str) -> None:
        if self.workflows[name]["metadata"]["uid"] == uid:
            del self.workflows[name]

    def logs(self, name: str, step: str, skip: Container[str], *, follow: bool) -> Iterator[tuple[str, str]]:
        yield from ((pod, line) for pod, line in self.live if pod not in skip and f"-{step}" in pod)

    def end(self, name: str, phase: str, **status: Any) -> None:
        self.workflows[name]["status"] = {"phase": phase, **status}


@pytest.fixture
def cluster() -> InMemory:
    return InMemory()


@pytest.fixture
def engine(cluster: InMemory, directory_store: Store) -> ArgoEngine:
    return ArgoEngine(directory_store, namespace="imgflow", cluster=cluster)


def test_a_run_starts_as_a_workflow_of_its_name(cluster: InMemory, engine: ArgoEngine) -> None:
    assert engine.phase(RUN.id) is None
    engine.submit(RUN)
    assert list(cluster.workflows) == [RUN.id]
    assert engine.phase(RUN.id) is Phase.RUNNING


def test_a_run_that_goes_on_is_not_started_twice(cluster: InMemory, engine: ArgoEngine) -> None:
    engine.submit(RUN)
    engine.submit(RUN)
    assert cluster.created == 1


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Error"])
def test_a_run_that_ended_is_started_anew(cluster: InMemory, engine: ArgoEngine, phase: str) -> None:
    engine.submit(RUN)
    cluster.end(RUN.id, phase)
    engine.submit(RUN)
    assert (cluster.created, engine.phase(RUN.id)) == (2, Phase.RUNNING)


def test_of_two_who_replace_a_run_one_starts_it_and_neither_ends_it(directory_store: Store) -> None:
    class Late(InMemory):
        """Somebody else replaces the ended Workflow between our look at it and our delete."""

        def delete(self, name: str, uid: str) -> None:
            super().delete(name, uid)
            self.create({"metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "imgflow"}}, "spec": {}})

    cluster = Late()
    engine = ArgoEngine(directory_store, namespace="imgflow", cluster=cluster)
    engine.submit(RUN)
    cluster.end(RUN.id, "Failed")
    engine.submit(RUN)
    assert cluster.created == 2


def test_a_name_that_a_stranger_has_is_refused(cluster: InMemory, engine: ArgoEngine) -> None:
    cluster.create({"metadata": {"name": RUN.id}, "spec": {}})
    cluster.end(RUN.id, "Succeeded")
    with pytest.raises(BadParametersError, match="not of imgflow"):
        engine.submit(RUN)
    assert cluster.created == 1


def test_a_namespace_without_the_chart_is_told_how_to_install_it(directory_store: Store) -> None:
    engine = ArgoEngine(directory_store, namespace="imgflow", cluster=InMemory(chart=False))
    with pytest.raises(BadParametersError, match="helm install"):
        engine.submit(RUN)


def test_a_stopped_run_is_interrupted_and_one_that_is_gone_is_named(cluster: InMemory, engine: ArgoEngine) -> None:
    engine.submit(RUN)
    engine.stop(RUN.id)
    assert engine.phase(RUN.id) is Phase.INTERRUPTED
    engine.delete(RUN.id)
    engine.delete(RUN.id)
    assert engine.phase(RUN.id) is None
    with pytest.raises(NotFoundError, match=RUN.id):
        engine.stop(RUN.id)


def test_a_suspended_run_is_resumed_when_it_is_submitted_again(cluster: InMemory, engine: ArgoEngine) -> None:
    engine.submit(RUN)
    cluster.suspend(RUN.id)
    assert engine.phase(RUN.id) is Phase.SUSPENDED

    engine.submit(RUN)

    assert (cluster.created, engine.phase(RUN.id)) == (1, Phase.RUNNING)


def test_a_suspended_run_ends_when_it_is_stopped(cluster: InMemory, engine: ArgoEngine) -> None:
    engine.submit(RUN)
    cluster.suspend(RUN.id)

    engine.stop(RUN.id)

    assert engine.phase(RUN.id) is Phase.INTERRUPTED


def test_a_run_that_has_ended_is_not_stopped(cluster: InMemory, engine: ArgoEngine, directory_store: Store) -> None:
    engine.submit(RUN)
    cluster.end(RUN.id, "Failed")

    with pytest.raises(NotFoundError, match="run utrecht-1 has ended already"):
        engine.stop(RUN.id)

    assert engine.phase(RUN.id) is Phase.FAILED
    assert directory_store.stat(keys.stopped(RUN.id)) is None


def test_what_says_that_a_run_was_stopped_goes_when_it_goes_on(engine: ArgoEngine, directory_store: Store) -> None:
    engine.submit(RUN)
    engine.stop(RUN.id)
    assert directory_store.stat(keys.stopped(RUN.id))

    engine.submit(RUN)
    assert directory_store.stat(keys.stopped(RUN.id)) is None


def test_a_schedule_is_created_under_its_name(cluster: InMemory, engine: ArgoEngine) -> None:
    engine.schedule("nightly", "0 3 * * *", RUN)
    assert cluster.crons["nightly"]["spec"]["schedules"] == ["0 3 * * *"]


def test_schedules_tell_what_their_runs_need_in_the_store(engine: ArgoEngine) -> None:
    model = keys.model("a" * 64, ".onnx")
    own = parse({"steps": ["scale", {"infer": {"model": model}}]})
    engine.schedule("nightly", "0 3 * * *", RUN)
    engine.schedule("weekly", "0 3 * * 0", RUN.model_copy(update={"pipeline": own, "municipality": "Östra Göinge"}))

    assert engine.schedules() == {
        Schedule("Utrecht", DEFAULT.digest),
        Schedule("Östra Göinge", own.digest, frozenset({model})),
    }


def pod_node(name: str, template: str, number: int, phase: str) -> Document:
    return {"id": f"{name}-{number}", "name": name, "type": "Pod", "templateName": template, "phase": phase}


NODES = {
    "utrecht-1": {"id": "utrecht-1", "name": "utrecht-1", "type": "DAG", "phase": "Failed"},
    "utrecht-1-1": pod_node("utrecht-1", "list", 1, "Succeeded"),
    "utrecht-1-2": pod_node("utrecht-1", "scale-2", 2, "Failed"),
    "utrecht-1-3": {**pod_node("utrecht-1", "fused", 3, "Error"), "message": "The node was low on memory."},
}


@pytest.mark.parametrize("form", ["nodes", "compressedNodes"])
def test_nodes_are_read_in_either_form(form: str) -> None:
    packed = base64.b64encode(gzip.compress(json.dumps(NODES).encode())).decode()
    status = {"nodes": NODES} if form == "nodes" else {"compressedNodes": packed}
    document = {"metadata": {"name": "utrecht-1"}, "status": status}
    assert workflow_nodes.nodes(document) == NODES
    assert workflow_nodes.failed_pods(document) == {
        "utrecht-1-scale-2-2": "",
        "utrecht-1-fused-3": "The node was low on memory.",
    }


def test_a_workflow_that_no_controller_has_seen_is_pending_and_has_no_nodes() -> None:
    new = {"metadata": {"name": "x"}, "spec": {}}
    assert workflow_nodes.phase(new) is Phase.PENDING
    assert workflow_nodes.nodes(new) == {}


def keep(store: Store, pod: str, *lines: str) -> None:
    store.write(f"{keys.logs(RUN.id)}{pod}/main.log", "\n".join(lines).encode())


def test_logs_come_from_the_store_and_from_pods_that_are_not_there_yet(
    cluster: InMemory, engine: ArgoEngine, directory_store: Store
) -> None:
    engine.submit(RUN)
    keep(directory_store, "utrecht-1-list-1", "listed")
    keep(directory_store, "utrecht-1-scale-2-2", "scaled")
    cluster.live = [("utrecht-1-list-1", "listed"), ("utrecht-1-infer-9", "inferring")]
    assert list(engine.logs(RUN.id)) == ["listed", "scaled", "inferring"]
    assert list(engine.logs(RUN.id, step="scale")) == ["scaled"]
    assert list(engine.logs(RUN.id, step="infer")) == ["inferring"]


def test_logs_of_failed_pods_alone(cluster: InMemory, engine: ArgoEngine, directory_store: Store) -> None:
    engine.submit(RUN)
    cluster.end(RUN.id, "Failed", nodes=NODES)
    keep(directory_store, "utrecht-1-list-1", "listed")
    keep(directory_store, "utrecht-1-scale-2-2", "out of memory")
    cluster.live = [("utrecht-1-fused-3", "deleted")]
    assert list(engine.logs(RUN.id, failed=True)) == ["out of memory", "deleted"]


def test_a_failed_pod_that_left_no_log_is_named_with_what_argo_says_of_it(
    cluster: InMemory, engine: ArgoEngine, directory_store: Store
) -> None:
    engine.submit(RUN)
    cluster.end(RUN.id, "Failed", nodes=NODES)
    keep(directory_store, "utrecht-1-list-1", "listed")
    keep(directory_store, "utrecht-1-scale-2-2", "out of memory")
    log, gone = engine.logs(RUN.id, failed=True)
    assert log == "out of memory"
    assert json.loads(gone) == {
        "event": "no-log",
        "run": RUN.id,
        "pod": "utrecht-1-fused-3",
        "message": "The node was low on memory.",
    }
    assert list(engine.logs(RUN.id, failed=True, step="scale")) == ["out of memory"]
    assert list(engine.logs(RUN.id)) == ["listed", "out of memory"]


def test_logs_outlive_the_workflow_and_know_who_failed(engine: ArgoEngine, directory_store: Store) -> None:
    keep(directory_store, "utrecht-1-list-1", json.dumps({"event": "end", "exit": 0}))
    keep(directory_store, "utrecht-1-scale-2", "began", json.dumps({"event": "end", "exit": 75}))
    keep(directory_store, "utrecht-1-scale-3", "killed in the middle")
    assert len(list(engine.logs(RUN.id))) == 4
    began, _, killed = engine.logs(RUN.id, failed=True)
    assert (began, killed) == ("began", "killed in the middle")


def test_an_endpoint_that_this_machine_reaches_is_left_as_it_is() -> None:
    for endpoint in ("https://s3.eu-central-1.amazonaws.com", "http://127.0.0.1:9000", "http://minio:9000"):
        with reachable(endpoint) as same:
            assert same == endpoint


def test_a_certificate_inside_the_cluster_is_not_for_this_machine() -> None:
    with pytest.raises(BadParametersError, match="certificate"), reachable("https://minio.imgflow.svc:9000"):
        pass


def test_an_argo_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, directory_store: Store) -> None:
    monkeypatch.setenv("ARGO_SERVER", "127.0.0.1:1")
    monkeypatch.setenv("ARGO_SECURE", "false")
    with pytest.raises(UnavailableError, match="ARGO_SERVER"):
        ArgoEngine(directory_store, namespace="imgflow").phase("utrecht-1")
