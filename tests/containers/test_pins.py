"""What the containers hold, as it is written down: no tool is needed to check it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from imgflow_steps.pipeline.registry import STEPS
from imgflow_workflows.doctor.machine import ONNX_RUNTIME

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "images"
CONTAINERS = sorted(path.parent.name for path in IMAGES.glob("*/requirements.in"))
PIN = re.compile(r"([a-z0-9.-]+)==(\S+)((?: --hash=sha256:[0-9a-f]{64})*)")

OF_THE_SERVICE = {  # and what their containers run
    "api": "imgflow_service.api",
    "processor": "imgflow_service.processor",
    "view": "imgflow_workflows.explorer",
}
SQL = {"duckdb", "pyarrow"}  # which only the page of all images needs

every_container = pytest.mark.parametrize("container", CONTAINERS)


def pins(container: str) -> dict[str, str]:
    text = (IMAGES / container / "requirements.txt").read_text().replace("\\\n", " ")
    lines = [" ".join(line.split()) for line in text.splitlines() if line and not line.startswith("#")]
    matches = [PIN.fullmatch(line) for line in lines]
    assert all(match and match[3] for match in matches), "every line is a version with hashes, and nothing else"
    return {match[1]: match[2] for match in matches if match}


def wanted(container: str) -> list[str]:
    return [name.lower() for name in (IMAGES / container / "requirements.in").read_text().split()]


def test_there_is_a_container_for_every_step_and_one_for_all() -> None:
    assert {step.home for step in STEPS.values()} | {"fused", *OF_THE_SERVICE} == set(CONTAINERS)
    assert {path.parent.name for path in IMAGES.glob("*/Dockerfile")} == {*CONTAINERS, "base", "notebook", "cuda"}


@pytest.mark.parametrize("container", [*CONTAINERS, "notebook", "cuda"])
def test_pins_have_hashes_and_name_no_index(container: str) -> None:
    assert pins(container)
    text = (IMAGES / container / "requirements.txt").read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@every_container
def test_pins_are_versions_that_the_project_allows(container: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    every = (*project["dependencies"], *extras["serve"], *extras["query"])
    bounds = {one.name.lower(): one.specifier for one in map(Requirement, every)}
    held = pins(container)
    for name in wanted(container):
        assert Version(held[name]) in bounds[name], f"{name} {held[name]}: run `make pins`"


@every_container
def test_no_container_sees_another_version_than_its_neighbour(container: str) -> None:
    widest = pins("fused") if container not in OF_THE_SERVICE else pins("api") | pins("fused")
    held = {name: version for name, version in pins(container).items() if container != "view" or name not in SQL}
    assert held.items() <= widest.items()
    assert all(pins("fused").get(name, version) == version for name, version in pins(container).items())


def test_the_notebook_sees_the_versions_that_runs_see() -> None:
    assert pins("fused").items() <= pins("notebook").items()


def test_the_container_for_cards_has_the_same_versions_and_the_other_onnx_runtime() -> None:
    held, fused = pins("cuda"), pins("fused")
    assert held["onnxruntime-gpu"] == fused.pop("onnxruntime")
    assert fused.items() <= held.items()
    assert all(name.startswith("nvidia-") for name in held.keys() - fused.keys() - {"onnxruntime-gpu"})


def test_doctor_compares_with_the_onnx_runtime_that_containers_hold() -> None:
    assert {pins(name).get("onnxruntime", ONNX_RUNTIME) for name in CONTAINERS} == {ONNX_RUNTIME}
    assert pins("infer")["onnxruntime"] == ONNX_RUNTIME, "write the pinned version into doctor/machine.py"


def test_a_container_holds_no_more_than_its_step_needs() -> None:
    for container in ("list", "collect"):
        assert not pins(container).keys() & {"pillow", "cykooz-resizer", "onnxruntime"}
    assert "numpy" not in pins("list")
    for container in ("scale", "grayscale"):
        assert "onnxruntime" not in pins(container)
    for container in CONTAINERS:
        assert not pins(container).keys() & {"hera", "typer", "rich", "kubernetes", "pyyaml"}
    assert not pins("processor").keys() & {"minio", "fastapi", "starlette", "celery", "redis"}
    assert "urllib3" not in pins("processor") or "opentelemetry-exporter-otlp-proto-http" in wanted("processor")
    assert not pins("api").keys() & {"onnxruntime", "opencv-python-headless"}


@every_container
def test_all_containers_are_built_alike(container: str) -> None:
    text = (IMAGES / container / "Dockerfile").read_text()
    alike = (IMAGES / "fused/Dockerfile").read_text()
    description = re.compile(r'description="[^"]+"')
    if container in OF_THE_SERVICE:
        text, _, rest = text.partition("EXPOSE " if container == "view" else "ENV ")
        assert f'ENTRYPOINT ["python", "-m", "{OF_THE_SERVICE[container]}"]' in rest
    assert description.sub("", text.replace(container, "fused")) == description.sub("", alike)
