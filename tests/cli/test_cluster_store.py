"""A cluster is used by its name alone: where its store is, and who may use it, the chart tells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests import clusters, photographs
from tests.cli.conftest import IN_CITY

from imgflow_cli import app
from imgflow_cli.commands import submit
from imgflow_steps.records.run import Run
from imgflow_workflows.kube import port_forward
from imgflow_workflows.settings import PLACES, Settings

if TYPE_CHECKING:
    import pytest
    from tests.cli.conftest import Cli


def test_nothing_but_the_namespace_has_to_be_named(imgflow: Cli, api: clusters.Api, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/b.jpg").write_bytes(photographs.jpeg(1))

    assert imgflow("ls", "municipalities", *IN_CITY, "-o", "name").out == "Demo\n"
    assert imgflow("ingest", "more", "-m", "Demo", *IN_CITY).code == 0
    assert imgflow("plan", "-m", "Demo", *IN_CITY, "-o", "json").json["listing"]["listed"] == 2


def test_without_runs_the_next_command_is_one_that_pods_can_follow(imgflow: Cli, api: clusters.Api) -> None:
    done = imgflow("ls", *IN_CITY)

    assert "next: imgflow --engine argo --namespace city ingest DIR --municipality NAME\n" in done.err


def test_the_environment_is_left_as_it_was(imgflow: Cli, api: clusters.Api) -> None:
    before = dict(os.environ)

    assert imgflow("ls", *IN_CITY).code == 0

    assert dict(os.environ) == before


def test_flags_that_say_where_may_stand_before_the_command(imgflow: Cli, api: clusters.Api) -> None:
    before = imgflow(*IN_CITY, "config", "-o", "json").json

    assert before == imgflow("config", *IN_CITY, "-o", "json").json
    assert before["namespace"] == {"value": "city", "origin": "--namespace"}
    assert imgflow("--namespace", "village", "config", *IN_CITY, "-o", "json").json == before


def test_they_are_told_as_they_are() -> None:
    told = {parameter.name: parameter.help for parameter in app.group().params}

    assert {name: told[name] for name in PLACES} == {n: Settings.model_fields[n].description for n in PLACES}


def test_config_shows_what_the_chart_tells_but_no_secret(imgflow: Cli, api: clusters.Api) -> None:
    done = imgflow("config", *IN_CITY, "-o", "json")

    store = "ConfigMap imgflow-store in namespace city"
    assert [done.json[name]["origin"] for name in ("store", "endpoint", "region")] == [store] * 3
    assert done.json["credentials"] == {"value": "set", "origin": "Secret imgflow-s3 in namespace city"}
    assert all(value not in done.out for value in ("testing", "secret_key"))


def test_a_store_that_the_user_names_is_used_without_asking_the_cluster(imgflow: Cli, api: clusters.Api) -> None:
    shown = imgflow("config", *IN_CITY, "--store", "s3://mine", "-o", "json").json

    assert (shown["store"]["value"], shown["endpoint"]["value"], api.asked) == ("s3://mine", "", [])


def test_what_the_user_sets_wins_over_what_the_chart_tells(
    imgflow: Cli, api: clusters.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere:9000")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("IMGFLOW_REGION", "eu-north-1")

    shown = imgflow("config", *IN_CITY, "-o", "json").json

    assert shown["endpoint"] == {"value": "http://elsewhere:9000", "origin": "AWS_ENDPOINT_URL"}
    assert shown["region"] == {"value": "eu-north-1", "origin": "IMGFLOW_REGION"}
    assert shown["credentials"]["origin"] == "AWS_ACCESS_KEY_ID"
    assert api.asked == [clusters.config_map("city")]


def test_hints_lead_to_the_same_place(imgflow: Cli, api: clusters.Api, monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        name = "argo"
        detached = True
        place = "namespace city"

        def phase(self, run: str) -> None:
            """Not known here."""

        def submit(self, run: Run) -> None:
            """Somebody else's business."""

        def abandon(self) -> None:
            """Nothing of a run goes on here."""

    monkeypatch.setattr(submit, "open_engine", lambda *_: Elsewhere())

    done = imgflow("submit", "-m", "Demo", *IN_CITY, "--run", "mine")

    assert f"imgflow {' '.join(IN_CITY)} watch mine" in done.err


def test_a_cluster_that_does_not_answer_ends_with_5(imgflow: Cli, api: clusters.Api) -> None:
    api.answers = {clusters.config_map("city"): 500}

    done = imgflow("ls", *IN_CITY)

    assert done.code == 5
    assert "reading ConfigMap imgflow-store in namespace city" in done.err


def test_errors_name_the_store_and_not_the_port_that_leads_there(
    imgflow: Cli, api: clusters.Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def forwarded(endpoint: str, *, kube_context: str = "") -> Iterator[str]:
        yield endpoint.replace("//city:", "//127.0.0.1:")

    monkeypatch.setattr(port_forward, "reachable", forwarded)
    told = api.answers[clusters.config_map("city")]
    assert isinstance(told, dict)
    told["data"]["AWS_ENDPOINT_URL"] = told["data"]["AWS_ENDPOINT_URL"].replace("127.0.0.1", "city")
    told["data"]["IMGFLOW_STORE"] = "s3://nowhere"

    done = imgflow("ls", *IN_CITY)

    assert "bucket nowhere at http://city:" in done.err
    assert "127.0.0.1" not in done.err
