"""The chart on a real cluster, in a namespace that enforces the restricted Pod Security level."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from minio import Minio
from minio.error import S3Error
from tests.charts.conftest import CHART, Helm

from imgflow_steps.store.bucket import RULE

pytestmark = pytest.mark.cluster


def kubectl(*arguments: str) -> str:
    return subprocess.run(["kubectl", *arguments], capture_output=True, text=True, check=True, timeout=180).stdout


def get(namespace: str, *what: str) -> Any:
    return json.loads(kubectl("get", "-n", namespace, *what, "-o", "json"))


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"imgflow-chart-{uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def test_install_upgrade_uninstall(helm: Helm, namespace: str) -> None:
    flags = ("imgflow", str(CHART), "-n", namespace, "--wait", "--timeout", "180s")
    installed = helm("install", *flags)
    assert installed.returncode == 0, installed.stderr
    assert f"argo submit -n {namespace} --from workflowtemplate/imgflow" in installed.stdout

    secret = get(namespace, "secret", "imgflow-s3")["data"]
    user, password = (
        base64.b64decode(secret[f"AWS_{name}"]).decode() for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
    )
    [server] = get(namespace, "pods", "-l", "app.kubernetes.io/name=imgflow-minio")["items"]
    client = Minio(f"{server['status']['podIP']}:9000", access_key=user, secret_key=password, secure=False)
    [rule] = client.get_bucket_lifecycle("imgflow").rules
    assert (rule.rule_id, rule.rule_filter.prefix, rule.expiration.days) == (RULE, "scratch/", 3)

    upgraded = helm("upgrade", *flags, "--set", "steps.infer.atOnce=7,store.scratchDays=5")
    assert upgraded.returncode == 0, upgraded.stderr
    assert get(namespace, "configmap", "imgflow-limits")["data"]["infer"] == "7"
    assert get(namespace, "secret", "imgflow-s3")["data"] == secret
    assert client.get_bucket_lifecycle("imgflow").rules[0].expiration.days == 5

    assert helm("uninstall", "imgflow", "-n", namespace, "--wait").returncode == 0
    left = get(namespace, "all,configmap,secret,role,rolebinding,networkpolicy,workflowtemplate")["items"]
    assert {one["metadata"]["name"] for one in left if one["kind"] != "Pod"} <= {"kube-root-ca.crt"}


def test_a_server_on_an_emptydir_takes_new_credentials_and_loses_nothing(helm: Helm, namespace: str) -> None:
    flags = ("imgflow", str(CHART), "-n", namespace, "--wait", "--timeout", "180s")
    assert helm("install", *flags).returncode == 0
    [server] = get(namespace, "pods", "-l", "app.kubernetes.io/name=imgflow-minio")["items"]
    secret = get(namespace, "secret", "imgflow-s3")["data"]
    before = base64.b64decode(secret["AWS_SECRET_ACCESS_KEY"]).decode()

    def client(password: str) -> Minio:
        return Minio(f"{server['status']['podIP']}:9000", access_key="imgflow", secret_key=password, secure=False)

    client(before).put_object("imgflow", "photograph", BytesIO(b"all of it"), 9)

    rotated = helm("upgrade", *flags, "--reuse-values", "--set", "store.secretKey=another-password")

    assert rotated.returncode == 0, rotated.stderr
    [same] = get(namespace, "pods", "-l", "app.kubernetes.io/name=imgflow-minio")["items"]
    assert same["metadata"]["uid"] == server["metadata"]["uid"]
    assert client("another-password").get_object("imgflow", "photograph").data == b"all of it"
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        client(before).get_object("imgflow", "photograph")
    left = get(namespace, "secrets")["items"]
    assert "imgflow-s3-before" not in [one["metadata"]["name"] for one in left]

    for change in (
        "minio.resources.limits.memory=3Gi",
        "minio.enabled=false,store.endpoint=http://x:9000,store.accessKey=imgflow",
    ):
        refused = helm("upgrade", *flags, "--reuse-values", "--set", change)
        assert refused.returncode
        assert "NOTHING WAS CHANGED" in refused.stderr
    assert client("another-password").get_object("imgflow", "photograph").data == b"all of it"

    mark = refused.stderr.partition("minio.persistence.discard=")[2].split()[0]
    allowed = f"minio.resources.limits.memory=3Gi,minio.persistence.discard={mark}"
    assert helm("upgrade", *flags, "--reuse-values", "--set", allowed).returncode == 0


def test_pods_of_runs_may_do_nothing_but_report(helm: Helm, namespace: str) -> None:
    assert helm("install", "imgflow", str(CHART), "-n", namespace, "--no-hooks").returncode == 0

    def may(verb: str, what: str) -> bool:
        account = f"system:serviceaccount:{namespace}:imgflow"
        asked = ["kubectl", "auth", "can-i", verb, what, "-n", namespace, f"--as={account}"]
        return subprocess.run(asked, capture_output=True, check=False, timeout=60).returncode == 0

    assert may("create", "workflowtaskresults.argoproj.io")
    assert may("patch", "workflowtaskresults.argoproj.io")
    assert not any(may("get", what) for what in ("secrets", "configmaps", "pods", "workflows.argoproj.io"))
    assert not may("create", "pods")
