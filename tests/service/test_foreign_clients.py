"""Clients in other languages, written from the protos: the same bytes as a run, over HTTP and over gRPC."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests import photographs
from tests.services import SECONDS, Served

from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

CLIENTS = Path(__file__).parents[2] / "docs/clients"
PHOTO = photographs.jpeg(1, 1600, 1200)
GREY = {"steps": [{"scale": {"width": 1024, "height": 768}}, "grayscale"]}


@pytest.fixture(scope="module")
def go_client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("go")
    command = ["go", "build", "-o", str(folder / "client"), str(CLIENTS / "client.go")]
    subprocess.run(command, cwd=folder, env={**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}, check=True)
    return folder / "client"


@pytest.fixture(
    params=[
        pytest.param("go", marks=[pytest.mark.go, pytest.mark.thorough]),
        pytest.param("node", marks=pytest.mark.node),
    ]
)
def client(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "go":
        return [str(request.getfixturevalue("go_client"))]
    return ["node", str(CLIENTS / "client.mjs")]


@pytest.mark.parametrize("way", ["http", "grpc"])
def test_a_client_in_another_language_has_the_bytes_of_a_run(
    client: list[str], front: Served, tmp_path: Path, way: str
) -> None:
    (tmp_path / "in.jpg").write_bytes(PHOTO)
    command = [*client, way, front.url(way), str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode == 0, done.stderr
    [picture] = apply.process(PHOTO, parse(GREY)).pictures
    assert (tmp_path / "out.jpg").read_bytes() == picture.data


@pytest.mark.parametrize(("way", "words"), [("http", "415"), ("grpc", "unsupported-format")])
def test_a_client_in_another_language_is_told_what_is_wrong(
    client: list[str], front: Served, tmp_path: Path, way: str, words: str
) -> None:
    (tmp_path / "in.jpg").write_bytes(b"a letter")
    command = [*client, way, front.url(way), str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg")]

    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)

    assert done.returncode != 0
    assert words in done.stderr
    assert not (tmp_path / "out.jpg").exists()
