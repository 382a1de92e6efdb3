"""Whole Kubernetes objects: the WorkflowTemplate of the chart, a run's Workflow, a CronWorkflow."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import yaml

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import Pipeline
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run
from imgflow_workflows.argo.options import NAME, PART_OF, Options, options_of
from imgflow_workflows.argo.schedule import Schedule, check_schedule
from imgflow_workflows.yaml_text import Dumper

DIGEST = "imgflow.io/pipeline-digest"
MUNICIPALITY = "imgflow.io/municipality"
CRON_NAME = 42  # characters; each run's id is the name, a dash and ten digits

Document = dict[str, Any]


def workflow_template(
    pipeline: Pipeline, options: Options | None = None, *, name: str = NAME, defaults: Mapping[str, str] | None = None
) -> Document:
    """A WorkflowTemplate: what the Argo UI and ``argo submit --from`` start; `imgflow submit` the one named imgflow.

    ``defaults`` are values for parameters other than the municipality.
    """
    from imgflow_workflows.argo.template import render  # noqa: PLC0415 - hera takes a second to import

    options = options or Options()
    metadata = {
        "name": name,
        "labels": {PART_OF: NAME},
        "annotations": {
            DIGEST: pipeline.digest,
            "workflows.argoproj.io/title": "imgflow: every photograph of a municipality",
            "workflows.argoproj.io/description": f"list, then {', '.join(pipeline.labels)} over shards, then collect",
        },
    }
    spec = render(pipeline, options)
    for parameter in spec["arguments"]["parameters"]:
        if defaults and parameter["name"] in defaults:
            parameter["value"] = defaults[parameter["name"]]
    return _document("WorkflowTemplate", metadata, spec, options.namespace)


def workflow(
    run: Run, options: Options | None = None, *, template: Mapping[str, Any] | None = None, named: bool = True
) -> Document:
    """The Workflow of a run; its name is the run's id, or left to the cluster when not ``named``.

    Where no ``run.json`` is in the store, list writes one from what the Workflow says.
    ``template`` is the cluster's WorkflowTemplate. With the run's pipeline the Workflow only refers to it;
    with another one it carries its own spec, with the container images and placements of the template.
    """
    options, spec = _spec(run, options, template)
    name = {"name": run.id} if named else {"generateName": f"{keys.slug(run.municipality)}-"}
    metadata = {**name, **_known_as(run)}
    if options.namespace and named:
        metadata["annotations"]["imgflow.io/report"] = report_path(options.namespace, run.id)
    return _document("Workflow", metadata, spec, options.namespace)


def schedule_name(municipality: str) -> str:
    """A name for a municipality's schedule, the same every time."""
    digest = hashlib.sha256(keys.encode(municipality).encode()).hexdigest()[:6]
    return f"{keys.slug(municipality)[: CRON_NAME - 7].strip('-')}-{digest}"


def parameters_of(run: Run) -> dict[str, str]:
    """What a run was asked to do, as parameters of its Workflow; what Argo might expand is percent-encoded."""
    return {
        "municipality": keys.encode(run.municipality),
        "source": quote(run.source, safe=""),
        **{field.replace("_", "-"): str(getattr(run.list, field)) for field in List.model_fields},
        "include": quote(run.list.include, safe=""),
        "exclude": quote(run.list.exclude, safe=""),
        "max-rejected": run.collect.max_rejected,
    }


def report_path(namespace: str, run: str) -> str:
    """Where an Argo Server shows a run's report: a path, to be put behind the server's address."""
    number = 0x811C9DC5
    for byte in f"{run}.collect".encode():  # FNV-1a: how Argo makes a node's id of its name
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"/artifact-files/{namespace}/workflows/{run}/{run}-{number}/outputs/report/"


def cron_workflow(
    name: str,
    schedule: str,
    run: Run,
    options: Options | None = None,
    *,
    template: Mapping[str, Any] | None = None,
) -> Document:
    """A CronWorkflow that does what ``run`` says at every ``schedule``; each time list writes a new ``run.json``.

    Raises BadParametersError for what is no schedule, and for a name that leaves no room for the run ids made of it.
    """
    if len(keys.check_run(name)) > CRON_NAME:
        raise BadParametersError(f"{name!r} is too long for a schedule's name; it may have {CRON_NAME} characters")
    check_schedule(schedule)
    options, spec = _spec(run, options, template)
    cron = {
        "schedules": [schedule],
        "concurrencyPolicy": "Forbid",
        "workflowMetadata": {"labels": {PART_OF: NAME}},
        "workflowSpec": spec,
    }
    return _document("CronWorkflow", {"name": name, **_known_as(run)}, cron, options.namespace)


def scheduled(cron_workflow: Mapping[str, Any]) -> Schedule:
    """What a CronWorkflow does, as far as it tells what its runs need in the store."""
    told = cron_workflow["metadata"].get("annotations") or {}
    models = re.findall(r"models/[0-9a-f]{64}[.A-Za-z0-9]*", json.dumps(cron_workflow["spec"]))
    return Schedule(told.get(MUNICIPALITY, ""), told.get(DIGEST, ""), frozenset(models))


def to_yaml(document: Mapping[str, Any]) -> str:
    """The document as ``kubectl create -f`` reads it; text of several lines stays text of several lines."""
    return yaml.dump(document, Dumper=Dumper, sort_keys=False, width=120, allow_unicode=True)


def _document(kind: str, metadata: Document, spec: Document, namespace: str) -> Document:
    if namespace:
        name, *others = metadata.items()
        metadata = dict([name, ("namespace", namespace), *others])
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _known_as(run: Run) -> Document:
    """Labels for selectors, and annotations for people; Argo leaves an annotation's text as it is."""
    return {
        "labels": {
            PART_OF: NAME,
            MUNICIPALITY: keys.slug(run.municipality),
        },
        "annotations": {
            MUNICIPALITY: run.municipality,
            DIGEST: run.pipeline.digest,
        },
    }


def _spec(run: Run, options: Options | None, template: Mapping[str, Any] | None) -> tuple[Options, Document]:
    """A reference to the template where it holds this pipeline already, else a spec of its own; with arguments."""
    options = options or (options_of(template) if template else Options())
    if template and template["metadata"].get("annotations", {}).get(DIGEST) == run.pipeline.digest:
        spec: Document = {"workflowTemplateRef": {"name": template["metadata"]["name"]}}
    else:
        spec = workflow_template(run.pipeline, options)["spec"]
    spec["arguments"] = {"parameters": [{"name": n, "value": v} for n, v in parameters_of(run).items()]}
    # The template makes a label of the encoded name; of the name itself a more readable one can be made.
    slug = keys.slug(run.municipality)
    _put(spec, slug, "podMetadata", "labels", MUNICIPALITY)
    _put(spec, {"expression": f"'{slug}'"}, "workflowMetadata", "labelsFrom", MUNICIPALITY)
    return options, spec


def _put(document: Document, value: Any, *path: str) -> None:
    for key in path[:-1]:
        document = document.setdefault(key, {})
    document[path[-1]] = value
