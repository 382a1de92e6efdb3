"""A pipeline as data: ordered pixel steps with their parameters, its digest and its decode plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from imgflow_steps.contract.options import PICTURE_VERSION, Encoding, Limits
from imgflow_steps.contract.step import BadParametersError, Params, Step
from imgflow_steps.pipeline.notation import Forms, besides, expand, nearest, spelt
from imgflow_steps.pipeline.registry import ALIASES, PIXEL_STEPS


class StepCall(BaseModel):
    """A step and its parameters at one place of a pipeline; in JSON and YAML ``{name: {parameter: value}}``.

    Read are also ``name``, ``{name: short form}``, ``"name:short form"`` and ``[name, any of these]``; ``true`` for
    parameters is what the step declares it to be, and ``false`` leaves the step out of its pipeline.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    params: Params

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, StepCall) or (isinstance(given, dict) and isinstance(given.get("params"), Params)):
            return given
        name, params = _call(given)
        step = _step(name)
        return {"name": step.name, "params": _params(step, params, step.aliases.get(name, {}))}

    @property
    def step(self) -> Step:
        """The declaration."""
        return PIXEL_STEPS[self.name]

    @property
    def container(self) -> str:
        """The container that it runs in."""
        return self.step.away(self.params) or self.step.home


class Pipeline(BaseModel):
    """Pixel steps in order, the encoder at the end, and the limits per image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[StepCall, ...] = Field(validation_alias=AliasChoices("steps", "operations"))
    output: Encoding = Encoding()
    limits: Limits = Limits()

    @field_validator("steps", mode="wrap")
    @classmethod
    def _read_steps(cls, value: Any, read: Callable[[Any], tuple[StepCall, ...]]) -> tuple[StepCall, ...]:
        if not isinstance(value, (list, tuple)) or not value:
            what = "there is no step" if value == [] else "this is not a list"
            raise ValueError(f"{what}; steps is a list such as [{{scale: {{width: 512}}}}, grayscale]")
        steps = tuple(one for one, given in zip(read(value), value, strict=True) if not _left_out(given))
        if not steps:
            raise ValueError("false removes every step; at least one has to remain")
        return steps

    @field_serializer("steps")
    def _write_steps(self, steps: tuple[StepCall, ...]) -> list[dict[str, dict[str, Any]]]:
        return [{call.name: call.params.model_dump(mode="json")} for call in steps]

    @property
    def labels(self) -> list[str]:
        """The steps' names, made unique by their position where a step occurs twice."""
        names = [call.name for call in self.steps]
        return [n if names.count(n) == 1 else f"{n}.{i}" for i, n in enumerate(names, 1)]

    @property
    def container(self) -> str:
        """The container in which all its steps run as one process."""
        return next(filter(None, (call.step.away(call.params) for call in self.steps)), "fused")

    @property
    def hides(self) -> bool:
        """Whether a step covers what nobody may see."""
        return any(call.step.hides for call in self.steps)

    @property
    def hides_unfound(self) -> bool:
        """Whether a step covers something that no model before it looks for: then only people say what."""
        return any(
            call.step.hides and not any(earlier.step.finds for earlier in self.steps[:i])
            for i, call in enumerate(self.steps)
        )

    @property
    def versions(self) -> dict[str, int]:
        """Versions of the code that decides the bytes of a result: of the steps, and of reading pictures."""
        return {"picture": PICTURE_VERSION, **{call.name: call.step.version for call in self.steps}}

    @property
    def digest(self) -> str:
        """16 hex digits over everything that decides the bytes of a result."""
        return self.digest_for("")

    def digest_for(self, source: str) -> str:
        """The digest, widened by a source, so that images of two sources never share results."""
        versions = [call.step.version for call in self.steps]
        document = [self.model_dump(mode="json"), versions, PICTURE_VERSION, source]
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_params(self, position: int, **changes: Any) -> Pipeline:
        """The same pipeline with other parameters for the step at ``position``, counted from 1.

        Raises pydantic's ValidationError when a name or a value does not fit.
        """
        calls = list(self.steps)
        call = calls[position - 1]
        params = type(call.params).model_validate({**call.params.model_dump(), **changes})
        calls[position - 1] = StepCall(name=call.name, params=params)
        return self.model_copy(update={"steps": tuple(calls)})


def _call(given: Any) -> tuple[str, Any]:
    """Name and parameters of a step, in whichever way they are written."""
    match given:
        case str():
            name, _, short = given.partition(":")
            return name.strip(), short.strip() or {}
        case {**one} if len(one) == 1:
            [(key, params)] = one.items()
            return str(key), params
        case [str(name)]:
            return name, {}
        case [str(name), params]:
            return name, params
    raise ValueError(f"a step is a name, or one name with its parameters; this is {repr(given)[:80]}")


