"""Runs whose Workflow somebody suspends, deletes or terminates, and namespaces that leave little: on a real cluster."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs
from tests.cluster.conftest import VALUES, installed, ok, reached

from imgflow_steps.records import keys
from imgflow_steps.records.summary import Phase
from imgflow_workflows.doctor.quotas import DEMANDED
from imgflow_workflows.engines.argo import ArgoEngine
from imgflow_workflows.kube.port_forward import reachable

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster

WAIT = 240  # seconds


def until(what: Callable[[], Any]) -> Any:
    """What it gives, as soon as that is anything."""
    deadline = time.monotonic() + WAIT
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(1)
    return found


def get(place: Place, run: str) -> dict[str, Any]:
    done = place.imgflow("get", run, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def listed(place: Place, run: str) -> str:
    items = json.loads(place.imgflow("ls", "-o", "json").stdout)["items"]
    [found] = [one["status"] for one in items if one["run"] == run]
    return str(found)


def causes(place: Place, run: str) -> list[str]:
    return place.imgflow("doctor", run, "-o", "name").stdout.split()


@pytest.fixture
def run(place: Place, request: pytest.FixtureRequest) -> str:
    """A run of three photographs that has just been started."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")[:40].strip("-")
    for i in range(3):
        place.store.write(f"{keys.images(name)}{i}.jpg", photographs.jpeg(i))
    done = place.imgflow("submit", "-m", name, "--run", name, "--steps", "scale:64x64")
    assert done.returncode == 0, done.stderr
    return name


def suspend(place: Place, run: str) -> None:
    place.argo("suspend", run)


def test_a_suspended_run_is_named_and_retry_resumes_it(place: Place, run: str) -> None:
    suspend(place, run)

    assert get(place, run)["status"] == listed(place, run) == "suspended"
    assert causes(place, run) == ["suspended"]
    assert "was suspended and is resumed" in place.imgflow("retry", run).stderr

    done = place.imgflow("watch", run, "-o", "json")
    assert json.loads(done.stdout)["status"] == "succeeded", done.stderr
    assert place.workflow(run)["status"]["phase"] == "Succeeded"  # watch ends when the Workflow does, and not before


def test_a_suspended_run_ends_when_it_is_stopped(place: Place, run: str) -> None:
    suspend(place, run)

    assert place.imgflow("stop", run).returncode == 0

    assert place.ended(run)["status"]["phase"] == "Failed"
    assert get(place, run)["status"] == "interrupted"
    assert causes(place, run) == ["interrupted"]


def test_an_argo_server_ends_a_suspended_run_too(place: Place, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with reachable("http://argo-server.argo.svc:2746") as server:
        suspend(place, run)
        monkeypatch.setenv("ARGO_SERVER", server.removeprefix("http://"))
        monkeypatch.setenv("ARGO_SECURE", "false")
        engine = ArgoEngine(place.store, namespace=place.namespace)
        assert engine.phase(run) is Phase.SUSPENDED

        engine.stop(run)

        assert place.ended(run)["status"]["phase"] == "Failed"
        assert engine.phase(run) is Phase.INTERRUPTED


def test_a_run_whose_workflow_was_deleted_is_interrupted_and_retry_finishes_it(
    place: Place, held: Callable[[], None], run: str
) -> None:
    until(lambda: get(place, run)["counts"]["listed"])
    place.kubectl("delete", "workflow", run)

    assert get(place, run)["status"] == listed(place, run) == "interrupted"
    assert causes(place, run) == ["interrupted"]
    watched = place.imgflow("watch", run, "-o", "json")
    assert (watched.returncode, json.loads(watched.stdout)["status"]) == (1, "interrupted")

    held()
    again = place.imgflow("retry", run, "--wait", "-o", "json")
    assert json.loads(again.stdout)["status"] == "succeeded", again.stderr


def test_a_terminated_run_is_interrupted_at_once(place: Place, run: str) -> None:
    until(lambda: place.workflow(run).get("status", {}).get("nodes"))
    place.argo("terminate", run)
    until(lambda: place.workflow(run)["status"]["phase"] == "Failed")

    assert get(place, run)["status"] == "interrupted"
    assert place.snapshot(run).status is Phase.INTERRUPTED


@pytest.fixture(scope="module", params=["alone", "with a LimitRange"])
def bounded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A namespace with a quota on everything that a quota may ask of a container."""
    hard = {"requests.cpu": "16", "requests.memory": "32Gi", "limits.cpu": "64", "limits.memory": "128Gi"}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "bounds"}, "spec": {"hard": hard}}
    ]
    assert hard.keys() <= DEMANDED.keys()
    if request.param != "alone":
        limits = [{"type": "Container", "default": {"cpu": "500m"}, "max": {"memory": "8Gi"}}]
        objects.append(
            {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "bounds"}, "spec": {"limits": limits}}
        )
    file = tmp_path_factory.mktemp("bounds") / "objects.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    with (
        installed(VALUES, prepare=lambda name: ok("kubectl", "-n", name, "create", "-f", str(file))) as name,
        reached(name) as place,
    ):
        yield place


def test_a_quota_on_limits_admits_the_chart_and_a_run(bounded: Place) -> None:
    bounded.store.write(f"{keys.images('Demo')}a.jpg", photographs.jpeg(1))
    checks = json.loads(bounded.imgflow("doctor", "-o", "json").stdout)["checks"]
    assert [one["state"] for one in checks if one["name"] == "quotas"] == ["ok"]

    done = bounded.imgflow("submit", "-m", "Demo", "--wait", "-o", "json")

    assert json.loads(done.stdout)["status"] == "succeeded", done.stderr


def test_doctor_tells_before_a_run_what_a_quota_would_refuse_and_watch_says_it_during_one(bounded: Place) -> None:
    bounded.kubectl("create", "quota", "none", "--hard=pods=0")
    try:
        checks = json.loads(bounded.imgflow("doctor", "-o", "json").stdout)["checks"]
        assert [one["state"] for one in checks if one["name"] == "quotas"] == ["wrong"]

        bounded.store.write(f"{keys.images('Demo')}a.jpg", photographs.jpeg(1))
        assert bounded.imgflow("submit", "-m", "Demo", "--run", "refused", "--retry", "rejected").returncode == 0
        why = until(lambda: get(bounded, "refused")["message"])
        assert "exceeded quota: none" in why
        assert causes(bounded, "refused") == ["quota"]
    finally:
        bounded.kubectl("delete", "quota", "none")
        bounded.imgflow("stop", "refused")


def test_without_its_artifact_repository_doctor_is_not_all_ok_and_doctor_run_names_it(place: Place) -> None:
    kept = json.loads(place.kubectl("get", "configmap", "artifact-repositories", "-o", "json"))
    place.kubectl("delete", "configmap", "artifact-repositories")
    try:
        assert place.imgflow("doctor", "-o", "name").stdout.split() == ["artifacts"]
        place.store.write(f"{keys.images('Demo')}a.jpg", photographs.jpeg(1))
        done = place.imgflow(
            "submit", "-m", "Demo", "--run", "nowhere", "--watch", "-o", "json", "--steps", "scale:9x9"
        )
        assert (done.returncode, json.loads(done.stdout)["status"]) == (1, "failed")
        assert causes(place, "nowhere") == ["missing-object"]
    finally:
        flags = [f"--from-literal={name}={value}" for name, value in kept["data"].items()]
        place.kubectl("create", "configmap", "artifact-repositories", *flags)
