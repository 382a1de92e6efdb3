"""What a request asks for: parameters of its query over what the service was started with, then the picture's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from fastapi import Request

from imgflow_service.settings import ServiceLimits, ServiceSettings
from imgflow_service.wire import pipelines
from imgflow_service.wire.pipelines import Wish
from imgflow_service.wire.problems import Problem, once
from imgflow_service.wire.processor_pb2 import ProcessRequest, Scaling
from imgflow_steps.codec import Header
from imgflow_steps.pipeline.model import BadPipelineError, Pipeline, parse

NUMBERS = {"width": (1, 65_535), "height": (1, 65_535), "quality": (1, 100)}
CHOICES = {"mode": ("fit", "cover", "exact"), "format": ("jpeg", "jpg", "png", "webp")}
WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
TRUTHS = {"scale": "scaling", "grayscale": "grayscale"}  # and the fields of a wish
WISHES = (*NUMBERS, *CHOICES, *TRUTHS)
PARAMETERS = (*WISHES, "steps", "pipeline", "name")
DRAWS = {"augment"}  # steps that draw by chance from the name of the picture


@dataclass(frozen=True, slots=True)
class Decided:
    """What the processors are asked for one picture; ``digest`` is of all that decides the bytes of the result."""

    pipeline: Pipeline
    digest: str
    wish: Wish | None  # None where the request brought a pipeline
    name: str

    def request(self, request_id: str) -> ProcessRequest:
        """The message, but for the picture."""
        request = ProcessRequest(name=self.name, request_id=request_id)
        if self.wish is None:
            request.pipeline_json = pipelines.written(self.pipeline)
            return request
        wish = self.wish
        scaling = Scaling(enabled=wish.scaling, width=wish.width, height=wish.height, mode=wish.mode)
        request.scaling.CopyFrom(scaling)
        request.grayscale, request.format, request.quality = wish.grayscale, wish.format, wish.quality
        return request


@dataclass(frozen=True, slots=True)
class Choice:
    """What a request asks for, before its picture is looked at."""

    settings: ServiceSettings
    wish: Wish
    pipeline: Pipeline | None = None
    name: str = ""

    def named(self, name: str) -> Choice:
        """The same of a picture whose file has a name, unless the request says another."""
        return self if self.name else replace(self, name=name)

    def decide(self, header: Header) -> Decided:
        """With what is known of the picture: one that fits is not scaled."""
        if self.pipeline is not None:
            return self._decided(self.pipeline)
        fits = _fits(header, self.wish)
        return self.wished(scaling=self.wish.scaling and not fits)

    def wished(self, *, scaling: bool) -> Decided:
        """What is asked for, scaled or not."""
        if self.pipeline is not None:
            return self._decided(self.pipeline)
        wish = replace(self.wish, scaling=scaling)
        return _wished(wish, self.settings.limits)

    def _decided(self, pipeline: Pipeline) -> Decided:
        draws = any(call.name in DRAWS for call in pipeline.steps)
        name = self.name if draws else ""
        return Decided(pipeline, pipelines.digest(pipeline, name), None, name)


@lru_cache(maxsize=256)  # most requests ask for the same, and to check and to digest it takes a millisecond
def _wished(wish: Wish, limits: ServiceLimits) -> Decided:
    pipeline = wish.pipeline(limits.of_pipeline)
    return Decided(pipeline, pipelines.digest(pipeline), wish, "")


def unrepeated(request: Request) -> None:
    """Let a request pass, as a dependency of routes, unless a name is given twice: which of them is meant is unknown.

    Raises Problem.
    """
    once(name for name, _ in request.query_params.multi_items())


def choose(query: Mapping[str, str], settings: ServiceSettings) -> Choice:
    """What a query asks for. Raises Problem, with every fault of a pipeline."""
    if unknown := [name for name in query if name not in PARAMETERS]:
        raise Problem("bad-request", f"there is no parameter {unknown[0][:80]!r}; there are: {', '.join(PARAMETERS)}")
    given = {name: value for name, value in query.items() if name != "name"}
    if given and not settings.overrides:
        raise Problem("bad-request", f"this service takes no parameters such as {next(iter(given))!r}; its own hold")
    name = query.get("name", "")
    wish = Wish.of(settings)
    if "steps" in query or "pipeline" in query:
        return Choice(settings, wish, _pipeline(query, settings), name)
    changes: dict[str, Any] = {one: _number(one, query[one]) for one in NUMBERS if one in query}
    changes |= {one: _one_of(one, query[one]) for one in CHOICES if one in query}
    changes |= {field: _truth(one, query[one]) for one, field in TRUTHS.items() if one in query}
    return Choice(settings, replace(wish, **changes), None, name)


def _fits(header: Header, wish: Wish) -> bool:
    """Whether scaling would leave the picture as it is, whichever way its sides come."""
    ways = [(header.width, header.height)]
    if not header.certain:
        ways.append((header.height, header.width))
    if wish.mode == "fit":
        return all(width <= wish.width and height <= wish.height for width, height in ways)
    return all((width, height) == (wish.width, wish.height) for width, height in ways)


def _pipeline(query: Mapping[str, str], settings: ServiceSettings) -> Pipeline:
    limits = settings.limits.of_pipeline
    if "pipeline" in query and (others := [name for name in query if name not in {"pipeline", "name"}]):
        raise Problem("bad-request", f"{others[0]} goes without a pipeline, which says all itself")
    if extra := [name for name in query if name in WISHES and name not in {"format", "quality"}]:
        raise Problem("bad-request", f"{extra[0]} goes without steps: say it as a step, such as scale:640x480")
    output = {
        "format": query.get("format", settings.format),
        "quality": _number("quality", query["quality"]) if "quality" in query else settings.quality,
    }
    try:
        if "pipeline" in query:
            return pipelines.read(query["pipeline"], limits)
        steps = [one for one in query["steps"].split(",") if one.strip()]
        return pipelines.bounded(parse({"steps": steps, "output": output}), limits)
    except BadPipelineError as error:
        raise bad_pipeline(error) from None


def bad_pipeline(error: BadPipelineError) -> Problem:
    """All that is wrong with a pipeline, each with its place."""
    faults = [{"place": ".".join(map(str, fault.place)), "message": fault.message} for fault in error.faults]
    return Problem("bad-pipeline", "; ".join(map(str, error.faults)), more={"faults": faults})


def _number(name: str, text: str) -> int:
    least, most = NUMBERS[name]
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise Problem("bad-request", f"{name} is a whole number from {least} to {most}, not {text[:80]!r}")
    return int(text)


def _one_of(name: str, text: str) -> str:
    if text not in CHOICES[name]:
        raise Problem("bad-request", f"{name} is one of {', '.join(CHOICES[name])}, not {text[:80]!r}")
    return "jpeg" if text == "jpg" else text


def _truth(name: str, text: str) -> bool:
    if text.lower() not in WORDS:
        raise Problem("bad-request", f"{name} is true or false, not {text[:80]!r}")
    return WORDS[text.lower()]
