"""Which pipeline a request means: the service's own with other numbers, or one that the request brings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from imgflow_service.settings import ServiceSettings
from imgflow_steps.contract.options import Limits
from imgflow_steps.contract.step import file_fields
from imgflow_steps.pipeline.model import BadPipelineError, Fault, Pipeline, parse


@dataclass(frozen=True, slots=True)
class Wish:
    """What the service makes of a picture unless a pipeline says it: a box or none, grey or not, how it is written."""

    scaling: bool
    width: int
    height: int
    mode: str
    grayscale: bool
    format: str
    quality: int

    @classmethod
    def of(cls, settings: ServiceSettings) -> Wish:
        """What the service was started to make."""
        s = settings
        return cls(
            scaling=True,
            width=s.width,
            height=s.height,
            mode=s.mode,
            grayscale=s.grayscale,
            format=s.format,
            quality=s.quality,
        )

    def pipeline(self, limits: Limits) -> Pipeline:
        """The same as steps. Raises BadPipelineError."""
        steps: list[Any] = []
        if self.scaling:
            steps.append({"scale": {"width": self.width, "height": self.height, "mode": self.mode}})
        if self.grayscale:
            steps.append("grayscale")
        if not steps:
            steps.append({"scale": {"percent": 100}})  # only written anew: a pipeline has one step at least
        return bounded(parse({"steps": steps, "output": {"format": self.format, "quality": self.quality}}), limits)


def bounded(pipeline: Pipeline, limits: Limits) -> Pipeline:
    """A pipeline that a client may ask for, with the limits of the service.

    Raises BadPipelineError where a parameter names a file: it would be one of the processor's own.
    """
    faults = [
        Fault(("steps", at, call.name, name), "the service opens no files; leave it out for the one it ships")
        for at, call in enumerate(pipeline.steps)
        for name in file_fields(call.params)
    ]
    if faults:
        raise BadPipelineError("pipeline", faults)
    return pipeline.model_copy(update={"limits": limits})


def read(text: str, limits: Limits) -> Pipeline:
    """A pipeline from JSON. Raises BadPipelineError."""
    try:
        document = loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        why = "its values are nested too deeply" if isinstance(error, RecursionError) else error
        raise BadPipelineError("pipeline", [Fault((), f"this is not JSON: {why}")]) from None
    except ValueError as error:
        raise BadPipelineError("pipeline", [Fault((), str(error))]) from None
    return bounded(parse(document), limits)


def loads(text: str | bytes) -> Any:
    """What JSON says. Raises ValueError for none, and for a key that is given twice; RecursionError."""
    return json.loads(text, object_pairs_hook=_each_once)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, value in pairs:
        if name in document:  # which of them is meant is unknown
            raise ValueError(f"{name[:80]!r} is given twice")
        document[name] = value
    return document


def written(pipeline: Pipeline) -> str:
    """A pipeline as JSON, for a processor."""
    return json.dumps(pipeline.model_dump(mode="json"), separators=(",", ":"))


def digest(pipeline: Pipeline, name: str = "") -> str:
    """16 hex digits over what decides the bytes of a result; limits only decide whether there is one.

    ``name`` is that of the picture, where a step draws by chance from it.
    """
    return pipeline.model_copy(update={"limits": Limits()}).digest_for(name)
