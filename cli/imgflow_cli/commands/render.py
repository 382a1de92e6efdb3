"""render: what submit would hand to a cluster, as YAML for others to hand over."""

from __future__ import annotations

from typing import Annotated

import typer

from imgflow_cli.commands.submit import (
    CUTS,
    FormatFlag,
    PipelineFlag,
    RejectedFlag,
    RetryFlag,
    SetFlag,
    SourceFlag,
    StepsFlag,
)
from imgflow_cli.flags import MunicipalityFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, emit
from imgflow_workflows import argo
from imgflow_workflows.faults import ImgflowError
from imgflow_workflows.request import Asked, describe, named_files
from imgflow_workflows.settings import DEFAULT, Resolved

DEFAULTS = argo.Options()
NOBODY = "nobody"  # in place of a municipality, which a WorkflowTemplate asks for


@takes_settings("namespace", *CUTS)
def render(
    resolved: Resolved,
    municipality: MunicipalityFlag = "",
    cron: Annotated[str, typer.Option(metavar="SCHEDULE", help="Print a CronWorkflow, such as for '0 3 * * *'.")] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the object; a Workflow's is its run's id.")] = "",
    source: SourceFlag = "",
    pipeline: PipelineFlag = None,
    steps: StepsFlag = "",
    form: FormatFlag = None,
    changes: SetFlag = None,
    max_rejected: RejectedFlag = "",
    retry: RetryFlag = None,
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="Container images are called PREFIXscale:TAG and so on.")
    ] = DEFAULTS.prefix,
    tag: Annotated[str, typer.Option(metavar="TAG", help="Version of the container images.")] = DEFAULTS.tag,
    quiet: QuietFlag = False,
) -> None:
    """Print the pipeline as YAML for `kubectl create -f`.

    A WorkflowTemplate, from which the Argo UI and argo submit --from start runs; with --municipality a
    Workflow, which is a run; with --cron a CronWorkflow. Nothing is asked of a cluster or a store: the
    namespace needs the chart, and the municipality its photographs, by the time it is used.
    """
    if cron and not municipality:
        raise ImgflowError(
            "whose photographs? give --municipality NAME to --cron", "each schedule is for one municipality"
        )
    settings = resolved.settings.model_copy(update={"engine": "argo"})
    asked = Asked(
        municipality or NOBODY, source, pipeline, steps, form or "", changes or (), max_rejected, retry or "", name
    )
    request = describe(asked, settings)
    run = request.run
    namespace = "" if resolved.origins["namespace"] == DEFAULT else settings.namespace
    options = argo.Options(prefix=prefix, tag=tag, namespace=namespace)
    if cron:
        document = argo.cron_workflow(name or argo.schedule_name(run.municipality), cron, run, options)
    elif municipality:
        document = argo.workflow(run, options, named=bool(name))
    else:
        defaults = {key: value for key, value in argo.parameters_of(run).items() if key != "municipality"}
        document = argo.workflow_template(run.pipeline, options, name=name or argo.NAME, defaults=defaults)
    emit(argo.to_yaml(document).rstrip())
    for _, _, key in named_files(run.pipeline):
        which = f", which is {request.files[key]} here: `imgflow submit` brings it" if key in request.files else ""
        Voice(quiet=quiet).say(f"note: the store must hold {key}{which}")
