"""What is handed to a cluster, as YAML; and runs that a cluster starts by itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from imgflow_cli.commands import submit
from imgflow_steps.run import Run
from imgflow_steps.store import Store

if TYPE_CHECKING:
    import pytest
    from tests.cli.conftest import Cli, Outcome

CHART = Path(__file__).parents[2] / "charts/imgflow/files/workflowtemplate.yaml"


def parameters(spec: dict[str, Any]) -> dict[str, str]:
    return {parameter["name"]: parameter.get("value", "") for parameter in spec["arguments"]["parameters"]}


def images(spec: dict[str, Any]) -> set[str]:
    return {template["container"]["image"] for template in spec["templates"] if "container" in template}


def parsed(done: Outcome) -> Any:
    assert done.code == 0, done.err
    return yaml.safe_load(done.out)


def test_without_a_municipality_it_is_the_template_of_the_chart(imgflow: Cli) -> None:
    assert imgflow("render").out == CHART.read_text(encoding="utf-8")


def test_with_a_municipality_it_is_a_workflow_that_says_all_by_itself(imgflow: Cli) -> None:
    flags = ("--set", "scale.width=99", "--shard-size", "7", "--max-rejected", "5", "--prefix", "r.example/x-")

    document = parsed(imgflow("render", "-m", "Östra Göinge", *flags, "--tag", "1.2"))

    assert (document["kind"], document["metadata"]["generateName"]) == ("Workflow", "ostra-goinge-")
    told = parameters(document["spec"])
    assert (told["municipality"], told["shard-size"]) == ("%C3%96stra%20G%C3%B6inge", "7")
    assert (told["layout"], told["max-rejected"]) == ("auto", "5")
    assert "r.example/x-scale:1.2" in images(document["spec"])
    assert '"width":99' in str(document).replace(" ", "")


def test_a_name_and_a_namespace_are_in_it_only_when_they_are_given(imgflow: Cli) -> None:
    bare = parsed(imgflow("render", "-m", "Demo"))["metadata"]
    named = parsed(imgflow("render", "-m", "Demo", "--name", "first", "-n", "photos"))["metadata"]

    assert not bare.keys() & {"name", "namespace"}
    assert (named["name"], named["namespace"]) == ("first", "photos")
    assert parsed(imgflow("render", "--name", "portraits"))["metadata"]["name"] == "portraits"


def test_what_is_asked_of_a_template_becomes_its_defaults(imgflow: Cli) -> None:
    document = parsed(imgflow("render", "--nodes", "8", "--max-rejected", "5%", "--source", "s3://archive/2024"))

    told = parameters(document["spec"])
    assert (told["nodes"], told["max-rejected"], told["source"]) == ("8", "5%", "s3%3A%2F%2Farchive%2F2024")
    assert "value" not in document["spec"]["arguments"]["parameters"][0]  # the municipality's: it has to be given


def test_a_schedule_is_named_after_its_municipality_every_time(imgflow: Cli) -> None:
    first, again = (parsed(imgflow("render", "-m", "Demo", "--cron", "0 3 * * *")) for _ in range(2))
    another = parsed(imgflow("render", "-m", "demo", "--cron", "0 3 * * *"))

    assert (first["kind"], first["spec"]["schedules"]) == ("CronWorkflow", ["0 3 * * *"])
    assert first == again
    assert first["metadata"]["name"] != another["metadata"]["name"]
    assert imgflow("render", "--cron", "0 3 * * *").code == 2


def test_a_file_that_a_parameter_names_has_to_come_into_the_store(imgflow: Cli) -> None:
    Path("labels.txt").write_text("one\n")
    digest = hashlib.sha256(b"one\n").hexdigest()

    done = imgflow("render", "--set", "infer.labels=labels.txt")

    assert f"the store must hold models/{digest}.txt, which is labels.txt here" in done.err
    assert f"models/{digest}.txt" in done.out


def test_no_store_and_no_cluster_are_asked(imgflow: Cli) -> None:
    assert imgflow("render", "-m", "Nobody yet").code == 0
    assert list(Path().iterdir()) == []


class Scheduler:
    """The argo engine, as far as schedules go."""

    def __init__(self) -> None:
        self.schedules: list[tuple[str, str, Run]] = []

    def schedule(self, name: str, cron: str, run: Run) -> None:
        self.schedules.append((name, cron, run))


def test_a_schedule_is_kept_by_the_cluster_and_nothing_runs_now(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Scheduler()
    monkeypatch.setattr(submit, "open_argo", lambda *_: engine)
    Path("labels.txt").write_text("one\n")
    asked = ("submit", "-m", "Demo", "--engine", "argo", "--store", "./.imgflow", "--cron", "@daily")

    done = imgflow(*asked, "--run", "nightly", "--set", "infer.labels=labels.txt", "-o", "json")
    again = imgflow(*asked, "-o", "name")

    assert (done.json["schedule"], done.json["cron"], done.json["municipality"]) == ("nightly", "@daily", "Demo")
    assert "delete cronworkflow nightly" in done.err
    assert [(name, cron) for name, cron, _ in engine.schedules] == [
        ("nightly", "@daily"),
        (again.out.strip(), "@daily"),
    ]
    assert demo.stat(str(engine.schedules[0][2].pipeline.steps[2].params.model_dump()["labels"]))
    assert not list(demo.entries("runs/"))


def test_only_a_cluster_keeps_schedules(imgflow: Cli, demo: Store) -> None:
    done = imgflow("submit", "-m", "Demo", "--cron", "@daily")

    assert done.code == 2
    assert "--engine argo" in done.err
