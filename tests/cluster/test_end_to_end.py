"""A municipality through the real containers on a real cluster, however the run is started."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING
from urllib.request import urlopen
from uuid import uuid4

import pytest
from tests import photographs
from tests.local_runs import pictures, submit

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import Phase, read_summary
from imgflow_steps.store import Store, open_store
from imgflow_workflows import argo
from imgflow_workflows.engines.argo import ArgoEngine
from imgflow_workflows.kube.port_forward import reachable
from imgflow_workflows.kube.workflow_nodes import nodes
from imgflow_workflows.submit.default import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tests.cluster.conftest import Document, Place

pytestmark = pytest.mark.cluster

GOOD, BAD = 11, 1  # images
HOSTILE = "{{=1+1}}'; rm -rf / #"


def fill(store: Store, municipality: str) -> None:
    prefix = keys.images(municipality)
    for i in range(GOOD - 1):
        store.write(f"{prefix}{'abc'[i % 3]}/{i:03d}.jpg", photographs.jpeg(i))
    store.write(f"{prefix}clear.png", photographs.png(3))
    store.write(f"{prefix}cut.jpg", photographs.jpeg(3)[:700])


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The pictures that the local engine makes of the same photographs."""
    store = open_store(str(tmp_path_factory.mktemp("reference")))
    fill(store, "Demo")
    submit(store, "reference", DEFAULT)
    return pictures(store, "reference")


@pytest.fixture
def municipality(place: Place) -> str:
    """A municipality that no other test has touched."""
    name = f"Östra {uuid4().hex[:8]}"
    fill(place.store, name)
    return name


@pytest.fixture
def engine(place: Place) -> ArgoEngine:
    return ArgoEngine(place.store, namespace=place.namespace)


def a_run(place: Place, municipality: str, **listing: object) -> Run:
    run = Run.model_validate(
        {
            "id": f"run-{uuid4().hex[:8]}",
            "municipality": municipality,
            "pipeline": DEFAULT,
            "list": listing,
            "created": time.time(),
            "engine": "argo",
        }
    )
    save(place.store, run)
    return run


@pytest.mark.parametrize(("layout", "shard_size", "pods"), [("steps", 4, 9), ("fused", 4, 3), ("fused", 1, 12)])
def test_argo_alone_makes_the_local_engines_pictures_on_every_node(
    place: Place, municipality: str, reference: dict[str, str], layout: str, shard_size: int, pods: int
) -> None:
    name = place.from_template(municipality, "-p", f"layout={layout}", "-p", f"shard-size={shard_size}")
    workflow = place.ended(name)
    assert workflow["status"]["phase"] == "Succeeded", place.argo("get", name)
    _, summary = place.summary(name)
    assert (summary.counts.processed, summary.counts.rejected) == (GOOD, BAD)
    assert pictures(place.store, name) == reference
    assert len(place.pods(workflow)) == pods + 2  # and list and collect
    machines = json.loads(place.kubectl("get", "nodes", "-o", "json"))["items"]
    assert len({node for pod, node in place.seen.items() if pod.startswith(name)}) == min(len(machines), 2)


def test_a_second_submit_has_nothing_to_do_and_a_report_all_the_same(
    place: Place, municipality: str, reference: dict[str, str]
) -> None:
    place.ended(place.from_template(municipality, "-p", "layout=fused"))
    again = place.from_template(municipality)
    assert place.pods(place.ended(again)) == ["collect", "list"]
    _, summary = place.summary(again)
    assert (summary.counts.cached, summary.counts.rejected) == (GOOD, BAD)
    assert place.store.stat(keys.report(again) + "index.html")
    assert pictures(place.store, again) == reference


def test_the_rendered_workflow_is_all_that_kubectl_needs(place: Place, municipality: str, tmp_path: Path) -> None:
    run = a_run(place, municipality, layout="fused", shard_size=6)
    template = json.loads(place.kubectl("get", "workflowtemplate", "imgflow", "-o", "json"))
    own = run.model_copy(update={"pipeline": DEFAULT.with_params(1, width=32)})
    save(place.store, own)
    file = tmp_path / "workflow.yaml"
    for document in (argo.workflow(run, template=template), argo.workflow(own, template=template)):
        file.write_text(argo.to_yaml(document), encoding="utf-8")
        place.kubectl("create", "--dry-run=server", "-f", str(file))
        assert "no linting errors" in place.argo("lint", str(file))
    place.kubectl("create", "-f", str(file))  # the last one: another pipeline than the template's
    assert place.ended(run.id)["status"]["phase"] == "Succeeded"
    selector = f"imgflow.io/municipality={keys.slug(municipality)}"
    assert place.kubectl("get", "workflows", "-l", selector, "-o", "name").split() == [f"workflow.argoproj.io/{run.id}"]
    assert place.summary(run.id)[1].counts.processed == GOOD


