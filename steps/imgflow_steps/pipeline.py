"""A pipeline as data: ordered pixel steps with their parameters, its digest and its decode plan."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator

from imgflow_steps import collect, grayscale, infer, scale
from imgflow_steps import list as list_step
from imgflow_steps.contract import BadParametersError, Params, Role, Step, Target

STEPS: dict[str, Step] = {
    step.name: step for step in (list_step.STEP, scale.STEP, grayscale.STEP, infer.STEP, collect.STEP)
}
PIXEL_STEPS: dict[str, Step] = {name: step for name, step in STEPS.items() if step.role is Role.PIXELS}

# What the door between bytes and pixels does is part of every result, so part of every digest.
PICTURE_VERSION = 2


class Output(BaseModel):
    """The one lossy encoding, after the last step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["jpeg", "png", "webp", "none"] = Field(default="jpeg", description="none: publish findings only.")
    quality: int = Field(default=85, ge=1, le=100, description="JPEG and WebP quality.")


class Limits(BaseModel):
    """What a single image may cost; beyond it the image is rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(default=256 << 20, ge=1, description="Size of the encoded image, in bytes.")
    pixels: int = Field(default=200_000_000, ge=1, description="Width times height, in pixels.")
    seconds: float = Field(default=60, gt=0, le=3600, description="Time in all steps together, in seconds.")
    memory: int = Field(default=2 << 30, ge=256 << 20, description="Memory of one computing process, in bytes.")


class DecodePlan(BaseModel):
    """What the first step of a pipeline needs at most, so that no more is decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    luma: bool = False
    width: int = Field(default=0, ge=0, description="Box in upright pixels; 0: every pixel.")
    height: int = Field(default=0, ge=0)
    mode: Literal["fit", "cover", "exact"] = "fit"


class StepCall(BaseModel):
    """A step and its parameters at one place of a pipeline; in JSON and YAML ``{name: {parameter: value}}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    params: Params

    @property
    def step(self) -> Step:
        """The declaration."""
        return PIXEL_STEPS[self.name]


class Pipeline(BaseModel):
    """Pixel steps in order, the encoder at the end, and the limits per image."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[StepCall, ...] = Field(min_length=1)
    output: Output = Output()
    limits: Limits = Limits()

    @field_validator("steps", mode="before")
    @classmethod
    def _read_steps(cls, value: Any) -> Any:
        if not isinstance(value, (list, tuple)) or not value:
            raise ValueError("steps is a list such as [{scale: {width: 512}}, grayscale]")
        return tuple(_read_step(item) for item in value)

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


def _read_step(item: Any) -> StepCall:
    if isinstance(item, StepCall):
        return item
    if isinstance(item, str):
        item = {item: {}}
    if not isinstance(item, dict) or len(item) != 1:
        raise ValueError(f"a step is a name, or one name with its parameters; this is {repr(item)[:80]}")
    [(name, params)] = item.items()
    if name not in PIXEL_STEPS:
        raise ValueError(f"there is no step {name!r}; there are: {', '.join(PIXEL_STEPS)}")
    try:
        return StepCall(name=name, params=PIXEL_STEPS[name].params.model_validate(params or {}))
    except ValidationError as error:
        raise ValueError(explain(error, name)) from None


def parse(document: Any, *, where: str = "pipeline") -> Pipeline:
    """A pipeline from plain data, as YAML or JSON gives it.

    Raises BadParametersError, one line per fault, each with its place in the document.
    """
    if not isinstance(document, dict):
        raise BadParametersError(f"{where}: a pipeline is a mapping such as {{steps: [scale, grayscale]}}; this is not")
    try:
        return Pipeline.model_validate(document)
    except ValidationError as error:
        raise BadParametersError(explain(error, where)) from None


def explain(error: ValidationError, where: str) -> str:
    """A validation error in one line per fault: place, what is wrong, what was given."""
    lines = []
    for fault in error.errors(include_url=False, include_context=False):
        place = ".".join(filter(None, [where, *(str(part) for part in fault["loc"])]))
        given = "" if fault["type"] in {"missing", "value_error"} else f" (given: {str(fault['input'])[:80]})"
        lines.append(f"{place}: {fault['msg'].removeprefix('Value error, ')}{given}")
    return "\n".join(lines)


def decode_plan(pipeline: Pipeline) -> DecodePlan:
    """Walk the steps backwards from the result and say what the first one needs at most.

    Luma alone is enough from a step that drops colour back through all that keep luma; a box holds
    from the step that names it back through all whose pixels depend on the same pixel only.
    """
    luma = False
    target: Target | None = None
    for call in reversed(pipeline.steps):
        step = call.step
        luma = step.drops_colour or (luma and step.keeps_luma)
        target = step.target(call.params) or (target if step.keeps_size else None)
    if target is None:
        return DecodePlan(luma=luma)
    return DecodePlan(luma=luma, width=target.width, height=target.height, mode=target.mode)
