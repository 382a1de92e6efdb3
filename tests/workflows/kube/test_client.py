"""What the argo engine asks of a cluster, through the real client before an API on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.rest import RESTClientObject
from tests import clusters

from imgflow_workflows.kube.client import Kubernetes

OF = "/apis/argoproj.io/v1alpha1/namespaces/city"
PODS = "/api/v1/namespaces/city/pods"
MINE = f"{PODS}?labelSelector=workflows.argoproj.io/workflow%3Drun"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Api]:
    with clusters.api(tmp_path) as served:
        clusters.use(served.kubeconfig, monkeypatch)
        yield served


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Running"}}


def document(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": "1", "resourceVersion": "7"}, "status": {"phase": "Succeeded"}}


def test_no_request_waits_for_ever_for_a_cluster_that_is_silent(
    api: clusters.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    request: Any = RESTClientObject.request

    def noted(self: Any, method: str, url: str, **more: Any) -> Any:
        asked[f"{method} {url.rpartition('/')[2]}"] = more["_request_timeout"]
        return request(self, method, url, **more)

    monkeypatch.setattr(RESTClientObject, "request", noted)
    api.answers |= {
        f"{OF}/workflowtemplates/imgflow": document("imgflow"),
        f"{OF}/workflows/run": document("run"),
        f"{OF}/cronworkflows/nightly": document("nightly"),
        f"{OF}/cronworkflows?labelSelector=app.kubernetes.io/part-of%3Dimgflow": {"items": []},
        MINE: {"items": [pod("run-list-1")]},
        f"{PODS}/run-list-1/log?container=main&follow=false": {"event": "begin"},
        f"{PODS}/run-list-1/log?container=main&follow=true": {"event": "begin"},
    }
    cluster = Kubernetes("city")

    cluster.template()
    cluster.create(document("run"))
    cluster.schedule(document("nightly"))
    cluster.schedules()
    cluster.stop("run")
    cluster.resume("run")
    assert list(cluster.logs("run", "", (), follow=False)) == [("run-list-1", '{"event": "begin"}')]
    assert list(cluster.logs("run", "", (), follow=True)) == [("run-list-1", '{"event": "begin"}')]
    cluster.delete("run", "1")

    assert [method for method, *_ in api.sent] == ["POST", "POST", "PUT", "PATCH", "PATCH", "DELETE", "DELETE"]
    assert [name for name, seconds in asked.items() if not seconds] == []


def test_a_pod_whose_log_breaks_off_is_named_and_the_logs_of_others_go_on(api: clusters.Api) -> None:
    api.answers |= {
        f"{OF}/workflows/run": document("run"),
        MINE: {"items": [pod("run-fused-1"), pod("run-fused-2")]},
        f"{PODS}/run-fused-1/log?container=main&follow=true": 502,
        f"{PODS}/run-fused-2/log?container=main&follow=true": {"event": "begin"},
    }

    lines = dict(Kubernetes("city").logs("run", "", (), follow=True))

    assert lines["run-fused-2"] == '{"event": "begin"}'
    lost = json.loads(lines["run-fused-1"])
    assert (lost["event"], lost["run"], lost["pod"]) == ("no-log", "run", "run-fused-1")
    assert "reading the log of pod run-fused-1: the cluster answers 502" in lost["message"]
