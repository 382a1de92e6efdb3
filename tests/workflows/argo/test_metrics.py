"""What the Workflow has Argo tell Prometheus."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.local_runs import submit
from tests.photographs import jpeg

from imgflow_steps.records import keys
from imgflow_steps.records.row import Status
from imgflow_steps.store import Store
from imgflow_workflows import argo
from imgflow_workflows.submit.default import DEFAULT

SPEC: dict[str, Any] = argo.workflow_template(DEFAULT)["spec"]
LEAVES = {template["name"]: template for template in SPEC["templates"] if "container" in template}
EVERY = [SPEC, *LEAVES.values()]

# All that may tell series of one metric apart, and how many values each has.
BOUNDED = {
    "workflow_namespace": {"{{workflow.namespace}}"},
    "step": {"list", "scale", "grayscale", "infer", "fused", "collect"},
    "status": {"{{status}}", "{{workflow.status}}", "Succeeded", "Failed", "Error"},
    "outcome": {status.value for status in Status},
}


def metrics(template: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [metric for metric in template["metrics"]["prometheus"] if metric["name"] == f"imgflow_{name}"]


def labels(metric: dict[str, Any]) -> dict[str, str]:
    return {label["key"]: label["value"] for label in metric["labels"]}


def test_no_number_of_images_shards_runs_or_municipalities_adds_a_series() -> None:
    for template in EVERY:
        for metric in template["metrics"]["prometheus"]:
            for key, value in labels(metric).items():
                assert value in BOUNDED[key], f"{metric['name']}: {key}={value}"


def test_a_metric_says_the_same_of_itself_wherever_it_is_counted() -> None:
    """Argo refuses a metric whose help or buckets differ from those it has."""
    said: dict[str, set[str]] = {}
    for template in EVERY:
        for metric in template["metrics"]["prometheus"]:
            buckets = metric.get("histogram", {}).get("buckets")
            said.setdefault(metric["name"], set()).add(f"{metric['help']} {buckets}")
    assert said
    assert all(len(texts) == 1 for texts in said.values()), said


@pytest.mark.parametrize("name", LEAVES)
def test_every_pod_counts_once_with_its_step_and_outcome_and_is_timed(name: str) -> None:
    step = LEAVES[name]["metadata"]["labels"]["imgflow.io/step"]
    [pods], [seconds] = metrics(LEAVES[name], "pods_total"), metrics(LEAVES[name], "pod_seconds")
    expected = {"workflow_namespace": "{{workflow.namespace}}", "step": step, "status": "{{status}}"}
    assert labels(pods) == labels(seconds) == expected
    assert pods["counter"] == {"value": "1"}
    assert seconds["histogram"]["value"] == "{{duration}}"
    assert seconds["histogram"]["buckets"][-1] == LEAVES[name]["activeDeadlineSeconds"]


def test_every_run_counts_once_with_how_it_ended() -> None:
    [runs] = metrics(SPEC, "runs_total")
    assert labels(runs)["status"] == "{{workflow.status}}"
    assert runs["counter"] == {"value": "1"}


def test_each_outcome_of_images_is_counted_from_what_collect_leaves() -> None:
    for name in ("collect", "collect-last"):
        leaf = LEAVES[name]
        counted = {labels(metric)["outcome"]: metric for metric in metrics(leaf, "images_total")}
        paths = {p["name"]: p["valueFrom"] for p in leaf["outputs"]["parameters"]}
        assert counted.keys() == paths.keys() == BOUNDED["outcome"]
        assert f"--counts={Path(paths['failed']['path']).parent}" in leaf["container"]["args"]
        for outcome, metric in counted.items():
            assert metric["counter"] == {"value": f"{{{{outputs.parameters.{outcome}}}}}"}
            assert paths[outcome] == {"path": f"/data/counts/{outcome}", "default": "0"}


def test_counters_are_there_before_a_run_can_end() -> None:
    """A series that begins with 1 has no increase, so an alert would miss the first failure after a restart."""
    noughts = [*metrics(LEAVES["list"], "images_total"), *metrics(LEAVES["list"], "runs_total")]
    assert all(metric["counter"] == {"value": "0"} for metric in noughts)
    assert {labels(metric).get("outcome") for metric in noughts} - {None} == BOUNDED["outcome"]
    assert {labels(metric).get("status") for metric in noughts} - {None} == {"Succeeded", "Failed", "Error"}


def test_the_container_leaves_a_file_for_each_outcome(
    directory_store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory_store.write(keys.images("Demo") + "good.jpg", jpeg(1))
    directory_store.write(keys.images("Demo") + "cut.jpg", jpeg(1)[:700])
    submit(directory_store, "counted", DEFAULT)
    monkeypatch.setenv("IMGFLOW_STORE", directory_store.url)
    counts = tmp_path / "counts"
    flags = ["collect", "--run=counted", f"--output={tmp_path / 'report'}", f"--counts={counts}"]

    subprocess.run([sys.executable, "-m", "imgflow_steps", *flags], check=True)

    found = {path.name: path.read_text() for path in counts.iterdir()}
    assert found == {"listed": "2", "processed": "1", "cached": "0", "rejected": "1", "failed": "0"}
