"""The pipeline as an Argo Workflow, rendered with Hera; everything here is a pure function to plain data.

What Argo does with each spelling was tried on a real cluster; a comment says where the plainer one fails.
"""

from imgflow_workflows.argo.manifests import (
    DIGEST,
    cron_workflow,
    parameters_of,
    schedule_name,
    scheduled,
    to_yaml,
    workflow,
    workflow_template,
)
from imgflow_workflows.argo.options import NAME, Options, PodSettings, options_of

__all__ = [
    "DIGEST",
    "NAME",
    "Options",
    "PodSettings",
    "cron_workflow",
    "options_of",
    "parameters_of",
    "schedule_name",
    "scheduled",
    "to_yaml",
    "workflow",
    "workflow_template",
]
