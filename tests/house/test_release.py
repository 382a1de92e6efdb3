"""A release: one version everywhere, and the same bytes from the same commit."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from release import build, sbom


def test_a_version_is_the_same_in_every_place_and_is_written_into_all(root: Path, tmp_path: Path) -> None:
    found = build.versions()
    assert len(set.union(*found.values())) == 1, found
    assert all(found.values())
    for name in build.PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, tmp_path / name)

    build.write_version("7.8.9", tmp_path)

    assert set(map(frozenset, build.versions(tmp_path).values())) == {frozenset({"7.8.9"})}
    before = (root / "pyproject.toml").read_text().splitlines()
    changed = [line for line in (tmp_path / "pyproject.toml").read_text().splitlines() if line not in before]
    assert changed == ['version = "7.8.9"']
    with pytest.raises(SystemExit, match="is not a version"):
        build.write_version("next", tmp_path)


@pytest.mark.thorough
def test_two_builds_have_the_same_bytes_and_hold_what_a_release_needs(tmp_path: Path) -> None:
    one, two = (build.build(tmp_path / name, images=["list", "fused"]) for name in ("one", "two"))

    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
    [version] = set.union(*build.versions().values())
    names = {path.relative_to(tmp_path / "one").as_posix() for path in one}
    assert names == {
        f"imgflow-{version}-py3-none-any.whl",
        f"imgflow-{version}.tar.gz",
        f"imgflow-{version}.tgz",
        f"sbom/imgflow-{version}.cdx.json",
        f"sbom/imgflow-list-{version}.cdx.json",
        f"sbom/imgflow-fused-{version}.cdx.json",
        "SHA256SUMS",
    }
    for line in (tmp_path / "one/SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((tmp_path / "one" / name).read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(tmp_path / "one" / f"imgflow-{version}-py3-none-any.whl") as wheel:
        assert {"imgflow_cli/__main__.py", "imgflow/__init__.py", "imgflow_service/__init__.py"} <= set(
            wheel.namelist()
        )
    with tarfile.open(tmp_path / "one" / f"imgflow-{version}.tgz") as chart:
        packed = chart.getnames()
        assert packed[0] == "imgflow/Chart.yaml"
        assert not [name for name in packed if name.startswith("imgflow/ci")]
    listed = json.loads((tmp_path / "one/sbom" / f"imgflow-list-{version}.cdx.json").read_text())
    assert {"minio", "pydantic"} <= {component["name"] for component in listed["components"]}


def test_the_sbom_of_a_wheel_names_all_that_it_requires_with_licences_and_is_the_same_each_time(
    root: Path, tmp_path: Path
) -> None:
    wheel = tmp_path / "imgflow-1.2.3-py3-none-any.whl"
    wheel.write_bytes(b"one")

    text = sbom.of_wheel(wheel, "1.2.3", 1_700_000_000)

    assert sbom.of_wheel(wheel, "1.2.3", 1_700_000_000) == text
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    said = json.loads(text)
    itself = said["metadata"]["component"]
    assert (itself["purl"], itself["licenses"]) == ("pkg:pypi/imgflow@1.2.3", [{"license": {"id": "Apache-2.0"}}])
    assert itself["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"one").hexdigest()}]
    assert said["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    named = {one["bom-ref"]: one["name"] for one in said["components"]}
    needs = {one["ref"]: {named[ref] for ref in one.get("dependsOn", [])} for one in said["dependencies"]}
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert needs[itself["bom-ref"]] == {Requirement(one).name.lower() for one in project["dependencies"]}
    assert "flatbuffers" in next(of for ref, of in needs.items() if ref.startswith("pkg:pypi/onnxruntime@"))
    assert not {"pytest", "ruff"} & set(named.values())
    assert [one["name"] for one in said["components"] if not one.get("licenses")] == []
    wheel.write_bytes(b"two")
    assert json.loads(sbom.of_wheel(wheel, "1.2.3", 1_700_000_000))["serialNumber"] != said["serialNumber"]


def test_whoever_publishes_is_told_to_name_the_python_image_by_its_digest(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = build.steps("1.2.3")

    assert "TAG=1.2.3 PYTHON_IMAGE=docker.io/library/python@sha256:…" in said
    assert "WARNING: docker.io/library/python:3.13-slim is a tag that moves" in said
    text = (root / "images/base/Dockerfile").read_text()
    (tmp_path / "images/base").mkdir(parents=True)
    (tmp_path / "images/base/Dockerfile").write_text(text.replace(":3.13-slim", f":3.13-slim@sha256:{'a' * 64}"))
    monkeypatch.setattr(build, "ROOT", tmp_path)

    said = build.steps("1.2.3")

    assert f"PYTHON_IMAGE=docker.io/library/python@sha256:{'a' * 64}\n" in said
    assert "WARNING" not in said


def test_the_command_is_a_module_as_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "imgflow_cli", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("imgflow ")
