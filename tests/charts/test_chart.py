"""The chart as it renders, in every situation that ``ci/`` describes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.charts.conftest import ARGO, CHART, Helm, Render

from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_workflows.argo import options_of, workflow_template
from imgflow_workflows.doctor.namespace import differences
from imgflow_workflows.submit.default import DEFAULT

SITUATIONS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
NAMESPACED = {
    *("ConfigMap", "Deployment", "HorizontalPodAutoscaler", "Ingress", "Job", "NetworkPolicy", "PersistentVolumeClaim"),
    *("PodDisruptionBudget", "PodMonitor"),
    *("PrometheusRule", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount", "WorkflowTemplate"),
}

every_situation = pytest.mark.parametrize("situation", SITUATIONS)


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    return found


def pod_specs(objects: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return (one["spec"]["template"]["spec"] for one in objects if one["kind"] in {"Deployment", "Job"})


@every_situation
def test_helm_finds_nothing_to_complain_about(helm: Helm, situation: str) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(CHART / f"ci/{situation}-values.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@every_situation
def test_everything_lies_in_the_namespace_of_the_release(render: Render, situation: str) -> None:
    for one in render(situation):
        assert one["kind"] in NAMESPACED
        assert one["metadata"]["namespace"] == "there"
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "imgflow"


@every_situation
def test_pods_fit_the_restricted_level_and_hold_no_token(render: Render, situation: str) -> None:
    for pod in pod_specs(render(situation)):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any("hostPath" in volume for volume in pod["volumes"])
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert_counted(container)


def assert_counted(container: dict[str, Any]) -> None:
    """A ResourceQuota on any of these admits the container."""
    for kind in ("requests", "limits"):
        assert {"cpu", "memory"} <= container["resources"][kind].keys(), f"{container['name']} has no {kind}"


@every_situation
def test_every_container_that_argo_adds_to_a_pod_names_what_a_quota_asks_for(render: Render, situation: str) -> None:
    spec = named(render(situation), "WorkflowTemplate", "imgflow")["spec"]
    patch = yaml.safe_load(spec["podSpecPatch"])
    assert {one["name"] for one in (*patch["initContainers"], *patch["containers"])} == {"init", "wait"}
    for container in (*patch["initContainers"], *patch["containers"]):
        assert_counted(container)
    for leaf in spec["templates"]:
        if "container" in leaf:
            assert_counted({"name": leaf["name"], **leaf["container"]})


def test_what_argo_s_own_containers_get_is_a_value(render: Render) -> None:
    limit = "executor.resources.limits.memory=1Gi"
    given, left = (render("default", "--set", value) for value in (limit, "executor.resources=null"))
    [patch, bare] = (
        yaml.safe_load(named(objects, "WorkflowTemplate", "imgflow")["spec"]["podSpecPatch"])
        for objects in (given, left)
    )
    assert [one["resources"]["limits"]["memory"] for one in (*patch["initContainers"], *patch["containers"])] == [
        "1Gi",
        "1Gi",
    ]
    assert not any("resources" in one for one in (*bare["initContainers"], *bare["containers"]))


@every_situation
def test_secrets_stand_in_the_secret_only(render: Render, situation: str) -> None:
    objects = render(situation)
    secrets = [value for one in objects if one["kind"] == "Secret" for value in one.get("stringData", {}).values()]
    password = [value for value in secrets if value != "imgflow"]
    elsewhere = json.dumps([one for one in objects if one["kind"] != "Secret"])
    assert not any(value in elsewhere for value in password)


@every_situation
def test_argo_keeps_artifacts_where_pods_find_the_store(render: Render, situation: str) -> None:
    objects = render(situation)
    store = named(objects, "ConfigMap", "imgflow-store")["data"]
    repository = yaml.safe_load(named(objects, "ConfigMap", "artifact-repositories")["data"]["imgflow"])
    scheme = "http" if repository["s3"]["insecure"] else "https"
    assert store["AWS_ENDPOINT_URL"] == f"{scheme}://{repository['s3']['endpoint']}"
    assert store["IMGFLOW_STORE"] == f"s3://{repository['s3']['bucket']}"
    assert store["AWS_REGION"] == repository["s3"]["region"]
    assert repository["archiveLogs"] is True


@pytest.mark.parametrize("bucket", ["20260101", "0189", "1e3", "off"])
def test_a_bucket_may_be_called_as_a_number_or_a_truth_is(render: Render, bucket: str) -> None:
    objects = render("default", "--set-string", f"store.bucket={bucket}")

    assert f'bucket: "{bucket}"' in named(objects, "ConfigMap", "artifact-repositories")["data"]["imgflow"]


def test_every_step_has_a_limit_of_how_many_run_at_once(render: Render) -> None:
    limits = named(render("gpu"), "ConfigMap", "imgflow-limits")["data"]
    assert limits.keys() == {"list", *(step.home for step in PIXEL_STEPS.values()), "fused", "cuda", "collect"}
    assert limits["cuda"] == "2"


def test_pods_of_runs_may_only_report_to_argo(render: Render) -> None:
    [role] = [one for one in render() if one["kind"] == "Role"]
    assert role["rules"] == [
        {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]}
    ]


def test_without_credentials_minio_gets_a_long_password_of_its_own(render: Render) -> None:
    installs = (render("default", "-n", namespace) for namespace in ("one", "another"))
    first, second = (named(one, "Secret", "imgflow-s3")["stringData"]["AWS_SECRET_ACCESS_KEY"] for one in installs)
    assert len(first) == 40
    assert first != second


def test_an_existing_secret_is_used_and_not_made(render: Render) -> None:
    kinds = {one["kind"] for one in render("existing-secret")}
    assert not kinds & {"Secret", "Deployment", "Job"}


def test_a_volume_outlives_the_release(render: Render) -> None:
    claim = named(render("persistent-minio"), "PersistentVolumeClaim", "imgflow-minio")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"]["storageClassName"] == "fast"


def test_a_server_that_would_lose_everything_is_never_evicted_for_a_lost_node(render: Render) -> None:
    deployment = named(render(), "Deployment", "imgflow-minio")
    tolerated = {one["key"]: one for one in deployment["spec"]["template"]["spec"]["tolerations"]}
    assert "tolerationSeconds" not in tolerated["node.kubernetes.io/unreachable"]
    assert named(render(), "PodDisruptionBudget", "imgflow-minio")["spec"]["maxUnavailable"] == 0


def test_a_server_whose_data_stay_lets_its_node_be_drained(render: Render) -> None:
    objects = render("persistent-minio")
    assert not [one for one in objects if one["kind"] == "PodDisruptionBudget"]
    assert named(objects, "Deployment", "imgflow-minio")["spec"]["template"]["spec"]["tolerations"] is None


def test_policies_let_steps_reach_the_store_whether_it_is_ours_or_not(render: Render) -> None:
    ours = named(render("network-policy"), "NetworkPolicy", "imgflow-steps")["spec"]["egress"][-1]
    assert ours["ports"] == [{"port": 9000, "protocol": "TCP"}]
    assert ours["to"]
    other = named(render("external-s3", "--set", "networkPolicy.enabled=true"), "NetworkPolicy", "imgflow-steps")
    assert other["spec"]["egress"][-1] == {"ports": [{"port": 443, "protocol": "TCP"}]}


def test_a_webhook_s_address_is_a_secret_and_collect_alone_may_reach_it(render: Render) -> None:
    objects = render("notify")
    secret = named(objects, "Secret", "imgflow-notify")["stringData"]
    assert secret["IMGFLOW_NOTIFY_URL"] == "https://chat.example.org:8443/hooks/a-secret-path"
    assert secret["IMGFLOW_NOTIFY_SECRET"] == "a-signing-key"
    policy = named(objects, "NetworkPolicy", "imgflow-notify")["spec"]
    assert policy["podSelector"]["matchLabels"]["imgflow.io/step"] == "collect"
    assert policy["egress"] == [{"ports": [{"port": 8443, "protocol": "TCP"}]}]
    assert not [one for one in render() if one["metadata"]["name"] == "imgflow-notify"]


def test_other_credentials_leave_a_pod_whose_data_would_go_with_it_and_replace_any_other(render: Render) -> None:
    def pod(situation: str, password: str) -> Any:
        objects = render(situation, "--set", f"store.accessKey=imgflow,store.secretKey={password}")
        deployment = named(objects, "Deployment", "imgflow-minio")
        mark = deployment["metadata"]["annotations"]["imgflow.io/pod"]
        return mark, deployment["spec"]["template"]

    assert pod("default", "a-password") == pod("default", "another-one")
    assert pod("persistent-minio", "a-password") != pod("persistent-minio", "another-one")
    assert len({pod(situation, "a-password")[0] for situation in ("default", "persistent-minio")}) == 2


def test_what_the_store_keeps_its_data_on_is_told_to_its_users(render: Render) -> None:
    for situation, kept in (("default", "emptyDir"), ("persistent-minio", "pvc"), ("external-s3", None)):
        metadata = named(render(situation), "ConfigMap", "imgflow-store")["metadata"]
        assert metadata.get("annotations", {}).get("imgflow.io/persistence") == kept


def test_container_images_come_from_where_the_values_say(render: Render) -> None:
    [pod] = [pod for pod in pod_specs(render("registry")) if pod["containers"][0]["name"] == "bucket"]
    assert pod["containers"][0]["image"] == "registry.example.org/team/imgflow-list:0.1.0"
    assert pod["containers"][0]["imagePullPolicy"] == "Always"


@pytest.mark.parametrize(
    "wrong",
    [
        *("misspelt=1", "store.buckt=x", "minio.persistence.kind=pvc", "steps.blur.atOnce=1", "steps.scale.atonce=1"),
        *("containers.name=x", "networkPolicy.on=true", "steps.scale.resources.limit.cpu=1"),
        *("store.bucket=Not_a_Bucket", "store.endpoint=minio:9000", "steps.infer.gpus=-1", "store.secretKey=short"),
        *("notify.url=chat.example.org", "notify.uri=https://x", "monitoring.alert.enabled=true"),
    ],
)
def test_values_that_mean_nothing_are_refused_by_name(helm: Helm, wrong: str) -> None:
    done = helm("template", str(CHART), "--api-versions", ARGO, "--set", wrong)
    assert done.returncode
    place = wrong.partition("=")[0].split(".")
    assert any(part in done.stderr for part in place[-2:])


def test_the_schema_knows_every_value_and_allows_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())

    def check(values: Any, rule: dict[str, Any], place: str) -> None:
        if reference := rule.get("$ref"):
            rule = schema["$defs"][reference.rpartition("/")[2]]
        if not isinstance(values, dict) or "properties" not in rule:
            return
        assert rule["additionalProperties"] is False, place
        for name, value in values.items():
            check(value, rule["properties"][name], f"{place}.{name}")

    check(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "values")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ([], "kubectl apply --server-side -n argo -f https://"),
        (["--api-versions", ARGO, "--set", "minio.enabled=false"], "name the URL of an S3 server in store.endpoint"),
        (["--api-versions", ARGO, "--set", "store.endpoint=https://s3.example.org"], "minio.enabled=false"),
        (
            ["--api-versions", ARGO, "--set", "minio.enabled=false,store.endpoint=https://s3.example.org"],
            "store.existingSecret=imgflow-s3",
        ),
        (["--api-versions", ARGO, "--set", "store.webIdentity=true"], "Name the server in store.endpoint"),
        (["--api-versions", ARGO, "--set", "minio.persistence.type=hostPath"], "minio.persistence.path"),
        (["--api-versions", ARGO, "--set", "monitoring.alerts.enabled=true"], "no Prometheus operator"),
    ],
    ids=["no Argo", "no store", "two stores", "no credentials", "no server", "no path", "no operator"],
)
def test_what_cannot_work_is_refused_with_what_would(helm: Helm, flags: list[str], says: str) -> None:
    done = helm("template", str(CHART), *flags)
    assert done.returncode
    assert says in done.stderr


def test_where_pods_have_a_role_no_key_is_stored_and_argo_has_none_either(render: Render) -> None:
    objects = render("web-identity")
    artifacts = yaml.safe_load(named(objects, "ConfigMap", "artifact-repositories")["data"]["imgflow"])["s3"]

    assert "data" not in (secret := named(objects, "Secret", "imgflow-s3"))
    assert "stringData" not in secret
    assert named(objects, "ServiceAccount", "imgflow")["metadata"]["annotations"] == {
        "eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/imgflow"
    }
    assert artifacts["useSDKCreds"] is True
    assert "accessKeySecret" not in artifacts


@every_situation
def test_the_doctor_finds_nothing_in_the_template_of_any_situation(render: Render, situation: str) -> None:
    template = named(render(situation), "WorkflowTemplate", "imgflow")
    ours = workflow_template(DEFAULT, options_of(template))["spec"]
    assert list(differences(ours, template["spec"])) == []
