"""Clients of a cluster that are not beside it: in one of its pods, between two clusters, at the end of a bad line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import yaml
from tests import photographs, relays
from tests.cluster.conftest import TAG, ok, run
from tests.cluster.test_faults import wait_until
from tests.workflows.doctor.test_rights import role

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cluster.conftest import Place

pytestmark = pytest.mark.cluster

NOTEBOOK = f"localhost/imgflow-notebook:{TAG}"
NOBODY = "https://127.0.0.1:1"
CUT = 8.0  # seconds: longer than any pause between two looks at a run


def dataset(place: Place, images: int = 4) -> str:
    """A municipality of its own, with small photographs."""
    name = f"Client {uuid4().hex[:8]}"
    for i in range(images):
        place.store.write(f"{keys.images(name)}{i}.jpg", photographs.jpeg(i))
    return name


def kubeconfig() -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    return config


def pod(place: Place, name: str, account: str, command: list[str]) -> dict[str, Any]:
    """A pod that does one thing under the restricted Pod Security level, with what the notebook's container has."""
    secure = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    variables = {"IMGFLOW_ENGINE": "argo", "IMGFLOW_NAMESPACE": place.namespace}
    main = {
        "name": "main",
        "image": NOTEBOOK,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "workingDir": "/tmp",
        "securityContext": secure,
        "env": [{"name": name, "value": value} for name, value in variables.items()],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "serviceAccountName": account, "containers": [main]},
    }


@pytest.fixture
def insider(place: Place, tmp_path: Path) -> str:
    """A service account with the documented Role but for the right to forward a port."""
    rules = [rule for rule in role() if "pods/portforward" not in rule["resources"]]
    assert len(rules) < len(role())
    name = f"insider-{uuid4().hex[:8]}"
    file = tmp_path / "role.yaml"
    head = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}}
    file.write_text(yaml.safe_dump({**head, "rules": rules}))
    place.kubectl("apply", "-f", str(file))
    place.kubectl("create", "serviceaccount", name)
    place.kubectl("create", "rolebinding", name, f"--role={name}", f"--serviceaccount={place.namespace}:{name}")
    return name


@pytest.mark.nodes
@pytest.mark.notebook
def test_a_pod_is_a_client_without_a_kubeconfig_and_without_a_forwarded_port(
    place: Place, insider: str, tmp_path: Path
) -> None:
    ok(os.environ["IMGFLOW_CLUSTER"], "load", NOTEBOOK)
    municipality, name = dataset(place), f"inside-{uuid4().hex[:8]}"
    steps = ["--steps", "scale:32x32", "--layout", "fused"]
    command = ["python", "-m", "imgflow_cli", "submit", "--wait", "-m", municipality, "--run", name, *steps]
    file = tmp_path / "pod.json"
    file.write_text(json.dumps(pod(place, name, insider, command)))

    place.kubectl("create", "-f", str(file))
    phase = ""

    def has_ended() -> bool:
        nonlocal phase
        phase = place.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase}")
        return phase in {"Succeeded", "Failed"}

    wait_until(f"pod {name} has ended", has_ended)
    said = place.kubectl("logs", name)

    assert phase == "Succeeded", said
    assert "succeeded" in said
    assert place.summary(name)[1].counts.processed == 4


@pytest.fixture
def two_clusters(tmp_path: Path) -> dict[str, str]:
    """A kubeconfig whose current context is a cluster that is not there; ``here`` is the one that is."""
    config = kubeconfig()
    [context] = config["contexts"]
    context["name"] = "here"
    config["clusters"].append({"name": "gone", "cluster": {"server": NOBODY}})
    config["contexts"].append({"name": "elsewhere", "context": {**context["context"], "cluster": "gone"}})
    config["current-context"] = "elsewhere"
    file = tmp_path / "two"
    file.write_text(yaml.safe_dump(config))
    return {"KUBECONFIG": str(file)}


def test_of_two_clusters_the_one_is_asked_that_is_named(
    place: Place, two_clusters: dict[str, str], tmp_path: Path
) -> None:
    argo = {"engine": "argo", "namespace": place.namespace}
    contexts = {"city": {**argo, "kube_context": "here"}, "lost": {**argo, "kube_context": "elsewhere"}}
    (tmp_path / "imgflow.yaml").write_text(yaml.safe_dump({"contexts": contexts}))

    def ended(*flags: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "imgflow_cli", "ls", *flags],
            cwd=tmp_path,
            env={**os.environ, **two_clusters},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    flags = ("--engine", "argo", "--namespace", place.namespace)
    assert ended(*flags, "--kube-context", "here")[0] == 0
    assert ended("--context", "city")[0] == 0
    for given in (flags, ("--context", "lost")):
        code, said = ended(*given)
        assert code == 5
        assert "does not answer" in said


def test_a_line_that_is_cut_for_seconds_is_found_again_by_submit_and_by_what_it_forwards(
    place: Place, tmp_path: Path
) -> None:
    config, municipality, name = kubeconfig(), dataset(place), f"cut-{uuid4().hex[:8]}"
    [cluster] = config["clusters"]
    server = urlsplit(cluster["cluster"]["server"])
    assert server.hostname
    assert server.port
    with relays.line(server.hostname, server.port) as line, (tmp_path / "said").open("wb") as said:
        cluster["cluster"]["server"] = f"https://127.0.0.1:{line.port}"
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        where = {"IMGFLOW_ENGINE": "argo", "IMGFLOW_NAMESPACE": place.namespace, "KUBECONFIG": str(tmp_path / "config")}
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "IMGFLOW_"))}
        steps = ["--steps", "scale:32x32", "--layout", "fused"]
        client = subprocess.Popen(
            [sys.executable, "-m", "imgflow_cli", "submit", "--watch", "-m", municipality, "--run", name, *steps],
            env={**clean, **where},
            stdout=said,
            stderr=said,
        )
        try:
            wait_until(
                "a Workflow",
                lambda: (
                    client.poll() is not None
                    or run("kubectl", "-n", place.namespace, "get", "workflow", name).returncode == 0
                ),
            )
            time.sleep(2)  # it follows
            opened = line.cut()
            time.sleep(CUT)
            line.join()
            assert client.poll() is None, (tmp_path / "said").read_text()
            code = client.wait(300)
        finally:
            client.kill()
            client.wait()

    assert opened > 0
    assert code == 0, (tmp_path / "said").read_text() + place.kubectl("get", "workflow", name, "-o", "json")
    assert place.summary(name)[1].counts.processed == 4
