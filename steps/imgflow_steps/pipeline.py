"""A pipeline as data: ordered pixel steps with their parameters, its digest and its decode plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

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

from imgflow_steps import augment, blur, collect, crop, grayscale, infer, normalize, rotate, scale, split
from imgflow_steps import list as list_step
from imgflow_steps.contract import BadParametersError, Params, Role, Step, Target
from imgflow_steps.spelling import expand, nearest, spelt

STEPS: dict[str, Step] = {
    step.name: step
    for step in (
        list_step.STEP,
        scale.STEP,
        grayscale.STEP,
        crop.STEP,
        rotate.STEP,
        split.STEP,
        blur.STEP,
        normalize.STEP,
        augment.STEP,
        infer.STEP,
        collect.STEP,
    )
}
PIXEL_STEPS: dict[str, Step] = {name: step for name, step in STEPS.items() if step.role is Role.PIXELS}
ALIASES = {alias: step.name for step in PIXEL_STEPS.values() for alias in step.aliases}

# What the door between bytes and pixels does is part of every result, so part of every digest.
PICTURE_VERSION = 2


class Output(BaseModel):
    """The one lossy encoding, after the last step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["jpeg", "png", "webp", "none"] = Field(default="jpeg", description="none: publish findings only.")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG and WebP quality.")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        return {"format": given} if isinstance(given, str) else given

    @field_validator("format", mode="before")
    @classmethod
    def _read_format(cls, given: Any) -> Any:
        return "jpeg" if given == "jpg" else given


class Limits(BaseModel):
    """What a single image may cost; beyond it the image is rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(default=256 << 20, ge=1, description="Size of the encoded image, in bytes.")
    pixels: int = Field(default=200_000_000, ge=1, description="Width times height, in pixels.")
    seconds: float = Field(default=60, gt=0, le=3600, description="Time in all steps together, in seconds.")
    memory: int = Field(default=2 << 30, ge=256 << 20, description="Memory of one computing process, in bytes.")
    pieces: int = Field(default=256, ge=1, le=10_000, description="Pictures that steps may make of it.")


class DecodePlan(BaseModel):
    """What the first step of a pipeline needs at most, so that no more is decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    luma: bool = False
    width: int = Field(default=0, ge=0, description="Box in upright pixels; 0: every pixel.")
    height: int = Field(default=0, ge=0)
    mode: Literal["fit", "cover", "exact"] = "fit"


class StepCall(BaseModel):
    """A step and its parameters at one place of a pipeline; in JSON and YAML ``{name: {parameter: value}}``.

    Read are also ``name``, ``{name: short form}``, ``"name:short form"`` and ``[name, any of these]``.
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
        return {"name": step.name, "params": _params(step, params)}

    @property
    def step(self) -> Step:
        """The declaration."""
        return PIXEL_STEPS[self.name]


class Pipeline(BaseModel):
    """Pixel steps in order, the encoder at the end, and the limits per image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[StepCall, ...] = Field(validation_alias=AliasChoices("steps", "operations"))
    output: Output = Output()
    limits: Limits = Limits()

    @field_validator("steps", mode="before")
    @classmethod
    def _read_steps(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not value:
            what = "there is no step" if value == [] else "this is no list"
            raise ValueError(f"{what}; steps is a list such as [{{scale: {{width: 512}}}}, grayscale]")
        return value

    @field_serializer("steps")
    def _write_steps(self, steps: tuple[StepCall, ...]) -> list[dict[str, dict[str, Any]]]:
        return [{call.name: call.params.model_dump(mode="json")} for call in steps]

    @property
    def labels(self) -> list[str]:
        """The steps' names, made unique by their position where a step occurs twice."""
        names = [call.name for call in self.steps]
        return [n if names.count(n) == 1 else f"{n}.{i}" for i, n in enumerate(names, 1)]

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


def _step(name: str) -> Step:
    if step := PIXEL_STEPS.get(ALIASES.get(name, name)):
        return step
    known = [f"there is no step {name[:80]!r}; there are: {', '.join(PIXEL_STEPS)}"]
    raise ValueError("; ".join(filter(None, [*known, nearest(name, [*PIXEL_STEPS, *ALIASES])])))


def _params(step: Step, given: Any) -> Params:
    """Parameters by name, in the step's short form, or its defaults where nothing or only ``true`` is given."""
    if given is None or given is True:
        given = {}
    if not isinstance(given, dict):
        expanded = expand(str(given), step.short) if isinstance(given, str | int | float) else None
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


FIELDS = {"": Pipeline.model_fields, "output": Output.model_fields, "limits": Limits.model_fields}


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


def decode_plan(pipeline: Pipeline) -> DecodePlan:
    """Walk the steps backwards from the result and say what the first one needs at most.

    Luma alone is enough from a step that drops colour back through all that keep luma; a box holds
    from the step that names it back through all whose pixels depend on the same pixel only.
    """
    luma = False
    target: Target | None = None
    for call in reversed(pipeline.steps):
        step = call.step
        luma = step.drops_colour or (luma and step.keeps_luma(call.params))
        target = step.target(call.params) or (target if step.keeps_size else None)
    if target is None:
        return DecodePlan(luma=luma)
    return DecodePlan(luma=luma, width=target.width, height=target.height, mode=target.mode)
