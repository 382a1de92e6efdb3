"""What is handed to a cluster, as YAML; and runs that a cluster starts by itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests import clusters

from imgflow_cli.commands import submit
from imgflow_steps.records.run import Run
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cli, Outcome

IMAGES = ("--prefix", "localhost/imgflow-", "--tag", "dev")  # as the chart has them that nobody has changed
CHART = Path(__file__).parents[2] / "charts/imgflow/files/workflowtemplate.yaml"


def parameters(spec: dict[str, Any]) -> dict[str, str]:
    return {parameter["name"]: parameter.get("value", "") for parameter in spec["arguments"]["parameters"]}


def images(spec: dict[str, Any]) -> set[str]:
    return {template["container"]["image"] for template in spec["templates"] if "container" in template}


def parsed(done: Outcome) -> Any:
    assert done.code == 0, done.err
    return yaml.safe_load(done.out)


def test_without_a_municipality_it_is_the_template_of_the_chart(imgflow: Cli) -> None:
    assert imgflow("render", *IMAGES).out == CHART.read_text(encoding="utf-8")


def test_with_a_municipality_it_is_a_workflow_that_says_all_by_itself(imgflow: Cli) -> None:
    flags = ("--set", "scale.width=99", "--shard-size", "7", "--max-rejected", "5", "--prefix", "r.example/x-")

    document = parsed(imgflow("render", "-m", "Östra Göinge", *flags, "--tag", "1.2"))

    assert (document["kind"], document["metadata"]["generateName"]) == ("Workflow", "ostra-goinge-")
    told = parameters(document["spec"])
    assert (told["municipality"], told["shard-size"]) == ("%C3%96stra%20G%C3%B6inge", "7")
    assert (told["layout"], told["max-rejected"]) == ("auto", "5")
    assert "r.example/x-scale:1.2" in images(document["spec"])
    assert '"width":99' in str(document).replace(" ", "")


@pytest.mark.parametrize("name", ["09162000", "1e3", "0189", "0o17", "0X1F", "y", "n", "2024"])
def test_a_municipality_that_looks_like_a_number_or_a_truth_is_text_for_kubectl(imgflow: Cli, name: str) -> None:
    lines = [line.strip() for line in imgflow("render", *IMAGES, "-m", name).out.splitlines()]

    assert f"value: '{name}'" in lines
    assert f"imgflow.io/municipality: '{name.lower()}'" in lines


def test_a_name_and_a_namespace_are_in_it_only_when_they_are_given(imgflow: Cli) -> None:
    bare = parsed(imgflow("render", *IMAGES, "-m", "Demo"))["metadata"]
    named = parsed(imgflow("render", *IMAGES, "-m", "Demo", "--name", "first", "-n", "photos"))["metadata"]

    assert not bare.keys() & {"name", "namespace"}
    assert (named["name"], named["namespace"]) == ("first", "photos")
    assert parsed(imgflow("render", *IMAGES, "--name", "portraits"))["metadata"]["name"] == "portraits"


def test_what_is_asked_of_a_template_becomes_its_defaults(imgflow: Cli) -> None:
    document = parsed(
        imgflow("render", *IMAGES, "--nodes", "8", "--max-rejected", "5%", "--source", "s3://archive/2024")
    )

    told = parameters(document["spec"])
    assert (told["nodes"], told["max-rejected"], told["source"]) == ("8", "5%", "s3%3A%2F%2Farchive%2F2024")
    assert "value" not in document["spec"]["arguments"]["parameters"][0]  # the municipality's: it has to be given


def test_a_schedule_is_named_after_its_municipality_every_time(imgflow: Cli) -> None:
    first, again = (parsed(imgflow("render", *IMAGES, "-m", "Demo", "--cron", "0 3 * * *")) for _ in range(2))
    another = parsed(imgflow("render", *IMAGES, "-m", "demo", "--cron", "0 3 * * *"))

    assert (first["kind"], first["spec"]["schedules"]) == ("CronWorkflow", ["0 3 * * *"])
    assert first == again
    assert first["metadata"]["name"] != another["metadata"]["name"]
    assert imgflow("render", "--cron", "0 3 * * *").code == 2


def test_a_file_that_a_parameter_names_has_to_come_into_the_store(imgflow: Cli) -> None:
    Path("labels.txt").write_text("one\n")
    digest = hashlib.sha256(b"one\n").hexdigest()

    done = imgflow("render", *IMAGES, "--set", "infer.labels=labels.txt")

    assert f"the store must hold models/{digest}.txt, which is labels.txt here" in done.err
    assert f"models/{digest}.txt" in done.out


def test_no_store_and_no_cluster_are_asked(imgflow: Cli) -> None:
    assert imgflow("render", *IMAGES, "-m", "Nobody yet").code == 0
    assert list(Path().iterdir()) == []


TEMPLATE = "/apis/argoproj.io/v1alpha1/namespaces/city/workflowtemplates/imgflow"


def installed(api: clusters.Api) -> None:
    """A chart that takes its container images from elsewhere and gives pods more memory."""
    template = yaml.safe_load(CHART.read_text(encoding="utf-8").replace("localhost/imgflow-", "r.example/city/x-"))
    template["metadata"]["namespace"] = "city"
    for one in template["spec"]["templates"]:
        if "container" in one:
            one["container"]["image"] = one["container"]["image"].replace(":dev", ":2.0")
            one["container"]["resources"]["limits"]["memory"] = "7Gi"
    api.answers[TEMPLATE] = template


def test_container_images_and_resources_are_those_of_the_chart_that_is_there(
    imgflow: Cli, cluster_api: clusters.Api
) -> None:
    installed(cluster_api)

    spec = parsed(imgflow("render", "-m", "Demo", "-n", "city"))["spec"]
    other = parsed(imgflow("render", "-m", "Demo", "-n", "city", "--tag", "2.1"))["spec"]

    leaves = [one["container"] for one in spec["templates"] if "container" in one]
    assert "r.example/city/x-scale:2.0" in images(spec)
    assert {one["resources"]["limits"]["memory"] for one in leaves} == {"7Gi"}
    assert "r.example/city/x-scale:2.1" in images(other)


def test_without_a_chart_and_without_flags_no_image_is_guessed(imgflow: Cli, cluster_api: clusters.Api) -> None:
    done = imgflow("render", "-m", "Demo", "-n", "city")

    assert done.code == 2
    assert done.out == ""
    assert "namespace city has no WorkflowTemplate imgflow" in done.err
    assert "--prefix and --tag" in done.err


def test_without_a_cluster_no_image_is_guessed(imgflow: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))

    done = imgflow("render", "-m", "Demo")

    assert done.code in {2, 5}
    assert done.out == ""
    assert "--prefix and --tag" in done.err


@pytest.fixture
def cluster_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[clusters.Api]:
    """A cluster without a chart."""
    with clusters.api(tmp_path) as known:
        clusters.use(known.kubeconfig, monkeypatch)
        yield known


class Scheduler:
    """The argo engine, as far as schedules go."""

    detached = True

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