@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_steps_that_share_a_container_make_the_local_engines_pictures(
    place: Place, engine: ArgoEngine, layout: str, tmp_path: Path
) -> None:
    pipeline = parse({"steps": [["resize", "64x64"], ["split", True], ["blur", "median"], "augment:1:7"]})
    local = open_store(str(tmp_path))
    fill(local, "Demo")
    submit(local, "reference", pipeline)
    municipality = f"Pieces {uuid4().hex[:8]}"
    fill(place.store, municipality)
    run = a_run(place, municipality, layout=layout, shard_size=6).model_copy(update={"pipeline": pipeline})
    save(place.store, run)
    engine.submit(run)
    workflow = place.ended(run.id)
    assert workflow["status"]["phase"] == "Succeeded", place.argo("get", run.id)
    assert pictures(place.store, run.id) == pictures(local, "reference")
    assert len(pictures(place.store, run.id)) == GOOD * 8
    names = ["scale", "split", "blur", "augment"] if layout == "steps" else ["fused"]
    assert place.pods(workflow) == sorted(["list", *names * 2, "collect"])


def test_two_municipalities_at_once_whatever_they_are_called(place: Place, engine: ArgoEngine) -> None:
    runs = []
    for name in ("Östra Göinge", HOSTILE):
        fill(place.store, name)
        runs.append(a_run(place, name, layout="fused", shard_size=6))
        engine.submit(runs[-1])
        engine.submit(runs[-1])  # the same once more, while it runs
    for run in runs:
        workflow = place.ended(run.id)
        assert place.pods(workflow) == ["collect", "fused", "fused", "list"]
        assert workflow["metadata"]["annotations"]["imgflow.io/municipality"] == run.municipality
        assert workflow["metadata"]["labels"]["imgflow.io/municipality"] == keys.slug(run.municipality)
        assert place.summary(run.id)[1].counts.processed == GOOD


def test_logs_are_there_when_the_pods_are_gone(place: Place, municipality: str, engine: ArgoEngine) -> None:
    run = a_run(place, municipality, layout="fused", shard_size=6)
    engine.submit(run)
    followed = list(engine.logs(run.id, follow=True))
    place.ended(run.id)
    engine.delete(run.id)
    assert engine.phase(run.id) is None
    kept = list(engine.logs(run.id))
    for lines in (followed, kept):
        assert steps_that_ended(lines) == ["collect", "fused", "fused", "list"]
    assert list(engine.logs(run.id, failed=True)) == []
    assert steps_that_ended(engine.logs(run.id, step="fused")) == ["fused", "fused"]


def steps_that_ended(lines: Iterable[str]) -> list[str]:
    ours = [json.loads(line) for line in lines if line.startswith("{")]  # libraries log, too
    return sorted(line["step"] for line in ours if line["event"] == "end")


def until(what: str, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.5)


def wait_for(store: Store, key: str) -> None:
    until(f"{key} in the store", lambda: store.stat(key) is not None)


@pytest.mark.parametrize("who", ["argo", "engine"])
@pytest.mark.parametrize("layout", ["steps", "fused"])
def test_a_lost_shard_fails_the_run_and_a_retry_does_that_shard_alone(
    place: Place,
    municipality: str,
    reference: dict[str, str],
    engine: ArgoEngine,
    layout: str,
    who: str,
) -> None:
    run = a_run(place, municipality, layout=layout, shard_size=4)
    engine.submit(run)
    manifest = keys.manifest(run.id, 1)
    wait_for(place.store, manifest)
    lost = place.store.read(manifest)
    place.store.delete([manifest])
    failed = place.ended(run.id)
    assert failed["status"]["phase"] == "Failed"
    _, summary = place.summary(run.id)
    assert summary.status is Phase.FAILED
    assert 0 < summary.counts.failed <= 4

    place.store.write(manifest, lost)
    if who == "argo":
        place.argo("retry", run.id)
    else:
        engine.submit(run)
    workflow = place.ended(run.id)
    _, summary = place.summary(run.id)
    assert (summary.counts.processed, summary.counts.failed) == (GOOD, 0), "\n".join(engine.logs(run.id))
    assert workflow["status"]["phase"] == "Succeeded", place.argo("get", run.id)
    assert pictures(place.store, run.id) == reference
    if who == "argo":
        assert succeeded(failed).items() <= succeeded(workflow).items()
    else:
        names = [call.name for call in DEFAULT.steps] if layout == "steps" else ["fused"]
        assert place.pods(workflow) == sorted(["list", *names, "collect"])


