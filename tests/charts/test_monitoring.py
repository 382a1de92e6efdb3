"""Alerts and dashboard: as Prometheus reads them, as the chart hands them over, and as the documents explain them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.conftest import CHART, Render

from imgflow_service.api import telemetry as api
from imgflow_service.jobs import telemetry as jobs
from imgflow_service.processor import telemetry as processor
from imgflow_workflows import argo
from imgflow_workflows.submit.default import DEFAULT

ALERTS_FILE, DASHBOARD_FILE = CHART / "files/alerts.yaml", CHART / "files/dashboard.json"
FIRING = Path(__file__).with_name("alerts_test.yaml")
ROOT = Path(__file__).parents[2]

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS_FILE.read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
DASHBOARD: dict[str, Any] = json.loads(DASHBOARD_FILE.read_text())
# What Grafana fills in.
VARIABLES = {"$namespace": ".+", "$__rate_interval": "5m", "$__range": "1h"}
# What Argo's controller says of itself, of which we make use; seen on a cluster by tests/cluster/test_monitoring.py.
OF_ARGO = {
    *("gauge", "pods_gauge", "pod_pending_count", "is_leader", "queue_depth_gauge", "k8s_request_total"),
    *("queue_latency_bucket", "operation_duration_seconds_bucket"),
}


def queries() -> list[str]:
    """What the dashboard asks, as Grafana sends it."""
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    for name, value in VARIABLES.items():
        asked = [query.replace(name, value) for query in asked]
    return asked


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.prometheus
def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", str(ALERTS_FILE))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.prometheus
def test_every_alert_fires_when_it_should_and_no_other_time() -> None:
    done = promtool("test", "rules", str(FIRING))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_was_seen_firing_and_silent() -> None:
    cases = [case for test in yaml.safe_load(FIRING.read_text())["tests"] for case in test["alert_rule_test"]]
    for name in ALERTS:
        seen = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == name]
        assert True in seen, f"{name} never fires in {FIRING.name}"
        others = [case for case in cases if case["alertname"] == name and len(case["exp_alerts"]) < 2]
        assert others, name


def test_every_alert_is_explained_where_it_says() -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    explained = re.findall(
        r"^### (Imgflow\w+)$", page.partition("\n## Alerts\n")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert explained == list(ALERTS)
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert rule["labels"]["severity"] in {"warning", "critical"}


@pytest.mark.prometheus
def test_prometheus_can_read_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{i}:query", "expr": query} for i, query in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$" not in "".join(queries())


def test_only_what_is_counted_is_asked_for() -> None:
    spec = argo.workflow_template(DEFAULT)["spec"]
    ours = [metric for each in (spec, *spec["templates"]) for metric in each.get("metrics", {}).get("prometheus", [])]
    known = {f"{m['name']}_bucket" if "histogram" in m else m["name"] for m in ours} | OF_ARGO
    asked = " ".join([*queries(), *(rule["expr"] for rule in RULES)])
    assert set(re.findall(r"argo_workflows_(\w+)", asked)) <= known


def test_of_the_service_only_what_it_counts_is_asked_for() -> None:
    suffix = {"counter": "_total", "histogram": "_bucket", "gauge": ""}
    registries = [part.Telemetry().registry for part in (api, jobs, processor)]
    families = [family for registry in registries for family in registry.collect()]
    known = {family.name + suffix[family.type] for family in families}
    asked = " ".join([*queries(), *(rule["expr"] for rule in RULES)])
    found = set(re.findall(r"imgflow_(?:service|processor|jobs)_\w+", asked))
    assert found
    assert found <= known
    row = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert "Image service" in row


def test_the_dashboard_s_panels_lie_beside_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_the_chart_hands_over_what_was_asked_for_and_nothing_else(render: Render) -> None:
    def kinds(*flags: str) -> set[str]:
        made = {f"{one['kind']}/{one['metadata']['name']}" for one in render("default", *flags)}
        return made & {"PodMonitor/imgflow-argo", "PrometheusRule/imgflow", "ConfigMap/imgflow-dashboard"}

    assert kinds() == set()
    assert kinds("--set", "monitoring.podMonitor.enabled=true") == {"PodMonitor/imgflow-argo"}
    assert kinds("--set", "monitoring.alerts.enabled=true") == {"PrometheusRule/imgflow"}
    assert kinds("--set", "monitoring.dashboard.enabled=true") == {"ConfigMap/imgflow-dashboard"}


def test_the_operator_and_grafana_get_the_very_files(render: Render) -> None:
    made = {one["kind"]: one for one in render("monitoring") if one["metadata"]["name"] == "imgflow"}
    assert made["PrometheusRule"]["spec"] == yaml.safe_load(ALERTS_FILE.read_text())
    assert made["PrometheusRule"]["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    [dashboard] = [one for one in render("monitoring") if one["metadata"]["name"] == "imgflow-dashboard"]
    assert json.loads(dashboard["data"]["imgflow.json"]) == DASHBOARD
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_prometheus_asks_argo_s_controller_and_keeps_its_labels(render: Render) -> None:
    [monitor] = [one for one in render("monitoring") if one["kind"] == "PodMonitor"]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["argo"]}
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["honorLabels"] is True
    assert (endpoint["port"], endpoint["scheme"]) == ("metrics", "https")
    flags = ("--set", "monitoring.podMonitor.scheme=http,monitoring.podMonitor.argoNamespace=workflows")
    [plain] = [one for one in render("monitoring", *flags) if one["kind"] == "PodMonitor"]
    assert "tlsConfig" not in plain["spec"]["podMetricsEndpoints"][0]
    assert plain["spec"]["namespaceSelector"] == {"matchNames": ["workflows"]}
