"""Which quotas and limit ranges keep the pods of a run out of a namespace, and which do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from imgflow_workflows.argo import Options, PodSettings, workflow_template
from imgflow_workflows.doctor.quotas import DEMANDED, Refusal, refusals
from imgflow_workflows.submit.default import DEFAULT

Document = dict[str, Any]


def quota(name: str, hard: Mapping[str, str], used: Mapping[str, str] = {}, **spec: Any) -> Document:
    return {"metadata": {"name": name}, "spec": {"hard": hard, **spec}, "status": {"used": used}}


def limit_range(kind: str = "Container", **item: Any) -> Document:
    return {"metadata": {"name": "range"}, "spec": {"limits": [{"type": kind, **item}]}}


def template(**options: Any) -> Document:
    return workflow_template(DEFAULT, Options(**options))


def of(*quotas: Document, ranges: tuple[Document, ...] = (), **options: Any) -> list[Refusal]:
    return refusals(template(**options), [*quotas], [*ranges])


PLENTY = dict.fromkeys(DEMANDED, "999Gi")
UNNAMED = {"executor": {}}  # as it was before Argo's own containers named anything


def test_a_quota_on_every_amount_admits_every_pod_of_the_chart_with_and_without_a_limit_range() -> None:
    filling = limit_range(default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "10m", "memory": "64Mi"})

    assert of(quota("all", PLENTY)) == []
    assert of(quota("all", PLENTY), ranges=(filling,)) == []


@pytest.mark.parametrize("key", DEMANDED)
def test_a_container_that_names_nothing_is_told_with_the_value_that_would(key: str) -> None:
    [found] = of(quota("compute", {key: "999Gi"}), **UNNAMED)

    kind, resource = DEMANDED[key]
    assert found.what == f"ResourceQuota compute asks every container for {key}, and init and wait name none"
    assert (found.value, found.never) == (f"executor.resources.{kind}.{resource}", True)


def test_what_a_limit_range_fills_in_need_not_be_named() -> None:
    filling = limit_range(default={"cpu": "1", "memory": "1Gi"}, defaultRequest={"cpu": "10m", "memory": "64Mi"})

    assert of(quota("all", PLENTY), ranges=(filling,), **UNNAMED) == []
    assert len(of(quota("all", PLENTY), ranges=(limit_range("Pod", max={"cpu": "64"}),), **UNNAMED)) == len(DEMANDED)


def test_a_limit_counts_as_a_request_where_no_other_is_named() -> None:
    limits = {"limits": {"cpu": "1", "memory": "1Gi"}}
    steps = dict.fromkeys(("list", "scale", "grayscale", "infer", "fused", "collect"), PodSettings(resources=limits))

    assert of(quota("requests", {"requests.cpu": "99", "requests.memory": "99Gi"}), steps=steps) == []


def test_a_pod_that_never_fits_is_told_with_what_it_needs_as_a_whole() -> None:
    [found] = of(quota("small", {"limits.memory": "2Gi"}))

    assert found.what == (
        "ResourceQuota small allows limits.memory 2Gi in all, and a pod of step scale needs 3.5Gi"  # with wait's
    )
    assert found.value == "steps.scale.resources.limits.memory"


def test_a_quota_of_cards_is_seen_where_a_step_asks_for_some() -> None:
    card = PodSettings(gpus=1)

    [found] = of(quota("cards", {"requests.nvidia.com/gpu": "0"}), steps={"infer": card})

    assert found.what == "ResourceQuota cards allows requests.nvidia.com/gpu 0 in all, and a pod of step infer needs 1"
    assert (found.value, found.never) == ("", True)
    assert of(quota("cards", {"requests.nvidia.com/gpu": "1"}), steps={"infer": card}) == []
    assert of(quota("cards", {"requests.nvidia.com/gpu": "0"})) == []


def test_containers_that_run_before_the_others_do_not_add_to_them() -> None:
    executor = {"limits": {"memory": "1Gi", "cpu": "1"}, "requests": {"memory": "1Gi", "cpu": "1"}}

    assert of(quota("edge", {"limits.memory": "4Gi"}), executor=executor) == []
    assert len(of(quota("edge", {"limits.memory": "4095Mi"}), executor=executor)) == 1


def test_a_quota_that_is_used_up_is_a_reason_to_wait_only() -> None:
    [found] = of(quota("busy", {"limits.cpu": "8"}, {"limits.cpu": "7"}))

    assert (found.what.partition(";")[0], found.never) == ("ResourceQuota busy is used up: limits.cpu 7 of 8", False)
    assert of(quota("busy", {"limits.cpu": "8"}, {"limits.cpu": "6"})) == []


def test_no_pods_at_all_is_for_ever_and_other_kinds_of_objects_do_not_matter() -> None:
    [found] = of(quota("none", {"pods": "0", "services": "0", "count/configmaps": "1"}))

    assert (found.never, found.value) == (True, "")


@pytest.mark.parametrize(
    ("spec", "ours"),
    [
        ({"scopes": ["Terminating"]}, True),
        ({"scopes": ["NotTerminating"]}, False),
        ({"scopes": ["BestEffort"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "NotBestEffort", "operator": "Exists"}]}}, True),
    ],
    ids=str,
)
def test_only_quotas_about_pods_with_a_deadline_and_without_a_class_matter(spec: Document, ours: bool) -> None:
    assert bool(of(quota("scoped", {"pods": "0"}, **spec))) is ours


@pytest.mark.parametrize(
    ("item", "value"),
    [
        (limit_range(max={"memory": "2Gi"}), "steps.scale.resources.limits.memory"),
        (limit_range(min={"cpu": "50m"}), "executor.resources.requests.cpu"),
        (limit_range("Pod", max={"cpu": "1"}), "steps.list.resources.limits.cpu"),
    ],
    ids=["max", "min", "pod"],
)
def test_a_limit_range_that_refuses_a_container_is_told_with_the_value_to_change(item: Document, value: str) -> None:
    found = of(ranges=(item,))

    assert value in [one.value for one in found]
    assert all(one.what.startswith("a LimitRange admits") for one in found)
