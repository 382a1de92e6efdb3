"""compose.yaml, as far as it can be looked at without Docker; tests/containers starts what it starts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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

    assert len(ports) == 3
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
    template = (ROOT / "charts/imgflow/templates/minio.yaml").read_text(encoding="utf-8")
    [arguments] = re.findall(r"args: (\[.*\])", template)

    assert services["minio"]["image"] == values["minio"]["image"]
    assert services["minio"]["command"] == yaml.safe_load(arguments)


def test_what_is_built_is_what_the_build_sees(services: dict[str, Any]) -> None:
    dockerfile = ROOT / services["notebook"]["build"]["dockerfile"]
    seen = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]

    assert "docs/notebook.ipynb" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert source in seen or re.sub(r"images/\w+/", "images/*/", source) in seen


def test_secrets_of_whoever_runs_it_are_not_in_it(services: dict[str, Any]) -> None:
    for service in services.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "KEY" in name or "TOKEN" in name:
                assert value.startswith("${")
