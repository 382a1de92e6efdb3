"""render: what submit would hand to a cluster, as YAML for others to hand over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from imgflow_cli.flags import CUTS, MakingFlags, MunicipalityFlag, QuietFlag, SourceFlag, takes_settings
from imgflow_cli.output import Voice, emit
from imgflow_workflows import argo
from imgflow_workflows.connect import chart_options
from imgflow_workflows.errors import ExitCode, ImgflowError, translate
from imgflow_workflows.settings import DEFAULT, Resolved
from imgflow_workflows.submit.named_files import named_files
from imgflow_workflows.submit.request import Submission, describe

if TYPE_CHECKING:
    from imgflow_workflows.settings import Settings

NOBODY = "nobody"  # in place of a municipality, which a WorkflowTemplate asks for


@takes_settings("namespace", "kube_context", *CUTS)
def render(
    resolved: Resolved,
    *,
    municipality: MunicipalityFlag = "",
    cron: Annotated[str, typer.Option(metavar="SCHEDULE", help="Print a CronWorkflow, such as for '0 3 * * *'.")] = "",
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the object; a Workflow's is its run's id.")] = "",
    source: SourceFlag = "",
    making: MakingFlags,
    prefix: Annotated[
        str, typer.Option(metavar="PREFIX", help="Container images are called PREFIXscale:TAG and so on.")
    ] = "",
    tag: Annotated[str, typer.Option(metavar="TAG", help="Version of the container images.")] = "",
    quiet: QuietFlag = False,
) -> None:
    """Print the pipeline as YAML for `kubectl create -f`.

    A WorkflowTemplate, from which the Argo UI and argo submit --from start runs; with --municipality a
    Workflow, which is a run; with --cron a CronWorkflow. Container images and resources are those of the chart in
    the namespace. With --prefix and --tag no cluster is asked: the namespace needs the chart, and the municipality
    its photographs, by the time it is used.
    """
    if cron and not municipality:
        raise ImgflowError(
            "which municipality? give --municipality NAME to --cron", "each schedule is for one municipality"
        )
    settings = resolved.settings.model_copy(update={"engine": "argo"})
    submission = Submission(municipality or NOBODY, source, run=name, **making.wishes())
    request = describe(submission, settings)
    run = request.run
    namespace = "" if resolved.origins["namespace"] == DEFAULT else settings.namespace
    options = replace(_options(settings, prefix, tag), namespace=namespace)
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
        Voice(quiet=quiet).note(f"the store must hold {key}{which}")


def _options(settings: Settings, prefix: str, tag: str) -> argo.Options:
    """As flags say and, for what they leave open, the installed chart; no cluster has images of a guessed name."""
    if prefix and tag:
        return argo.Options(prefix=prefix, tag=tag)
    try:
        options = chart_options(settings)
    except Exception as error:
        known = translate(error)
        if known is None:
            raise
        raise ImgflowError(
            f"which container images? The chart cannot be read: {known}",
            "give --prefix and --tag, as containers.prefix and containers.tag of the chart's values",
            known.code if known.code is ExitCode.UNREACHABLE else ExitCode.USAGE,
        ) from error
    return replace(options, prefix=prefix or options.prefix, tag=tag or options.tag)
