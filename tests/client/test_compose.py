"""compose.yaml, as far as it can be looked at without Docker; tests/containers starts what it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgflow_service import settings as service_settings
from imgflow_workflows.settings import resolve

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return services


def given(text: str) -> str:
    """A value where nobody has set its variable."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_it_is_a_compose_file() -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [check, "--builtin-schema", "vendor.compose-spec", "compose.yaml"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_nobody_else_reaches_it(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]

    assert len(ports) == 5
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_notebook_finds_the_store_by_the_settings_that_there_are(
    services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in services["notebook"]["environment"].items():
        monkeypatch.setenv(name, given(value))

    resolved = resolve({})

    assert resolved.settings.store == "s3://imgflow"
    assert resolved.settings.endpoint == "http://minio:9000"
    assert services["bucket"]["environment"].items() <= services["notebook"]["environment"].items()
    server, client = services["minio"]["environment"], services["notebook"]["environment"]
    assert server["MINIO_ROOT_USER"] == client["AWS_ACCESS_KEY_ID"]
    assert server["MINIO_ROOT_PASSWORD"] == client["AWS_SECRET_ACCESS_KEY"]


def test_minio_is_the_one_of_the_chart(services: dict[str, Any]) -> None:
    values = yaml.safe_load((ROOT / "charts/imgflow/values.yaml").read_text(encoding="utf-8"))
    template = (ROOT / "charts/imgflow/templates/_minio.tpl").read_text(encoding="utf-8")
    [arguments] = re.findall(r"args: (\[.*\])", template)

    assert services["minio"]["image"] == values["minio"]["image"]
    assert services["minio"]["command"] == yaml.safe_load(arguments)


def test_what_is_built_is_what_the_build_sees() -> None:
    dockerfile = ROOT / "images/notebook/Dockerfile"
    seen = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]

    assert "docs/notebook.ipynb" in sources
    assert "build/wheel/*.whl" in seen
    for source in set(sources) - {"build/wheel"}:  # which images/build makes
        assert (ROOT / source).exists()
        assert source in seen or re.sub(r"images/\w+/", "images/*/", source) in seen


def test_the_service_is_told_what_it_understands_and_its_processors_know_no_store(services: dict[str, Any]) -> None:
    told = {name: given(value) for name, value in services["api"]["environment"].items()}
    read = service_settings.load(environment=told)
    assert read.store == "s3://imgflow"
    assert read.api.processors == f"dns:///processor:{read.processor.port}"
    assert f"127.0.0.1:{read.api.port}:{read.api.port}" in services["api"]["ports"]
    assert f"127.0.0.1:{read.api.grpc_port}:{read.api.grpc_port}" in services["api"]["ports"]
    assert services["processor"]["scale"] >= 2
    assert "environment" not in services["processor"]
    longest = int(services["api"]["stop_grace_period"].removesuffix("s"))
    assert longest > read.drain.delay + read.drain.grace


def test_what_make_builds_is_what_compose_starts(services: dict[str, Any]) -> None:
    [built] = re.findall(r"images/build (api .+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    started = {one["image"] for one in services.values() if one["image"].startswith("localhost/")}
    assert started == {f"localhost/imgflow-{name}:dev" for name in built.split()}


def test_make_up_says_where_notebook_and_service_are(tmp_path: Path) -> None:
    log = "notebook-1  |     http://127.0.0.1:8888/lab?token=abc"
    compose = tmp_path / "compose"
    compose.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ "$1" != logs ] || echo "{log}"\n')
    compose.chmod(0o755)

    done = subprocess.run(
        ["make", "up", f"COMPOSE={compose}"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "notebook: http://127.0.0.1:8888/lab?token=abc\n" in done.stdout
    assert "service:  http://127.0.0.1:8080 (HTTP)" in done.stdout
    assert "up --detach --no-build" in (tmp_path / "asked").read_text()


def test_secrets_of_whoever_runs_it_are_not_in_it(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "KEY" in name or "TOKEN" in name:
                assert value.startswith("${")
