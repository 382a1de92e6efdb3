"""imgflow doctor on a cluster: what was read of a namespace, and what is wrong with it."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.workflows.doctor.test_quotas import quota

from imgflow_steps import __version__
from imgflow_workflows.argo import Options, PodSettings, workflow_template
from imgflow_workflows.doctor.checks import State
from imgflow_workflows.doctor.namespace import KINDS, Site, checks, differences
from imgflow_workflows.doctor.rights import RIGHTS
from imgflow_workflows.submit.default import DEFAULT

Document = dict[str, Any]

STORE = {"IMGFLOW_STORE": "s3://imgflow/below", "AWS_ENDPOINT_URL": "http://minio:9000"}
STEPS = ("list", "scale", "grayscale", "transform", "infer", "fused", "cuda", "collect")
OPTIONS = Options(namespace="city", steps={"scale": PodSettings(node_selector={"disk": "fast"}, gpus=1)})


def deployment(image: str, available: int = 1) -> Document:
    pod = {"containers": [{"name": "workflow-controller", "image": image}]}
    return {
        "metadata": {"name": "workflow-controller", "namespace": "argo"},
        "spec": {"template": {"spec": pod}},
        "status": {"availableReplicas": available},
    }


def repository(bucket: str = "imgflow") -> Document:
    return {"data": {"imgflow": yaml.safe_dump({"s3": {"bucket": bucket, "endpoint": "minio:9000"}})}}


def well() -> Site:
    """A namespace in which nothing is wrong."""
    images = [{"names": [OPTIONS.image(step)]} for step in STEPS] + [{"names": None}]  # one that was untagged
    chart = {"helm.sh/chart": f"imgflow-{__version__}"}
    documents: dict[str, Document | None] = {
        "version": {"gitVersion": "v1.34.1"},
        "kinds": {"resources": [{"name": kind} for kind in KINDS]},
        "deployments": {"items": [deployment("quay.io/argoproj/workflow-controller:v4.0.2")]},
        "namespace": {},
        "store": {"metadata": {"labels": chart}, "data": STORE},
        "artifacts": repository(),
        "limits": {"data": dict.fromkeys(STEPS, "10")},
        "secret": {"data": {"AWS_ACCESS_KEY_ID": "…", "AWS_SECRET_ACCESS_KEY": "…"}},
        "account": {},
        "template": workflow_template(DEFAULT, OPTIONS),
        "quotas": {"items": []},
        "ranges": {"items": []},
        "nodes": {"items": [{"status": {"images": images}}] * 2},
    }
    return Site("city", documents, {}, {right.name: True for right in RIGHTS}, service_account_may=True)


def changed(**documents: Document | None) -> Site:
    site = well()
    return replace(site, documents={**site.documents, **documents})


def test_a_namespace_that_is_well_has_only_ok_checks() -> None:
    assert {check.state for check in checks(well())} == {State.OK}


def test_a_secret_without_keys_is_well_where_pods_have_a_role() -> None:
    secret = {"metadata": {"annotations": {"imgflow.io/credentials": "web-identity"}}, "data": None}

    assert {check.state for check in checks(changed(secret=secret))} == {State.OK}


WRONG = {
    "argo": changed(kinds={"resources": [{"name": "workflows"}]}),
    "controller": changed(deployments={"items": [deployment("workflow-controller:v4.0.2", available=0)]}),
    "namespace": changed(namespace=None),
    "chart": changed(store=None),
    "template": changed(template=None),
    "container images": changed(nodes={"items": [{"status": {"images": []}}]}),
    "credentials": changed(secret={"data": {"AWS_ACCESS_KEY_ID": "…", "AWS_SECRET_ACCESS_KEY": ""}}),
    "service account": replace(well(), service_account_may=False),
    "limits": changed(limits={"data": {"list": "many"}}),
    "artifacts": changed(artifacts=None),
    "quotas": changed(quotas={"items": [quota("limits", {"limits.memory": "2Gi"})]}),
    "rights": replace(well(), rights={}),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_with_a_command_that_mends_it(name: str) -> None:
    [found] = [check for check in checks(WRONG[name]) if check.name == name]

    assert found.state is State.WRONG
    assert found.mend.split()[0] in {"kubectl", "helm"} or found.mend.startswith("PREFIX=")


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (None, "there is no ConfigMap artifact-repositories: Argo has nowhere to keep artifacts"),
        ({"data": {"another": ""}}, "ConfigMap artifact-repositories has no key imgflow"),
        (repository("other"), "artifacts in bucket other of minio:9000, and the store is bucket imgflow of minio:9000"),
    ],
    ids=["gone", "no key", "another bucket"],
)
def test_argo_has_to_know_where_artifacts_go_and_that_is_the_store(found: Document | None, seen: str) -> None:
    [check] = [check for check in checks(changed(artifacts=found)) if check.name == "artifacts"]

    assert check.state is State.WRONG
    assert seen in check.seen


WARNED = {
    "persistence": changed(
        store={
            "metadata": {
                "labels": {"helm.sh/chart": f"imgflow-{__version__}"},
                "annotations": {"imgflow.io/persistence": "emptyDir"},
            },
            "data": STORE,
        }
    ),
    "controller": changed(deployments={"items": [deployment("workflow-controller:v3.7.1")]}),
    "chart": changed(store={"metadata": {"labels": {"helm.sh/chart": "imgflow-0.0.1"}}, "data": STORE}),
    "template": changed(template=workflow_template(DEFAULT.with_params(1, width=32), OPTIONS)),
    "limits": changed(limits={"data": {**dict.fromkeys(STEPS, "10"), "scale": "0"}}),
    "quotas": changed(quotas={"items": [quota("pods", {"pods": "9"}, {"pods": "9"})]}),
    "rights": replace(well(), rights={right.name: right.vital for right in RIGHTS}),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_works_but_not_well_is_a_warning(name: str) -> None:
    assert [check.name for check in checks(WARNED[name]) if check.state is State.WARNING] == [name]


def test_without_the_chart_one_check_is_wrong_and_those_of_its_parts_wait() -> None:
    documents = {name: well().get(name) for name in ("version", "kinds", "deployments", "namespace", "nodes")}
    states = {check.name: check.state for check in checks(replace(well(), documents=documents))}

    assert [name for name, state in states.items() if state is State.WRONG] == ["chart"]
    assert states["limits"] is State.UNKNOWN


def test_what_may_not_be_read_is_unknown_and_says_why() -> None:
    site = replace(well(), unread={"nodes": "you may not list nodes"})

    assert [(c.name, c.seen) for c in checks(site) if c.state is State.UNKNOWN] == [
        ("container images", "you may not list nodes")
    ]


def test_images_of_a_registry_may_still_be_pulled() -> None:
    options = replace(OPTIONS, prefix="registry.example/imgflow-")
    site = changed(template=workflow_template(DEFAULT, options))

    assert [c.name for c in checks(site) if c.state is State.UNKNOWN] == ["container images"]


def test_a_node_with_many_container_images_does_not_tell_of_all() -> None:
    others = [{"names": [f"registry.example/other-{i}:1"]} for i in range(50)]
    site = changed(nodes={"items": [*(well().get("nodes") or {})["items"], {"status": {"images": others}}]})

    assert [c.name for c in checks(site) if c.state is not State.OK] == ["container images"]
    assert [c.name for c in checks(site) if c.state is State.UNKNOWN] == ["container images"]


def test_a_template_that_somebody_has_changed_is_told_by_the_place() -> None:
    template = copy.deepcopy(workflow_template(DEFAULT, OPTIONS))
    next(t for t in template["spec"]["templates"] if t["name"] == "scale")["activeDeadlineSeconds"] = 5
    [found] = [check for check in checks(changed(template=template)) if check.name == "template"]

    assert found.state is State.WARNING
    assert found.seen.endswith("renders: spec.templates.scale.activeDeadlineSeconds")


def test_a_number_and_its_text_are_the_same_amount() -> None:
    assert list(differences({"limits": {"cpu": "1"}}, {"limits": {"cpu": 1}})) == []
    assert list(differences({"a": [1, 2]}, {"a": [2, 1]})) == ["spec.a"]