def succeeded(workflow: Document) -> dict[str, str]:
    """When each pod that succeeded was started."""
    pods = [node for node in nodes(workflow).values() if node["type"] == "Pod" and node["phase"] == "Succeeded"]
    return {node["id"]: node["startedAt"] for node in pods if node["templateName"] != "collect-last"}


def test_a_stopped_run_still_gets_its_report(place: Place, municipality: str, engine: ArgoEngine, held: object) -> None:
    run = a_run(place, municipality, layout="fused", shard_size=6)
    engine.submit(run)
    wait_for(place.store, keys.listing_json(run.id))
    until(
        "a shard waits", lambda: "fused" in {one.get("templateName") for one in nodes(place.workflow(run.id)).values()}
    )
    engine.stop(run.id)
    place.ended(run.id)
    assert engine.phase(run.id) is Phase.INTERRUPTED
    wait_for(place.store, keys.summary_json(run.id))
    found = read_summary(place.store, run.id)
    assert found
    assert found.status is Phase.INTERRUPTED
    assert found.counts.failed + found.counts.rejected == GOOD + BAD


def test_the_argo_server_shows_the_report_and_may_be_asked_instead_of_kubernetes(
    place: Place, municipality: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reachable("http://argo-server.argo.svc:2746") as server:
        monkeypatch.setenv("ARGO_SERVER", server.removeprefix("http://"))
        monkeypatch.setenv("ARGO_SECURE", "false")
        engine = ArgoEngine(place.store, namespace=place.namespace)
        run = a_run(place, municipality, layout="fused", shard_size=6)
        engine.submit(run)
        engine.submit(run)
        followed = list(engine.logs(run.id, follow=True))
        path = place.ended(run.id)["metadata"]["annotations"]["imgflow.io/report"]
        assert engine.phase(run.id) is Phase.SUCCEEDED
        assert steps_that_ended(followed) == ["collect", "fused", "fused", "list"]
        with urlopen(server + path) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            page = answer.read().decode()
        assert municipality in page
        with urlopen(server + path + "style.css") as answer:
            assert answer.headers["Content-Type"].startswith("text/css")
        engine.submit(run)  # replaces the one that ended
        assert place.pods(place.ended(run.id)) == ["collect", "list"]
        engine.delete(run.id)
        assert engine.phase(run.id) is None


def test_no_secret_is_anywhere_but_in_its_secret(place: Place, municipality: str) -> None:
    name = place.from_template(municipality, "-p", "layout=steps", "-p", "shard-size=6")
    secret = place.environment["AWS_SECRET_ACCESS_KEY"]
    assert secret not in json.dumps(place.ended(name))
    assert secret not in place.kubectl("get", "workflowtemplates,configmaps,pods", "-o", "yaml")
    for prefix in (keys.whole_run(name), keys.all_scratch(name)):
        assert not [f.key for f in place.store.entries(prefix) if secret.encode() in place.store.read(f.key)]


def test_a_schedule_starts_runs(place: Place, municipality: str, engine: ArgoEngine) -> None:
    name = f"nightly-{uuid4().hex[:8]}"
    run = a_run(place, municipality, layout="fused", shard_size=12)
    for cron in ("0 3 * * *", "* * * * *"):  # the second replaces the first
        engine.schedule(name, cron, run)
    deadline = time.monotonic() + 120
    started: list[str] = []
    while not started:
        assert time.monotonic() < deadline, "no run was started"
        time.sleep(2)
        label = f"workflows.argoproj.io/cron-workflow={name}"
        started = place.kubectl("get", "workflows", "-l", label, "-o", "jsonpath={.items[*].metadata.name}").split()
    place.kubectl("delete", "cronworkflow", name, "--cascade=orphan")
    assert place.ended(started[0])["status"]["phase"] == "Succeeded"
    assert place.summary(started[0])[0].municipality == municipality
