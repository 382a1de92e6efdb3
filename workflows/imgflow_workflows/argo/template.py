"""The pipeline's order as Argo templates: list, a fan-out over shards in either layout, collect."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, get_args, get_origin

from hera.workflows import DAG, Container, Env, NoneArchiveStrategy, Parameter, S3Artifact, Steps, Task, Workflow
from hera.workflows.models import (
    ArtifactRepositoryRef,
    LabelValueFrom,
    PodGC,
    Sequence,
    TTLStrategy,
    ValueFrom,
    WorkflowMetadata,
)

from imgflow_steps.collect import Collect
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline
from imgflow_workflows.argo import metrics
from imgflow_workflows.argo.options import NAME, PART_OF, Options
from imgflow_workflows.argo.pods import (
    POD_SECURITY,
    RUN,
    VOLUMES,
    WEBHOOK,
    labels,
    leaf,
    pod_spec_patch,
    tolerations,
    workers,
)

DAY = 24 * 3600
SHARD = "{{inputs.parameters.shard}}"
ENDED = ("Succeeded", "Failed", "Errored", "Skipped")  # Skipped: a fan-out over no shards

# As ``keys.slug`` for letters of western Europe, plain or percent-encoded. What else is not ASCII is omitted, and what
# is not a letter or digit becomes one dash.
SPELLINGS = (
    ("%c3%[8a][0-5]|[à-å]", "a"),
    ("%c3%[8a]7|ç", "c"),
    ("%c3%[8a][89ab]|[è-ë]", "e"),
    ("%c3%[8a][c-f]|[ì-ï]", "i"),
    ("%c3%[9b]1|ñ", "n"),
    ("%c3%[9b][2-6]|[ò-ö]", "o"),
    ("%c3%[9b][9a-c]|[ù-ü]", "u"),
    ("%c3%(9d|b[df])|[ýÿ]", "y"),
    ("%c3%9f|ß", "ss"),
    ("%[89a-f][0-9a-f]|[^ -~]", ""),
    ("(%[0-9a-f]{2}|[^a-z0-9])+", "-"),
)
MUNICIPALITY_LABEL = (
    f"let plain = reduce({[list(pair) for pair in SPELLINGS]}, sprig.regexReplaceAll(#[0], #acc, #[1]), "
    "lower(workflow.parameters.municipality)); let slug = trim(sprig.trunc(40, trim(plain, '-')), '-'); "
    "slug == '' ? 'x' : slug"
)
NEXT = "`imgflow watch {{workflow.name}}`, `imgflow logs {{workflow.name}}`, `imgflow report {{workflow.name}} --open`"


def parameters() -> list[Parameter]:
    """What the Submit form of the Argo UI and ``argo submit -p`` ask for; the declarations of list and collect say it.

    Argo checks neither enums nor bounds: the list container does.
    """
    return [
        Parameter(
            name="municipality",
            description="Municipality (dataset) to work on. Percent-encode what is not a plain name.",
        ),
        Parameter(
            name="source", value="", description="URL of photographs that are stored elsewhere, percent-encoded."
        ),
        *(_parameter(List, name) for name in List.model_fields),
        _parameter(Collect, "max_rejected"),
    ]


def _parameter(step: type[List | Collect], name: str) -> Parameter:
    info = step.model_fields[name]
    choices = [str(choice) for choice in get_args(info.annotation)] if get_origin(info.annotation) else None
    return Parameter(name=name.replace("_", "-"), value=str(info.default), enum=choices, description=info.description)


def render(pipeline: Pipeline, options: Options) -> dict[str, Any]:
    """The ``spec`` of a Workflow or WorkflowTemplate that runs ``pipeline``; its size does not depend on the images."""
    with Workflow(
        entrypoint=NAME,
        arguments=parameters(),
        service_account_name=NAME,
        on_exit="exit",
        artifact_repository_ref=ArtifactRepositoryRef(config_map="artifact-repositories", key=NAME),
        archive_logs=True,
        metrics=metrics.of_run(),
        parallelism=options.at_once,
        pod_gc=PodGC(strategy="OnPodSuccess", delete_delay_duration="10s"),
        ttl_strategy=TTLStrategy(seconds_after_success=DAY, seconds_after_failure=7 * DAY),
        workflow_metadata=WorkflowMetadata(
            labels={PART_OF: NAME},
            annotations={"workflows.argoproj.io/description": NEXT},
            labels_from={
                "imgflow.io/run": LabelValueFrom(expression="workflow.name"),
                "imgflow.io/municipality": LabelValueFrom(expression=MUNICIPALITY_LABEL),
            },
        ),
        pod_metadata=labels("{{=" + MUNICIPALITY_LABEL + "}}"),
        pod_spec_patch=pod_spec_patch(options),
        security_context=POD_SECURITY,
        tolerations=tolerations(),
        volumes=VOLUMES,
    ) as workflow:
        listed = _list(pipeline, options)
        layouts = _steps(pipeline, options), _fused(pipeline, options)
        _order(listed, *layouts, _collect("collect", options))
        last_report = _collect("collect-last", options, "--unless-done")
        # Neither a DAG, which `argo stop` ends before its pod has, nor a hook, whose expression Argo ignores here.
        with Steps(name="exit"):
            last_report(name="last-report", when="{{workflow.status}} != Succeeded")
    spec: dict[str, Any] = workflow.to_dict()["spec"]
    return spec


def _order(lister: Container, steps: DAG, fused: Container, collect: Container) -> None:
    with DAG(name=NAME, fail_fast=False):
        listed = Task(name="list", template=lister)
        for name, shard in (("steps", steps), ("fused", fused)):
            count = listed.get_parameter(f"{name}-count").value
            fan_out = Sequence(count=count, format="%05d")
            listed >> Task(name=name, template=shard, arguments={"shard": "{{item}}"}, with_sequence=fan_out)
        ended = [f"({' || '.join(f'{name}.{end}' for end in ENDED)})" for name in ("steps", "fused")]
        Task(name="collect", template=collect, depends=" && ".join(ended))


def _list(pipeline: Pipeline, options: Options) -> Container:
    given = {p.name: f"{{{{workflow.parameters.{p.name}}}}}" for p in parameters()}
    # Argo would expand a {{…}} inside a string of the pipeline, and Kubernetes a $(…).
    document = json.dumps(pipeline.model_dump(mode="json")).replace("{{", "{\\u007b").replace("$", "\\u0024")
    return leaf(
        "list",
        "list",
        "list",
        [
            "list",
            f"--run={RUN}",
            "--namespace={{workflow.namespace}}",
            *(f"--{name}={value}" for name, value in given.items()),
            "--output=/data/out",
        ],
        options,
        env=[Env(name="IMGFLOW_PIPELINE", value=document)],
        outputs=[
            Parameter(name=f"{layout}-count", value_from=ValueFrom(path=f"/data/out/{layout}-count"))
            for layout in ("steps", "fused")
        ],
        counted=metrics.from_nought(),
    )


def _steps(pipeline: Pipeline, options: Options) -> DAG:
    names = [label.replace(".", "-") for label in pipeline.labels]
    last = len(names)
    leaves = []
    for position, (name, call) in enumerate(zip(names, pipeline.steps, strict=True), 1):
        many, env = workers()
        args = [call.name, f"--run={RUN}", f"--position={position}", f"--shard={SHARD}", *many]
        inputs: list[Any] = [Parameter(name="shard")]
        outputs = []
        if position > 1:
            inputs.append(_between("in", position - 1))
            args.append("--input=/data/in.tar")
        if position < last:
            outputs.append(_between("out", position))
            args.append("--output=/data/out.tar")
        memory = pipeline.limits.memory
        leaves.append(
            leaf(name, call.name, call.container, args, options, env=env, inputs=inputs, outputs=outputs, memory=memory)
        )
    with DAG(name="steps", inputs=[Parameter(name="shard")], fail_fast=False) as dag:
        tasks = [Task(name=str(each.name), template=each, arguments={"shard": SHARD}) for each in leaves]
        for before, after in pairwise(tasks):
            before >> after
    return dag


def _between(name: str, position: int) -> S3Artifact:
    key = f"scratch/{RUN}/{position}/{SHARD}.tar"
    return S3Artifact(name=name, path=f"/data/{name}.tar", key=key, archive=NoneArchiveStrategy())


def _fused(pipeline: Pipeline, options: Options) -> Container:
    many, env = workers()
    args = ["fused", f"--run={RUN}", f"--shard={SHARD}", *many]
    memory = pipeline.limits.memory
    return leaf(
        "fused", "fused", pipeline.container, args, options, env=env, inputs=[Parameter(name="shard")], memory=memory
    )


def _collect(name: str, options: Options, *flags: str) -> Container:
    report = S3Artifact(
        name="report",
        path="/data/report",
        key=f"runs/{RUN}/report/",
        archive=NoneArchiveStrategy(),
        optional=bool(flags),  # --unless-done may write none
    )
    args = ["collect", f"--run={RUN}", "--output=/data/report", f"--counts={metrics.COUNTS}", *flags]
    outputs = [report, *metrics.counts()]
    counted = metrics.of_images()
    return leaf(name, "collect", "collect", args, options, outputs=outputs, counted=counted, told=[WEBHOOK])
