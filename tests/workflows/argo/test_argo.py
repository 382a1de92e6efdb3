"""What is handed to Argo, looked at as the YAML that it reads: Hera drops fields it does not know without a word.

``IMGFLOW_GOLDEN=rewrite pytest tests/workflows/argo/test_argo.py`` rewrites the golden files and the chart's template.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hera.workflows.converters import convert_memory_units

from imgflow_steps.__main__ import arguments
from imgflow_steps.collect import Collect
from imgflow_steps.contract.job import Exit
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run
from imgflow_steps.records.sharding import MAX_SHARDS, cut
from imgflow_steps.store import PATIENCE
from imgflow_steps.store.settings import S3Settings
from imgflow_steps.worker.memory import processes
from imgflow_workflows import argo
from imgflow_workflows.argo import Options, PodSettings
from imgflow_workflows.argo.template import RUN
from imgflow_workflows.submit.default import DEFAULT

GOLDEN = Path(__file__).parents[1] / "golden"
CHART = Path(__file__).parents[3] / "charts/imgflow/files/workflowtemplate.yaml"
OWN = parse({"steps": [{"scale": {"width": 64, "height": 64}}, "grayscale", {"scale": {"width": 8, "height": 8}}]})
HOSTILE = "{{=1+1}}'; rm -rf / #"

Document = dict[str, Any]


def a_run(municipality: str = "Östra Göinge", pipeline: Pipeline = DEFAULT, **fields: Any) -> Run:
    return Run(id="golden", municipality=municipality, pipeline=pipeline, **fields)


def in_the_cluster(pipeline: Pipeline = DEFAULT, **options: Any) -> Document:
    return argo.workflow_template(pipeline, Options(namespace="imgflow", **options))


def documents() -> dict[Path, Document]:
    there = in_the_cluster()
    nightly = a_run(source="s3://archive/2024 & before/", list=List(shard_size=7, layout="fused"))
    return {
        CHART: argo.workflow_template(DEFAULT),
        GOLDEN / "workflow.yaml": argo.workflow(a_run(), template=there),
        GOLDEN / "workflow-own-pipeline.yaml": argo.workflow(a_run(pipeline=OWN), template=there),
        GOLDEN / "cron-workflow.yaml": argo.cron_workflow("nightly", "0 3 * * *", nightly, template=there),
    }


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.stem)
def test_what_is_rendered_is_what_was_reviewed(path: Path) -> None:
    text = argo.to_yaml(documents()[path])
    if os.environ.get("IMGFLOW_GOLDEN") == "rewrite":
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def test_yaml_says_what_the_document_says() -> None:
    for document in documents().values():
        assert yaml.safe_load(argo.to_yaml(document)) == document


def templates(document: Document) -> dict[str, Document]:
    return {template["name"]: template for template in document["spec"]["templates"]}


def leaves(document: Document) -> dict[str, Document]:
    return {name: template for name, template in templates(document).items() if "container" in template}


def filled_in(args: list[str], values: dict[str, str]) -> list[str]:
    """As Argo does it, and Kubernetes for ``$(…)``: here a limit of two CPUs."""
    filled = [re.sub(r"\{\{([^}]+)\}\}", lambda match: values[match[1]], arg) for arg in args]
    return [re.sub(r"\$\(IMGFLOW_WORKERS\)", "2", arg) for arg in filled]


def test_every_container_gets_flags_that_its_entrypoint_takes() -> None:
    document = in_the_cluster()
    values = {
        f"workflow.parameters.{p['name']}": p.get("value", "") for p in document["spec"]["arguments"]["parameters"]
    }
    values |= {
        "workflow.parameters.municipality": "-Utrecht",
        "workflow.name": "r",
        "workflow.namespace": "n",
        "inputs.parameters.shard": "00017",
    }
    jobs = {n: arguments().parse_args(filled_in(t["container"]["args"], values)) for n, t in leaves(document).items()}
    assert {name: job.step for name, job in jobs.items()} == {
        "list": "list",
        "scale": "scale",
        "grayscale": "grayscale",
        "infer": "infer",
        "fused": "fused",
        "collect": "collect",
        "collect-last": "collect",
    }
    assert [jobs[n].position for n in ("scale", "grayscale", "infer")] == [1, 2, 3]
    assert {jobs[n].shard for n in ("scale", "grayscale", "infer", "fused")} == {17}
    assert jobs["scale"].workers == 2
    assert (jobs["list"].municipality, jobs["list"].layout, jobs["list"].max_rejected) == ("-Utrecht", "auto", "100%")
    assert (jobs["collect"].unless_done, jobs["collect-last"].unless_done) == (False, True)


def test_a_shard_goes_from_step_to_step_through_keys_that_name_the_run() -> None:
    given, taken = [], []
    for name in ("scale", "grayscale", "infer"):
        leaf = templates(in_the_cluster())[name]
        given += leaf.get("outputs", {}).get("artifacts", [])
        taken += leaf.get("inputs", {}).get("artifacts", [])
    shard = "{{inputs.parameters.shard}}"
    expected = [keys.scratch(RUN, position, 0).replace("00000", shard) for position in (1, 2)]
    assert [artifact["s3"] for artifact in given] == [artifact["s3"] for artifact in taken]
    assert [artifact["s3"] for artifact in given] == [{"key": key} for key in expected]
    assert all(artifact["archive"] == {"none": {}} for artifact in [*given, *taken])


def test_a_step_that_occurs_twice_has_a_template_of_its_own_each_time() -> None:
    document = in_the_cluster(OWN)
    assert [task["name"] for task in templates(document)["steps"]["dag"]["tasks"]] == [
        "scale-1",
        "grayscale",
        "scale-3",
    ]
    assert templates(document)["scale-3"]["container"]["image"] == "localhost/imgflow-scale:dev"
    assert templates(document)["scale-3"]["metadata"]["labels"] == {"imgflow.io/step": "scale"}


def test_collect_runs_however_the_shards_ended_and_either_layout_was_skipped() -> None:
    [collect] = [task for task in templates(in_the_cluster())["imgflow"]["dag"]["tasks"] if task["name"] == "collect"]
    for fan_out in ("steps", "fused"):
        for end in ("Succeeded", "Failed", "Errored", "Skipped"):
            assert f"{fan_out}.{end}" in collect["depends"]


def test_one_failed_shard_stops_no_other() -> None:
    dags = [template["dag"] for template in templates(in_the_cluster()).values() if "dag" in template]
    assert [dag["failFast"] for dag in dags] == [False, False]


@pytest.mark.parametrize("code", [Exit.TEMPORARY, Exit.REFUSED, 2, 64, 137, 139, 143, -1], ids=str)
def test_what_the_platform_failed_is_tried_again(code: int) -> None:
    assert not any(code in never for never in verdicts_that_stand())


@pytest.mark.parametrize("code", [Exit.BAD_PARAMETERS, Exit.IMAGES_FAILED, Exit.TOO_MANY_REJECTED], ids=str)
def test_what_a_second_try_would_not_change_is_not_tried_again(code: int) -> None:
    assert all(code in never for never in verdicts_that_stand())


def verdicts_that_stand() -> list[list[int]]:
    lists = []
    for name in leaves(in_the_cluster()):
        retry = leaves(in_the_cluster())[name]["retryStrategy"]
        assert retry["retryPolicy"] == "Always"  # any other leaves deleted pods alone
        refused = r"\(asInt\(lastRetry.exitCode\) == 77 && asInt\(retries\) > 0\)"  # in other words: a second time
        expression = rf"lastRetry.status == 'Error' \|\| !\(asInt\(lastRetry.exitCode\) in (\[.*\]) \|\| {refused}\)"
        found = re.fullmatch(expression, retry["expression"])
        assert found
        lists.append(json.loads(found[1]))
    return lists


def test_a_dag_is_never_tried_again_as_a_whole() -> None:
    assert not any("retryStrategy" in t for t in templates(in_the_cluster()).values() if "container" not in t)


def test_every_container_waits_for_a_store_that_is_away() -> None:
    patch = yaml.safe_load(in_the_cluster()["spec"]["podSpecPatch"])
    for container in (*patch["initContainers"], *patch["containers"]):
        tries = next(int(e["value"]) for e in container["env"] if e["name"] == "EXECUTOR_RETRY_BACKOFF_STEPS")
        assert 300 < sum(1.6**n for n in range(tries - 1)) < 1200  # seconds, as Argo's executor counts them
    for leaf in leaves(in_the_cluster()).values():
        environment = {e["name"]: e.get("value") for e in leaf["container"]["env"]}
        assert S3Settings.from_environment({PATIENCE: environment[PATIENCE]}).patience >= 300


def test_the_last_report_is_written_when_the_run_did_not_succeed() -> None:
    document = in_the_cluster()
    assert document["spec"]["onExit"] == "exit"
    [[step]] = templates(document)["exit"]["steps"]  # a dag is ended by `argo stop` before its pod has run
    assert (step["template"], step["when"]) == ("collect-last", "{{workflow.status}} != Succeeded")


def test_every_pod_fits_the_restricted_security_level() -> None:
    document = in_the_cluster()
    spec = document["spec"]
    patch = yaml.safe_load(spec["podSpecPatch"])
    own = [leaf["container"] for leaf in leaves(document).values()]
    containers = [*patch["initContainers"], *patch["containers"], *own]
    assert {"init", "wait"} <= {container.get("name") for container in containers}
    for container in containers:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
        assert security["runAsNonRoot"] is True
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["securityContext"]["runAsUser"] > 0


def test_a_container_that_decodes_pictures_sees_no_token() -> None:
    for leaf in leaves(in_the_cluster()).values():
        mounts = {mount["mountPath"]: mount["name"] for mount in leaf["container"]["volumeMounts"]}
        assert mounts["/var/run/secrets/kubernetes.io/serviceaccount"] == "no-token"
    volumes = {volume["name"]: volume for volume in in_the_cluster()["spec"]["volumes"]}
    assert volumes["no-token"]["emptyDir"] == {}


def test_nothing_names_a_bucket_or_holds_a_secret() -> None:
    for document in documents().values():
        text = json.dumps(document)
        assert not re.search(r"bucket\b|endpoint|accessKey|secretKey|password", text, re.IGNORECASE)
        assert "imgflow-s3" not in text or '{"secretRef": {"name": "imgflow-s3"}}' in text


def test_only_collect_knows_the_webhook_and_the_cluster_need_not_have_one() -> None:
    for name, leaf in leaves(in_the_cluster()).items():
        sources = [source["secretRef"] for source in leaf["container"]["envFrom"] if "secretRef" in source]
        webhook = [{"name": "imgflow-notify", "optional": True}] if name.startswith("collect") else []
        assert sources == [{"name": "imgflow-s3"}, {"name": "imgflow-source", "optional": True}, *webhook]


def test_every_pod_asks_for_resources_and_a_place_in_its_steps_queue() -> None:
    for leaf in leaves(in_the_cluster()).values():
        step = leaf["metadata"]["labels"]["imgflow.io/step"]
        assert leaf["container"]["resources"].keys() == {"requests", "limits"}
        [semaphore] = leaf["synchronization"]["semaphores"]
        assert semaphore["configMapKeyRef"] == {"name": "imgflow-limits", "key": step}
        assert leaf["activeDeadlineSeconds"] > 0  # on the pod: on the Workflow it would skip collect


@pytest.mark.parametrize("gigabytes", [1, 2, 6])
def test_a_pod_holds_a_process_with_all_the_memory_that_the_pipeline_gives_it(gigabytes: int) -> None:
    limits = DEFAULT.limits.model_copy(update={"memory": gigabytes << 30})
    pods = leaves(in_the_cluster(DEFAULT.model_copy(update={"limits": limits})))
    for name in [*DEFAULT.labels, "fused"]:
        resources = pods[name]["container"]["resources"]["limits"]
        pod = int(convert_memory_units(resources["memory"]))
        assert processes(int(resources["cpu"]), limits.memory, pod) == (1, limits.memory)
    assert pods["collect"]["container"]["resources"]["limits"]["memory"] == "1Gi"


def test_pods_of_a_lost_node_are_given_up_soon() -> None:
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists"}
    document = in_the_cluster(steps={"infer": PodSettings(tolerations=(gpu,), node_selector={"zone": "a"}, gpus=2)})
    infer = leaves(document)["infer"]
    for tolerations in (document["spec"]["tolerations"], infer["tolerations"]):
        assert {t["key"]: t["tolerationSeconds"] for t in tolerations if "tolerationSeconds" in t} == {
            "node.kubernetes.io/not-ready": 30,
            "node.kubernetes.io/unreachable": 30,
        }
    assert gpu in infer["tolerations"]
    assert infer["nodeSelector"] == {"zone": "a"}
    assert infer["container"]["resources"]["limits"]["nvidia.com/gpu"] == "2"


@pytest.mark.parametrize("name", ["infer", "fused"])
def test_what_needs_a_card_runs_in_the_container_for_it_in_both_layouts(name: str) -> None:
    card = PodSettings(tolerations=({"key": "nvidia.com/gpu", "operator": "Exists"},), gpus=1)
    pipeline = parse({"steps": ["grayscale", {"infer": {"device": "cuda"}}]})

    pods = leaves(in_the_cluster(pipeline, steps={"cuda": card}))

    assert pods[name]["container"]["image"].endswith("imgflow-cuda:dev")
    assert pods[name]["container"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    [semaphore] = pods[name]["synchronization"]["semaphores"]
    assert semaphore["configMapKeyRef"] == {"name": "imgflow-limits", "key": "cuda"}
    assert "nvidia.com/gpu" not in pods["grayscale"]["container"]["resources"]["limits"]
    assert pods["grayscale"]["container"]["image"].endswith("imgflow-grayscale:dev")


def test_the_submit_form_says_what_the_declarations_say() -> None:
    parameters = {p["name"]: p for p in in_the_cluster()["spec"]["arguments"]["parameters"]}
    assert "value" not in parameters["municipality"]  # the only one that has to be given
    for name, info in List.model_fields.items():
        assert parameters[name.replace("_", "-")]["description"] == info.description
        assert parameters[name.replace("_", "-")]["value"] == str(info.default)
    assert parameters["layout"]["enum"] == ["auto", "steps", "fused"]
    assert parameters["retry"]["enum"] == ["failed", "rejected"]
    assert parameters["max-rejected"]["value"] == Collect().max_rejected


def test_a_pipeline_of_the_template_comes_out_of_the_variable_as_it_went_in() -> None:
    tricky = parse({"steps": [{"infer": {"model": "models/{{=1+1}} {{{ $(IMGFLOW_STORE).onnx"}}]})
    variables = leaves(in_the_cluster(tricky))["list"]["container"]["env"]
    [variable] = [variable for variable in variables if variable["name"] == "IMGFLOW_PIPELINE"]
    assert "{{" not in variable["value"]
    assert "$(" not in variable["value"]
    assert parse(json.loads(variable["value"])) == tricky


@pytest.mark.parametrize("name", ["Utrecht", "Östra Göinge", HOSTILE, "'s-Hertogenbosch", "東京", "-m", "$(id)"])
def test_a_municipality_is_told_so_that_no_template_changes_it(name: str) -> None:
    document = argo.workflow(a_run(name), template=in_the_cluster())
    [told] = [p for p in document["spec"]["arguments"]["parameters"] if p["name"] == "municipality"]
    assert re.fullmatch(r"[A-Za-z0-9_.~%-]+", told["value"])
    assert keys.decode(told["value"]) == name
    assert document["metadata"]["annotations"]["imgflow.io/municipality"] == name  # which nothing refers to
    label = document["metadata"]["labels"]["imgflow.io/municipality"]
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", label)
    assert document["spec"]["podMetadata"]["labels"]["imgflow.io/municipality"] == label


def test_a_run_with_the_templates_pipeline_only_refers_to_it() -> None:
    spec = argo.workflow(a_run(), template=in_the_cluster())["spec"]
    assert spec["workflowTemplateRef"] == {"name": "imgflow"}
    assert "templates" not in spec


def test_another_pipeline_keeps_the_clusters_container_images_and_places() -> None:
    gpu = PodSettings(node_selector={"gpu": "yes"}, tolerations=({"key": "gpu", "operator": "Exists"},), gpus=1)
    options = Options("registry.example/team/x-", "1.2", "Always", "there", {"infer": gpu}, at_once=7)
    there = argo.workflow_template(DEFAULT, options)
    changed = DEFAULT.with_params(1, width=99)
    document = argo.workflow(a_run(pipeline=changed), template=there)
    own, theirs = argo.workflow_template(changed, options), there
    assert document["metadata"]["namespace"] == "there"
    assert document["spec"]["templates"] == own["spec"]["templates"]
    assert document["spec"]["parallelism"] == 7
    assert leaves(document)["infer"] == leaves(theirs)["infer"]


def test_workflows_schedules_and_templates_say_what_they_were_asked_to_do() -> None:
    """So that list can write the ``run.json`` itself, also of a Workflow that somebody submits again."""
    run = a_run(HOSTILE, source="s3://a/b c", list=List(shard_size=5, nodes=3), collect=Collect(max_rejected="5"))
    schedule = argo.cron_workflow("nightly", "0 3 * * *", run, template=in_the_cluster())
    template = argo.workflow_template(DEFAULT, defaults=argo.parameters_of(run))
    assert schedule["spec"]["schedules"] == ["0 3 * * *"]
    for spec in (schedule["spec"]["workflowSpec"], argo.workflow(run)["spec"], template["spec"]):
        values = {p["name"]: p["value"] for p in spec["arguments"]["parameters"]}
        assert keys.decode(values["municipality"]) == HOSTILE
        assert keys.decode(values["source"]) == "s3://a/b c"
        assert (values["shard-size"], values["nodes"], values["max-rejected"]) == ("5", "3", "5")


def test_a_workflow_without_a_name_is_named_by_the_cluster() -> None:
    metadata = argo.workflow(a_run(), Options(namespace="there"), named=False)["metadata"]
    assert "name" not in metadata
    assert (metadata["generateName"], metadata["namespace"]) == ("ostra-goinge-", "there")
    assert "imgflow.io/report" not in metadata["annotations"]


def test_a_schedules_name_leaves_room_for_run_ids() -> None:
    with pytest.raises(BadParametersError, match="42 characters"):
        argo.cron_workflow("x" * 43, "0 3 * * *", a_run(), template=in_the_cluster())
    keys.check_run("x" * 42 + "-1795247220")


# Measured on a cluster with long keys and archived logs: bytes per shard of gzip and base64 node status.
PACKED = {"fused": 138, "steps": 600}
MEGABYTE = 1 << 20


@pytest.mark.parametrize("layout", ["fused", "steps"])
def test_a_million_images_stay_within_what_argo_can_hold(layout: str) -> None:
    plan = cut(DEFAULT, images=1_000_000, shard_size=1, nodes=2, layout=layout)
    assert plan.shards <= MAX_SHARDS
    assert plan.shards * PACKED[plan.layout] < MEGABYTE
    document = argo.workflow_template(DEFAULT)
    container_arguments = [len(json.dumps(leaf["container"])) for leaf in leaves(document).values()]
    assert max(container_arguments) < 128 << 10  # beyond it Argo needs a ConfigMap per pod
    assert len(json.dumps(document)) < 32 << 10
    fan_outs = [task for task in templates(document)["imgflow"]["dag"]["tasks"] if "withSequence" in task]
    assert all(set(task["withSequence"]) == {"count", "format"} for task in fan_outs)  # a number, never a list


def test_the_workflow_object_does_not_grow_with_what_is_asked() -> None:
    small, large = a_run(list=List(shard_size=1)), a_run(list=List(shard_size=1_000_000, nodes=100_000))
    sizes = [len(json.dumps(argo.workflow(run, template=in_the_cluster()))) for run in (small, large)]
    assert sizes[1] - sizes[0] == len("1000000") - len("1") + len("100000") - len("1")
    assert sizes[1] < 2 << 10


def test_options_read_from_a_template_render_the_same_template() -> None:
    steps = {"scale": replace(PodSettings(), node_selector={"a": "b"})}
    options = Options("registry.example/x-", "7", steps=steps, executor={"limits": {"memory": "1Gi"}})
    document = argo.workflow_template(DEFAULT, options)
    assert argo.workflow_template(DEFAULT, argo.options_of(document)) == document
