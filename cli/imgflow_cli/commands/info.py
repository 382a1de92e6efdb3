"""steps, config and version: what imgflow says about itself."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from imgflow_cli.flags import OutputFlag, takes_settings
from imgflow_cli.output import document, emit, table
from imgflow_service.settings import loaded
from imgflow_steps import __version__
from imgflow_steps.contract.step import BadParametersError, Step
from imgflow_steps.pipeline.notation import nearest, spelt
from imgflow_steps.pipeline.registry import STEPS
from imgflow_steps.store import profiles
from imgflow_steps.store.variables import MEANS
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.settings import DEFAULT, FLAGS, Resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

LIBRARIES = [
    "Pillow",
    "numpy",
    "opencv-python-headless",
    "onnxruntime",
    "minio",
    "hera",
]  # what results or requests depend on


def steps(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Show this step's parameters.")] = "",
    output: Annotated[
        Literal["json", "yaml", "markdown"] | None, typer.Option("--output", "-o", help="markdown: a table.")
    ] = None,
) -> None:
    """Show the steps and their parameters."""
    if name and name not in STEPS:
        raise ImgflowError(f"there is no step {name!r}; there are: {', '.join(STEPS)}", nearest(name, list(STEPS)))
    chosen = [STEPS[name]] if name else list(STEPS.values())
    if output == "markdown":
        emit(markdown(chosen))
    elif output:
        document({"items": [_document(step) for step in chosen]}, output)
    elif name:
        emit(chosen[0].summary)
        emit(_written(chosen[0]))
        table(["PARAMETER", "DEFAULT", "DESCRIPTION"], [[n, _default(f), _about(f)] for n, f in _fields(chosen[0])])
    else:
        table(
            ["STEP", "VERSION", "ROLE", "CONTAINER", "PARAMETERS", "SUMMARY"],
            [[s.name, s.version, s.role.value, s.home, _names(s), s.summary] for s in chosen],
        )


def markdown(chosen: list[Step]) -> str:
    """The table of docs/reference/steps.md: one row per step."""
    rows = ["| Step | What it does | In short | Parameters and defaults |", "|---|---|---|---|"]
    for step in chosen:
        parameters = ", ".join(f"`{name}` {_default(field)}".rstrip() for name, field in _fields(step)) or "none"
        short = ", ".join(f"`{form}`" for form in spelt(step.name, step.short))
        rows.append(f"| `{step.name}` | {step.summary} | {short} | {parameters} |")
    return "\n".join(rows)


def _written(step: Step) -> str:
    """How a step is written in a pipeline, besides by its parameters."""
    forms = [step.name, *spelt(step.name, step.short)]
    also = f"; {' or '.join(step.aliases)} is {step.name}, too" if step.aliases else ""
    for alias, forms_of in step.aliases.items():
        also += "".join(f"; {spelt(alias, [form])[0]} sets {_set(besides)}" for form, besides in forms_of.items())
    true = f"; true sets {_set(step.true)}" if step.true else ""
    return f"In short: {', '.join(forms)}{also}{true}"


def _set(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {json.dumps(value)}" for name, value in params.items())


def _fields(step: Step) -> list[tuple[str, FieldInfo]]:
    return list(step.params.model_fields.items())


def _names(step: Step) -> str:
    return ", ".join(step.params.model_fields) or "-"


def _default(field: FieldInfo) -> str:
    value = field.default
    if value in ("", (), None):
        return "-"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _about(field: FieldInfo) -> str:
    about, choices = str(field.description or ""), get_args(field.annotation)
    return f"{about} One of: {', '.join(choices)}." if get_origin(field.annotation) is Literal else about


def _document(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "version": step.version,
        "role": step.role.value,
        "container": step.home,
        "summary": step.summary,
        "aliases": list(step.aliases),
        "short": spelt(step.name, step.short),
        "true": dict(step.true),
        "parameters": step.params.model_json_schema()["properties"] if step.params.model_fields else {},
    }


def _of_profile() -> dict[str, tuple[str, str]]:
    """Endpoint and region as AWS's shared files tell them, with the profile; nothing where they cannot be read."""
    try:
        profile = profiles.read(os.environ)
    except BadParametersError:
        return {}
    told = {"endpoint": profile.get("endpoint_url"), "region": profile.get("region")}
    return {name: (value, f"profile {profile.name}") for name, value in told.items() if value}


@takes_settings(*FLAGS)
def config(resolved: Resolved, output: OutputFlag = None) -> None:
    """Show every setting and where it comes from.

    Precedence, highest first: flag; IMGFLOW_* variable; active context; ./imgflow.yaml; imgflow/config.yaml in the
    user's configuration folder; default. An endpoint and a region that none of them names are those of AWS_PROFILE. The
    engine argo without a store takes that of the chart in its namespace.
    """
    rows = [("context", resolved.context, resolved.context_origin)]
    told = _of_profile()
    for name, origin in resolved.origins.items():
        value = getattr(resolved.settings, name)
        rows.append((name, *(told[name] if value == "" and name in told else (value, origin))))
    rows += [(f"serve.{name}", value, origin) for name, value, origin in loaded(document=resolved.serve).shown()]
    means = next((name for name in MEANS if os.environ.get(name)), DEFAULT)
    origin = means if resolved.credentials_origin == DEFAULT else resolved.credentials_origin
    rows += [("credentials", "" if origin == DEFAULT else "set", origin)]
    if output in {"json", "yaml"}:
        document({name: {"value": value, "origin": origin} for name, value, origin in rows}, output)
    elif output == "name":
        emit("\n".join(name for name, _, _ in rows))
    else:
        table(["SETTING", "VALUE", "ORIGIN"], [[n, "-" if v == "" else v, o] for n, v, o in rows])


def version(output: OutputFlag = None) -> None:
    """Show versions.

    -o wide adds Python and the libraries that results depend on.
    """
    if output in {"json", "yaml"}:
        libraries = {name: version_of(name) for name in LIBRARIES}
        document({"imgflow": __version__, "python": platform.python_version(), "libraries": libraries}, output)
    else:
        emit(f"imgflow {__version__}" if output != "name" else __version__)
        if output == "wide":
            emit(f"Python {platform.python_version()}")
            for name in LIBRARIES:
                emit(f"{name} {version_of(name)}")