def _left_out(given: Any) -> bool:
    return not isinstance(given, StepCall) and _call(given)[1] is False


def _step(name: str) -> Step:
    if step := PIXEL_STEPS.get(ALIASES.get(name, name)):
        return step
    known = [f"there is no step {name[:80]!r}; there are: {', '.join(PIXEL_STEPS)}"]
    hint = nearest(name, [*PIXEL_STEPS, *ALIASES])
    if name.lower().endswith((".yaml", ".yml", ".json")):
        hint = f"for the steps of a file write @{name}"
    raise ValueError("; ".join(filter(None, [*known, hint])))


def _params(step: Step, given: Any, alias: Forms) -> Params:
    """Parameters by name or in a short form, which an alias may read another way; ``true``, or nothing: defaults."""
    if given is None or isinstance(given, bool):
        given = step.true if given else {}
    if isinstance(given, dict):
        given = {**besides(given, alias), **given}
    else:
        expanded = expand(str(given), {**step.short, **alias}) if isinstance(given, str | int | float) else None
        if expanded is None or any(set(str(expanded.get(name, 1)).strip()) == {"0"} for name in step.off):
            ways = " or ".join(spelt(step.name, step.short)) or f"{step.name}, which takes no parameters in short"
            raise _misread([((step.name,), f"{str(given)[:80]!r} cannot be read; write {ways}", given)])
        given = expanded
    fields = list(step.params.model_fields)
    try:
        return step.params.model_validate(given)
    except ValidationError as error:
        raise _misread([((step.name, *f.place), f.message, f.given) for f in faults(error, fields)]) from None


def _misread(found: Iterable[tuple[tuple[str | int, ...], str, Any]]) -> ValidationError:
    """Faults of a step's parameters, for pydantic to say where in the document the step stands."""
    details = [
        InitErrorDetails(type=PydanticCustomError("misread", "{text}", {"text": text}), loc=place, input=given)
        for place, text, given in found
    ]
    return ValidationError.from_exception_data("step", details)


FIELDS = {"": Pipeline.model_fields, "output": Encoding.model_fields, "limits": Limits.model_fields}


class Fault(NamedTuple):
    """One thing that is wrong with a document: where, counted from 0 as in the document, and what."""

    place: tuple[str | int, ...]
    message: str
    given: Any = None

    def __str__(self) -> str:
        """The fault in one line; steps are counted from 1."""
        match self.place:
            case ("steps" | "operations", int(i), *rest):
                where = ", ".join(filter(None, [f"step {i + 1}", ".".join(map(str, rest))]))
            case place:
                where = ".".join(map(str, place))
        return f"{where}: {self.message}" if where else self.message


class BadPipelineError(BadParametersError):
    """A document is no pipeline; ``faults`` are all that is wrong with it."""

    def __init__(self, where: str, faults: list[Fault]) -> None:
        super().__init__("\n".join(f"{where}: {fault}" for fault in faults))
        self.faults = faults


def parse(document: Any, *, where: str = "pipeline") -> Pipeline:
    """A pipeline from plain data, as YAML or JSON gives it.

    Raises BadPipelineError, one line per fault, each with its place in the document.
    """
    if not isinstance(document, dict):
        example = "a pipeline is a mapping such as {steps: [scale, grayscale]}; this is not"
        raise BadPipelineError(where, [Fault((), example)])
    try:
        return Pipeline.model_validate(document)
    except ValidationError as error:
        raise BadPipelineError(where, faults(error)) from None


def faults(error: ValidationError, fields: Sequence[str] = ()) -> list[Fault]:
    """What pydantic found wrong, in words; where a name is unknown, which of ``fields`` may have been meant."""
    found = []
    for fault in error.errors(include_url=False, include_context=False):
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            *around, name = map(str, fault["loc"])
            known = fields or list(FIELDS.get(".".join(around), ()))
            there = f"there are: {', '.join(known)}" if known else "it has none"
            message = "; ".join(filter(None, [f"there is no {name[:80]!r}", there, nearest(name, known)]))
        elif fault["type"] not in {"missing", "value_error", "misread"}:
            message += f" (given: {str(fault['input'])[:80]})"
        found.append(Fault(fault["loc"], message, fault["input"]))
    return found


def explain(error: ValidationError, where: str) -> str:
    """A validation error in one line per fault: place, what is wrong, what was given."""
    return "\n".join(f"{where}: {fault}" if where else str(fault) for fault in faults(error))
