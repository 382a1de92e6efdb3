"""Settings: which source wins, and what a wrong one is answered with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgflow_service.settings import names
from imgflow_steps.store import Store
from imgflow_workflows import connect
from imgflow_workflows.kube import port_forward
from imgflow_workflows.settings import FLAGS, Settings, resolve, variable

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

PROJECT = """
context: laptop
workers: 3
contexts:
  laptop: {store: ./laptop, nodes: 5}
  cluster: {engine: argo, store: "s3://photos/a", endpoint: "http://localhost:9000", region: eu-west-1}
"""


@pytest.fixture
def project() -> Path:
    path = Path("imgflow.yaml")
    path.write_text(PROJECT)
    return path


def test_a_flag_beats_a_variable_beats_a_context_beats_the_file_beats_the_user_s_file_beats_the_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = Path(os.environ["XDG_CONFIG_HOME"]) / "imgflow" / "config.yaml"
    user.parent.mkdir(parents=True)
    user.write_text("workers: 9\nlayout: steps\n")
    monkeypatch.setenv("IMGFLOW_NAMESPACE", "from-variable")
    monkeypatch.setenv("IMGFLOW_ENGINE", "docker")

    resolved = resolve({"engine": "local"})

    assert resolved.settings.model_dump() == {
        **Settings().model_dump(),
        "engine": "local",
        "namespace": "from-variable",
        "store": "./laptop",
        "nodes": 5,
        "workers": 3,
        "layout": "steps",
    }
    assert resolved.origins == {
        **dict.fromkeys(Settings.model_fields, "default"),
        "engine": "--engine",
        "namespace": "IMGFLOW_NAMESPACE",
        "store": "imgflow.yaml (context laptop)",
        "nodes": "imgflow.yaml (context laptop)",
        "workers": "imgflow.yaml",
        "layout": str(user),
    }


def test_config_shows_each_value_with_its_origin(imgflow: Cli, project: Path) -> None:
    shown = imgflow("config", "--shard-size", "7", "-o", "json").json
    table = imgflow("config").out

    of_service = {f"serve.{name}" for name in names()}
    assert set(shown) == {"context", *Settings.model_fields, *of_service, "credentials"}
    assert shown["context"] == {"value": "laptop", "origin": "imgflow.yaml"}
    assert shown["shard_size"] == {"value": 7, "origin": "--shard-size"}
    assert ["store", "./laptop", "imgflow.yaml", "(context", "laptop)"] in [line.split() for line in table.splitlines()]


def test_settings_of_the_service_are_shown_without_its_keys(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("imgflow.yaml").write_text("serve:\n  width: 300\n  api: {inflight: 9}\n  keys: {shop: " + "a" * 64 + "}\n")
    monkeypatch.setenv("IMGFLOW_SERVE_API_INFLIGHT", "7")

    shown = imgflow("config", "-o", "json")

    assert shown.json["serve.width"] == {"value": 300, "origin": "serve.width of imgflow.yaml"}
    assert shown.json["serve.api.inflight"] == {"value": 7, "origin": "IMGFLOW_SERVE_API_INFLIGHT"}
    assert shown.json["serve.keys"]["value"] == "shop"
    assert "aaaa" not in shown.out


def test_a_context_is_chosen_by_flag_or_variable(imgflow: Cli, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_flag = imgflow("config", "--context", "cluster", "-o", "json").json
    monkeypatch.setenv("IMGFLOW_CONTEXT", "cluster")
    by_variable = imgflow("config", "-o", "json").json

    assert by_flag["store"]["value"] == by_variable["store"]["value"] == "s3://photos/a"
    assert by_variable["context"]["origin"] == "IMGFLOW_CONTEXT"


def test_s3_clients_are_told_the_endpoint_that_the_environment_does_not_say(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "from-environment")

    told = resolve({"context": "cluster"}).environment

    assert told == {"AWS_ENDPOINT_URL": "http://localhost:9000", "AWS_REGION": "from-environment"}


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        ("stroe: ./here", ["imgflow.yaml: there is no setting 'stroe'", "did you mean 'store'?"]),
        ("contexts: {a: {enigne: local}}", ["context a: there is no setting 'enigne'", "did you mean 'engine'?"]),
        ("context: labtop\ncontexts: {laptop: {}}", ["no context 'labtop' (imgflow.yaml)", "did you mean 'laptop'?"]),
        ("engine: kubernetes", ["engine from imgflow.yaml", "'local', 'docker' or 'argo'"]),
        ("workers: 0", ["workers from imgflow.yaml", "greater than or equal to 1"]),
        ("- a list", ["imgflow.yaml holds settings", "this is a list"]),
        ("a: {", ["imgflow.yaml cannot be read as YAML"]),
        ("store: 2026-13-45", ["imgflow.yaml cannot be read as YAML", "line 1, column 8", "month must be in 1..12"]),
        ("contexts: [a]", ["contexts holds"]),
        ("serve: [a]", ["serve holds settings"]),
        ("serve: {widht: 3}", ["serve.widht of imgflow.yaml: there is no setting", "did you mean 'width'?"]),
        ("serve: {api: {inflight: 0}}", ["serve.api.inflight of imgflow.yaml", "greater than or equal to 1"]),
    ],
)
def test_a_wrong_file_is_a_usage_error_that_names_the_place(imgflow: Cli, text: str, answers: list[str]) -> None:
    Path("imgflow.yaml").write_text(text)

    done = imgflow("config")

    assert done.code == 2
    assert all(answer in done.err for answer in answers), done.err


def test_a_wrong_variable_is_named(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGFLOW_WORKERS", "many")

    done = imgflow("ls")

    assert done.code == 2
    assert "workers from IMGFLOW_WORKERS" in done.err


VALUES = {"engine": "docker", "layout": "fused"}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_variable(imgflow: Cli, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    value = VALUES.get(name, "7")
    monkeypatch.setenv(variable(name), value)

    by_variable = imgflow("config", "-o", "json").json[name]

    assert (str(by_variable["value"]), by_variable["origin"]) == (value, variable(name))


@pytest.mark.parametrize("name", FLAGS)
def test_every_setting_but_those_of_an_s3_server_has_a_flag(imgflow: Cli, name: str) -> None:
    value = VALUES.get(name, "7")

    by_flag = imgflow("config", f"--{name.replace('_', '-')}", value, "-o", "json").json[name]

    assert (str(by_flag["value"]), by_flag["origin"]) == (value, f"--{name.replace('_', '-')}")


def test_a_store_inside_the_cluster_is_reached_while_a_command_runs(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    @contextmanager
    def reachable(endpoint: str, *, kube_context: str) -> Iterator[str]:
        seen.append(f"{endpoint} by {kube_context}")
        yield "http://127.0.0.1:4711"
        seen.append("closed")

    def open_there(_url: str) -> Store:
        seen.append(os.environ["AWS_ENDPOINT_URL"])
        return demo

    monkeypatch.setattr(port_forward, "reachable", reachable)
    monkeypatch.setattr(connect, "open_store", open_there)
    Path("imgflow.yaml").write_text(
        "engine: argo\nstore: s3://imgflow\nendpoint: http://minio.imgflow.svc:9000\nkube_context: city\n"
    )

    assert "Demo" in imgflow("ls", "municipalities").out
    assert seen == ["http://minio.imgflow.svc:9000 by city", "http://127.0.0.1:4711", "closed"]


def test_the_argo_engine_needs_a_store_that_pods_can_see(imgflow: Cli, demo: Store) -> None:
    done = imgflow("submit", "-m", "Demo", "--engine", "argo", "--store", "./.imgflow")

    assert done.code == 2
    assert "s3://BUCKET" in done.err


def test_config_names_the_means_by_which_keys_are_found(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    for name in ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        shown.append(imgflow("config", "-o", "json").json["credentials"]["origin"])
        monkeypatch.setenv(name, "some")
    shown.append(imgflow("config", "-o", "json").json["credentials"]["origin"])

    assert shown == ["default", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"]


def test_config_shows_the_endpoint_and_the_region_of_a_profile(
    imgflow: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aws").write_text("[profile lab]\nendpoint_url = http://127.0.0.1:9\nregion = eu-9\n")
    for name, value in {"AWS_PROFILE": "lab", "AWS_CONFIG_FILE": str(tmp_path / "aws")}.items():
        monkeypatch.setenv(name, value)

    shown = imgflow("config", "-o", "json").json

    assert shown["endpoint"] == {"value": "http://127.0.0.1:9", "origin": "profile lab"}
    assert shown["region"] == {"value": "eu-9", "origin": "profile lab"}


def test_config_shows_what_is_set_also_where_the_profile_is_not_there(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    assert imgflow("config", "--store", "s3://there").code == 0
