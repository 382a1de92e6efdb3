"""What a processor is asked, whichever way it came: checked, computed, and told as a message."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import platform
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgflow_service.processor.crew import Task
from imgflow_service.wire import pipelines
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.pipelines import Wish
from imgflow_service.wire.problems import FAULT, Problem
from imgflow_service.wire.processor_pb2 import Picture, ProcessRequest, ProcessResponse
from imgflow_steps.contract.options import CONTENT_TYPE
from imgflow_steps.pipeline.model import BadPipelineError
from imgflow_steps.worker.log import facts

if TYPE_CHECKING:
    from imgflow_service.processor.crew import Crew, Done
    from imgflow_service.settings import ServiceSettings
    from imgflow_service.wire.tracing import Span
    from imgflow_steps.pipeline.model import Pipeline

SAID = {  # what the house's codes are called here, where they would say something else
    "stalled": "timeout",  # the machine's doing, not the picture's
    "timeout": "too-slow",  # of processor time: the same picture would be so again
    "empty": "bad-request",
}
LOOKED_UP = 64  # pipelines whose JSON and digest are kept: most requests ask for the same

_LOG = logging.getLogger(__name__)


class Pictures:
    """The work of a processor, for its gRPC and its HTTP."""

    def __init__(self, settings: ServiceSettings, crew: Crew) -> None:
        self._settings, self._crew = settings, crew
        self._default = Wish.of(settings)
        self._limits = settings.limits.of_pipeline
        self._known: dict[Any, tuple[Pipeline, str, str]] = {}

    async def process(self, asked: ImageRequest, seconds: float | None, span: Span) -> ProcessResponse:
        """One picture, within ``seconds`` or the service's own time; ``span`` is told what became of it.

        Raises Problem, whatever is wrong.
        """
        request_id = asked.request.request_id
        span.note({"imgflow.request_id": request_id, "imgflow.bytes": len(asked.image)})
        try:
            response = await self._processed(asked, seconds)
        except Problem as problem:
            said = {"code": problem.code, "message": problem.detail}
            _LOG.info("refused", extra=facts(**said, request_id=request_id, traceparent=span.trace.parent))
            span.note({"imgflow.code": problem.code})
            if problem.status >= FAULT:
                span.failed(problem.code)
            raise
        span.note({f"imgflow.ms.{part}": ms for part, ms in response.ms.items()})
        return response

    async def _processed(self, asked: ImageRequest, seconds: float | None) -> ProcessResponse:
        request, image = asked
        if not image:
            raise Problem("bad-request", "the request holds no image")
        if len(image) > self._limits.bytes:
            raise Problem("too-many-bytes", f"{len(image)} bytes; the limit is {self._limits.bytes}")
        if request.sha256 and hashlib.sha256(image).hexdigest() != request.sha256.lower():
            raise Problem("bad-request", "the image is not the one whose SHA-256 was given: it changed on the way")
        pipeline, text, digest = self._meant(request)
        most = self._settings.timeout
        patience = most if seconds is None else min(seconds, most)
        began = time.monotonic()
        try:
            async with asyncio.timeout(patience):  # gRPC ends a call at its deadline by itself, HTTP does not
                done = await self._crew.process(Task(image, text, request.name), patience)
        except TimeoutError:
            raise Problem("timeout", f"the picture was not done within {patience:g} seconds") from None
        if done.answer.code:
            raise _problem(done)
        response = _response(done, CONTENT_TYPE.get(pipeline.output.format, ""))
        response.digest, response.processor = digest, platform.node()
        response.ms["processor"] = round((time.monotonic() - began) * 1000, 3)
        return response

    def _meant(self, request: ProcessRequest) -> tuple[Pipeline, str, str]:
        key = (
            request.pipeline_json or (*_numbers(request),),
            bool(request.HasField("scaling") or request.grayscale or request.format or request.quality),
        )
        if key not in self._known:
            if len(self._known) >= LOOKED_UP:
                self._known.clear()
            pipeline = self._pipeline(request)
            self._known[key] = (pipeline, pipelines.written(pipeline), pipelines.digest(pipeline))
        return self._known[key]

    def _pipeline(self, request: ProcessRequest) -> Pipeline:
        numbers = request.HasField("scaling") or request.grayscale or request.format or request.quality
        try:
            if not request.pipeline_json:
                return self._wish(request).pipeline(self._limits)
            if numbers:
                raise Problem("bad-pipeline", "scaling, grayscale, format and quality go without a pipeline")
            return pipelines.read(request.pipeline_json, self._limits)
        except BadPipelineError as error:
            raise Problem("bad-pipeline", str(error)) from None

    def _wish(self, request: ProcessRequest) -> Wish:
        default, scaling = self._default, request.scaling
        return replace(
            default,
            scaling=scaling.enabled,
            width=scaling.width or default.width,
            height=scaling.height or default.height,
            mode=scaling.mode or default.mode,
            grayscale=request.grayscale,
            format=request.format or default.format,
            quality=request.quality or default.quality,
        )


def _numbers(request: ProcessRequest) -> tuple[Any, ...]:
    scaling = request.scaling
    asked = (scaling.enabled, scaling.width, scaling.height, scaling.mode)
    return (*asked, request.grayscale, request.format, request.quality)


def _problem(done: Done) -> Problem:
    answer = done.answer
    return Problem(SAID.get(answer.code, answer.code), answer.message)


def _response(done: Done, content_type: str) -> ProcessResponse:
    answer = done.answer
    pictures = [
        Picture(
            piece=result.piece,
            data=data,
            width=result.width,
            height=result.height,
            content_type=content_type,
            sha256=result.sha256,
            found_json=result.found,
        )
        for result, data in zip(answer.results, done.data, strict=True)
    ]
    return ProcessResponse(
        pictures=pictures,
        source_width=answer.width,
        source_height=answer.height,
        source_format=answer.format,
        ms=answer.ms,
    )
