"""What SECURITY.md promises is held by tests that are there, and what is shipped by licences that were looked at."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from release import audit

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[str]:
    text = (ROOT / "SECURITY.md").read_text()
    table = text[text.index("| What comes from strangers") : text.index("What confines a computing process")]
    return [line for line in table.splitlines()[2:] if line]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip())
def test_every_threat_names_tests_that_are_there(row: str) -> None:
    named = NAMED.findall(row)

    assert named
    for path, name in named:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {name}"


def test_what_containers_hold_and_the_wheel_requires_is_under_licences_that_were_looked_at() -> None:
    assert audit.strange(audit.here(), audit.held()) == []
    assert audit.without_hash() == []


def test_a_licence_that_nobody_has_looked_at_is_found() -> None:
    class Found(Distribution):
        @property
        def metadata(self) -> Message:  # type: ignore[override]  # as importlib gives it
            about = Message()
            about["License-Expression"] = "MIT AND AGPL-3.0-only"
            return about

        def read_text(self, filename: str) -> str | None: ...
        def locate_file(self, path: object) -> Path: ...  # type: ignore[override,empty-body]

    [wrong] = audit.strange({"numpy": Found()}, {"numpy"})

    assert wrong.startswith("numpy: AGPL-3.0-only;")


def test_a_pin_without_a_hash_is_found_in_every_lock(tmp_path: Path) -> None:
    for place in ("images/list/requirements.txt", "release/locks/development.txt"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(f"# made\nminio==7.2 \\\n    --hash=sha256:{'0' * 64}\nnumpy==2.4\n")

    assert audit.without_hash(tmp_path) == [
        "images/list/requirements.txt: numpy==2.4 has no hash; run make pins",
        "release/locks/development.txt: numpy==2.4 has no hash; run make lock",
    ]


def test_container_images_that_others_may_replace_are_found_wherever_they_are_named(tmp_path: Path) -> None:
    digest = f"@sha256:{'a' * 64}"
    files = {
        "images/base/Dockerfile": "ARG PYTHON_IMAGE=docker.io/python:3.13\nFROM ${PYTHON_IMAGE} AS build\nFROM build\n",
        "images/list/Dockerfile": "ARG BASE=localhost/imgflow-base:dev\n"
        f"FROM --platform=linux/amd64 docker.io/python{digest} AS build\nFROM $BASE\n",
        "compose.yaml": "  minio:\n    image: quay.io/minio:latest\n  api:\n    image: &a localhost/imgflow-api:dev\n",
        "charts/imgflow/values.yaml": f"minio:\n  image: quay.io/minio:latest\nbroker:\n  image: valkey{digest}\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert audit.moving(tmp_path) == {
        "docker.io/python:3.13": ["images/base/Dockerfile"],
        "quay.io/minio:latest": ["charts/imgflow/values.yaml", "compose.yaml"],
    }


def test_of_this_project_the_images_without_a_digest_are_those_that_security_md_admits() -> None:
    admitted = (ROOT / "SECURITY.md").read_text()

    for image in audit.moving():
        assert f"`{image}`" in admitted, "pin it by a digest, or add it to what is not pinned"
