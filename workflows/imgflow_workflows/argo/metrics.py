"""What Argo's controller tells Prometheus of runs: so few labels that no number of images or runs adds a series.

Argo puts ``argo_workflows_`` before each name, and keeps the numbers until its controller starts anew. The namespace
is not labelled ``namespace``, which Prometheus takes for that of the controller.
"""

from __future__ import annotations

from typing import Any

from hera.workflows import Counter, Histogram, Parameter
from hera.workflows.metrics import Label
from hera.workflows.models import ValueFrom

from imgflow_steps.records.row import Status

COUNTS = "/data/counts"  # where collect leaves a file for each way that images end
OUTCOMES = [status.value for status in Status]
ENDS = ["Succeeded", "Failed", "Error"]  # of a Workflow

_POD_SECONDS = [5, 15, 60, 300, 900, 3600, 10800, 21600]
_RUN_SECONDS = [60, 300, 900, 3600, 10800, 21600, 43200, 86400]


def of_run() -> list[Any]:
    """Runs by how they ended, and how long they took."""
    seconds = Histogram(
        name="imgflow_run_seconds",
        help="Time from a run's start to its end.",
        labels=_labels(status="{{workflow.status}}"),
        buckets=[*_RUN_SECONDS],
        value="{{workflow.duration}}",
    )
    return [_runs("{{workflow.status}}", "1"), seconds]


def of_pods(step: str) -> list[Any]:
    """Pods by step and outcome, one for each attempt. The last attempt's time holds that of those before it."""
    seconds = Histogram(
        name="imgflow_pod_seconds",
        help="Time of a step on one shard, with waiting for a node and all attempts.",
        labels=_labels(step=step, status="{{status}}"),
        buckets=[*_POD_SECONDS],
        value="{{duration}}",
    )
    pods = Counter(
        name="imgflow_pods_total",
        help="Pods that ended, attempts that were followed by another one included.",
        labels=_labels(step=step, status="{{status}}"),
        value="1",
    )
    return [pods, seconds]


def from_nought() -> list[Any]:
    """Counters that begin with 0 while a run begins: in the first value of a series Prometheus sees no increase."""
    return [*(_runs(end, "0") for end in ENDS), *(_images(outcome, "0") for outcome in OUTCOMES)]


def of_images() -> list[Any]:
    """Images by outcome, from what collect leaves in ``COUNTS``."""
    # A pod that was deleted has no outputs; one that failed has, as far as it came.
    return [_images(name, f"{{{{outputs.parameters.{name}}}}}", when="{{status}} != Error") for name in OUTCOMES]


def counts() -> list[Parameter]:
    """The output parameters that ``of_images`` reads."""
    return [Parameter(name=n, value_from=ValueFrom(path=f"{COUNTS}/{n}", default="0")) for n in OUTCOMES]


def _runs(status: str, value: str) -> Counter:
    return Counter(name="imgflow_runs_total", help="Runs that ended.", labels=_labels(status=status), value=value)


def _images(outcome: str, value: str, when: str | None = None) -> Counter:
    return Counter(
        name="imgflow_images_total",
        help="Images that were listed, by how they ended; again in each run that lists them.",
        labels=_labels(outcome=outcome),
        value=value,
        when=when,
    )


def _labels(**labels: str) -> list[Label]:
    labels = {"workflow_namespace": "{{workflow.namespace}}", **labels}
    return [Label(key=key, value=value) for key, value in labels.items()]
