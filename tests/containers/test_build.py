"""How container images are built: what the builder is told, with a builder that writes it down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIGEST = f"registry.example/python@sha256:{'a' * 64}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkout in which nothing is built, with a Python that makes an empty wheel."""
    shutil.copytree(ROOT / "images", tmp_path / "images")
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\n[ "$1" = -c ] || { echo "$@" >>pip; mkdir -p build/wheel; : >build/wheel/imgflow-1.2.3-py3.whl; }\n'
    )
    builder = tmp_path / "builder"
    builder.write_text('#!/bin/sh\necho "$@" >>built\n')
    for script in (python, builder):
        script.chmod(0o755)
    return tmp_path


def build(source: Path, **environment: str) -> tuple[list[str], str]:
    """The builder's command lines, and what people were told."""
    told = {"PATH": os.environ["PATH"], "BUILD": f"{source}/builder", "PYTHON": f"{source}/python", **environment}
    command = [str(source / "images/build"), "scale"]
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
    return (source / "built").read_text().splitlines(), done.stderr


def argument(line: str, name: str) -> str:
    [value] = re.findall(rf"--build-arg {name}=(\S+)", line)
    return str(value)


def test_every_container_image_begins_with_the_python_that_is_named_by_its_digest(source: Path) -> None:
    lines, warned = build(source, PYTHON_IMAGE=DIGEST, TAG="1.2.3")

    assert [line.split()[0] for line in lines] == ["localhost/imgflow-base:1.2.3", "localhost/imgflow-scale:1.2.3"]
    for line in lines:
        assert argument(line, "PYTHON_IMAGE") == DIGEST
        assert argument(line, "BASE") == "localhost/imgflow-base:1.2.3"
        assert f"--label org.opencontainers.image.base.name={DIGEST}" in line
    assert warned == ""


def test_a_release_from_a_tag_that_moves_is_warned_of_and_a_development_build_is_not(source: Path) -> None:
    _, nothing = build(source)
    lines, warned = build(source, TAG="1.2.3")

    assert nothing == ""
    assert argument(lines[-1], "PYTHON_IMAGE") == "docker.io/library/python:3.13-slim"
    assert "WARNING: 1.2.3 was built from docker.io/library/python:3.13-slim, a tag that moves" in warned
    assert "PYTHON_IMAGE=NAME@sha256:" in warned


@pytest.mark.parametrize("tool", ["podman", "buildah", "docker"])
def test_a_release_has_the_time_of_its_commit_and_a_development_build_the_clocks(source: Path, tool: str) -> None:
    for name, script in {
        tool: 'echo "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH $@" >>built',
        "git": "echo 1700000000",
    }.items():
        (source / "bin").mkdir(exist_ok=True)
        (source / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (source / "bin" / name).chmod(0o755)
    told = {"PATH": f"{source}/bin:{os.environ['PATH']}", "BUILD": "", "CONTAINER_TOOL": tool}

    lines, _ = build(source, **told)
    released, _ = build(source, **told, TAG="1.2.3", PYTHON_IMAGE=DIGEST)

    assert all(line.startswith("SOURCE_DATE_EPOCH= build -f ") for line in lines)
    stamp = "" if tool == "docker" else "--timestamp 1700000000 "
    assert [
        line for line in released[len(lines) :] if f"SOURCE_DATE_EPOCH=1700000000 build {stamp}-f " not in line
    ] == []
    assert len(released) == 2 * len(lines) == 4


def test_the_wheel_is_built_by_what_is_installed_already(source: Path) -> None:
    build(source)

    assert (source / "pip").read_text().split()[:5] == ["-m", "pip", "wheel", "--quiet", "--no-deps"]
    assert "--no-build-isolation" in (source / "pip").read_text()


def test_all_dockerfiles_begin_with_the_same_python() -> None:
    begins = {
        path: re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", path.read_text(), re.MULTILINE)
        for path in ROOT.glob("images/*/Dockerfile")
    }

    assert len(set(map(tuple, begins.values()))) == 1
    for path in begins:
        stages = re.findall(r"^FROM (\S+)", path.read_text(), re.MULTILINE)
        assert set(stages) <= {"${PYTHON_IMAGE}", "${BASE}"}
        assert stages[0] == "${PYTHON_IMAGE}"
