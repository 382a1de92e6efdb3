"""What developing and the wheel need is pinned with hashes, and the pins fit what pyproject.toml asks for."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from release import lock

PIN = re.compile(r"(\S+)==(\S+)(?: ; (.+?))?((?: --hash=sha256:[0-9a-f]{64})+)")
PYTHONS = {"3.11": "3.11.9", "3.12": "3.12.4", "3.13": "3.13.1"}

every_lock = pytest.mark.parametrize("name", list(lock.WANTED))
every_python = pytest.mark.parametrize("python", PYTHONS)


def machine(python: str, **more: str) -> dict[str, str]:
    environment = cast("dict[str, str]", default_environment())
    return {**environment, "python_version": python, "python_full_version": PYTHONS[python], **more}


def pins(text: str, environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name and version of what a lock installs there; raises AssertionError for a line without a hash."""
    lines = [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line and line[0] != "#"]
    matches = [PIN.fullmatch(line) for line in lines]
    assert all(matches), "every line is a version with hashes, and nothing else"
    held = [(Requirement(f"{match[1]}; {match[3]}" if match[3] else match[1]), match[2]) for match in matches if match]
    return [(one.name, version) for one, version in held if not one.marker or one.marker.evaluate(dict(environment))]


def group(groups: Mapping[str, Any], name: str) -> Iterator[str]:
    for one in groups[name]:
        if isinstance(one, str):
            yield one
        else:
            yield from group(groups, one["include-group"])


def asked(project: Mapping[str, Any], name: str) -> list[Requirement]:
    """What pyproject.toml asks for of what a lock is made of."""
    lines: list[str] = []
    for source in lock.WANTED[name]:
        kind, _, which = source.lstrip("-").partition("=")
        if kind == "extra":
            lines += project["project"]["optional-dependencies"][which]
        elif kind == "group":
            lines += group(project["dependency-groups"], which)
        else:
            lines += project["project"]["dependencies"]
    return [Requirement(line) for line in lines]


def misfits(project: Mapping[str, Any], name: str, text: str, environment: Mapping[str, str]) -> list[str]:
    """What is asked for and not pinned, or pinned to another version."""
    held = dict(pins(text, environment))
    wanted = [one for one in asked(project, name) if not one.marker or one.marker.evaluate(dict(environment))]
    found = [(one, held.get(canonicalize_name(one.name))) for one in wanted]
    return [
        f"{one}: {version or 'not pinned'}"
        for one, version in found
        if version is None or not one.specifier.contains(version, prereleases=True)
    ]


@every_lock
@every_python
def test_a_lock_fits_what_the_project_asks_for(root: Path, name: str, python: str) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())
    text = (root / f"release/locks/{name}.txt").read_text()

    assert misfits(project, name, text, machine(python)) == [], "run make lock"


@every_lock
@every_python
def test_a_lock_has_one_version_of_everything_with_hashes_and_names_no_index(
    root: Path, name: str, python: str
) -> None:
    text = (root / f"release/locks/{name}.txt").read_text()

    names = [of for of, _ in pins(text, machine(python))]

    assert names
    assert len(names) == len(set(names))
    assert "://" not in text
    assert "--index" not in text
    assert "--find-links" not in text


@every_python
def test_what_the_wheel_requires_is_what_tests_run_with(root: Path, python: str) -> None:
    developing = pins((root / "release/locks/development.txt").read_text(), machine(python))

    for name in ("wheel", "build"):
        assert set(pins((root / f"release/locks/{name}.txt").read_text(), machine(python))) <= set(developing)


def test_tests_run_with_the_opencv_that_ships(root: Path) -> None:
    names = {name for name, _ in pins((root / "release/locks/development.txt").read_text(), machine("3.12"))}

    assert {name for name in names if name.startswith("opencv")} == {"opencv-python-headless"}


def test_a_requirement_that_the_lock_does_not_have_yet_is_named() -> None:
    project = {"project": {"dependencies": ["numpy>=3", "Pillow", "colorama; sys_platform == 'win32'", "new_one"]}}
    held = "".join(f"{pin} \\\n    --hash=sha256:{'0' * 64}\n" for pin in ("numpy==2.4", "pillow==13.0"))

    assert misfits(project, "wheel", held, machine("3.12", sys_platform="linux")) == [
        "numpy>=3: 2.4",
        "new_one: not pinned",
    ]


def test_setting_up_installs_nothing_that_no_lock_pins(root: Path, tmp_path: Path) -> None:
    command = ["make", "--dry-run", f"VENV={tmp_path}/venv", "setup"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)

    installs = [line.partition(" install ")[2] for line in done.stdout.splitlines() if " pip install " in line]

    assert [line.partition("--requirement ")[2] for line in installs if "--require-hashes" in line] == [
        "release/locks/build.txt",
        "release/locks/development.txt",
    ]
    assert [line.rpartition("--ignore-requires-python ")[2] for line in installs if "--require-hashes" not in line] == [
        "--editable ."
    ]
    assert all("--no-deps --no-build-isolation" in line for line in installs)
