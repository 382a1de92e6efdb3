"""Other values for parameters of a run: those of flags, and those of ``--set STEP.PARAMETER=VALUE``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from imgflow_steps.pipeline.model import explain
from imgflow_steps.pipeline.notation import nearest
from imgflow_workflows.errors import ImgflowError

if TYPE_CHECKING:
    from imgflow_steps.collect import Collect
    from imgflow_steps.list import List
    from imgflow_steps.pipeline.model import Pipeline

Model = TypeVar("Model", bound=BaseModel)


class Change(NamedTuple):
    """A parameter by its step and name, such as ``scale.width``, its value as text, and which flag says so."""

    path: str
    value: str
    origin: str


def of_set(text: str) -> Change:
    """The change that ``--set`` asks for. Raises ImgflowError."""
    path, equals, value = text.partition("=")
    if not all([equals, *path.partition(".")]):
        raise ImgflowError(f"--set {text}: give STEP.PARAMETER=VALUE, such as scale.width=512")
    return Change(path.strip(), value.strip(), f"--set {text}")


def made(
    pipeline: Pipeline, listing: List, collect: Collect, changes: Iterable[Change]
) -> tuple[Pipeline, List, Collect]:
    """All three with the changes, the last one of a parameter wins. Raises ImgflowError, naming the flag."""
    for path, value, origin in changes:
        target, _, field = path.rpartition(".")
        if target == "list":
            listing = _with(listing, field, value, origin)
        elif target == "collect":
            collect = _with(collect, field, value, origin)
        else:
            pipeline = _change(pipeline, target, field, value, origin)
    return pipeline, listing, collect


def _with(params: Model, field: str, value: str, origin: str) -> Model:
    fields = type(params).model_fields
    if field not in fields:
        there = f"there are: {', '.join(fields)}" if fields else "it has none"
        raise ImgflowError(f"{origin}: there is no parameter {field!r}; {there}", nearest(field, list(fields)))
    try:
        return type(params).model_validate({**params.model_dump(), field: _plain(fields[field].annotation, value)})
    except ValidationError as error:
        raise ImgflowError(f"{origin}: {explain(error, '')}") from None


def _plain(annotation: Any, value: str) -> Any:
    """A flag's text as what the parameter takes; lists are written 1,2,3 or [1,2,3]."""
    if get_origin(annotation) is tuple:
        return [part.strip() for part in value.strip("[]").split(",") if part.strip()]
    return value


def _change(pipeline: Pipeline, target: str, field: str, value: str, origin: str) -> Pipeline:
    """The pipeline with one other parameter, of a step, the encoder or the limits."""
    if target == "output":
        return pipeline.model_copy(update={"output": _with(pipeline.output, field, value, origin)})
    if target == "limits":
        return pipeline.model_copy(update={"limits": _with(pipeline.limits, field, value, origin)})
    labels = pipeline.labels
    if target not in labels:
        twice = [label for label in labels if label.rpartition(".")[0] == target]
        if twice:
            raise ImgflowError(f"{origin}: {target!r} occurs {len(twice)} times; say which: {', '.join(twice)}")
        known = [*labels, "list", "collect", "output", "limits"]
        raise ImgflowError(
            f"{origin}: there is no {target!r} here; there are: {', '.join(known)}", nearest(target, known)
        )
    position = labels.index(target) + 1
    changed = _with(pipeline.steps[position - 1].params, field, value, origin)
    return pipeline.with_params(position, **changed.model_dump())
