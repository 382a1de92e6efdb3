"""``imagescaler.ImageScaler`` over gRPC, for clients of that API: as ``POST /v1/images`` without parameters."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import grpc

from imgflow_service.api import urls
from imgflow_service.api.choice import choose
from imgflow_service.wire import status
from imgflow_service.wire.imagescaler_pb2 import ScaleImageReply, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerServicer
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.tracing import REQUEST, Span, Trace, request_id
from imgflow_steps.worker.log import facts

if TYPE_CHECKING:
    from imgflow_service.api.front import Front

SERVICE = "imagescaler.ImageScaler"
ROUTE = f"{SERVICE}/ScaleImage"

_LOG = logging.getLogger("imgflow_service.api")
Context = grpc.aio.ServicerContext[Any, Any]


class Scaler(ImageScalerServicer):
    """See the proto."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def ScaleImage(self, request: ScaleImageRequest, context: Context) -> ScaleImageReply:  # noqa: N802 - of the proto
        """See the proto."""
        told = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
        with self._front.tracer.span(ROUTE, Trace.read(told.items()), "server") as span:
            return await self._answered(request, context, told, span)

    async def _answered(
        self, request: ScaleImageRequest, context: Context, told: dict[str, str], span: Span
    ) -> ScaleImageReply:
        started = asyncio.get_running_loop().time()
        about, code = {"request_id": request_id(told.get(REQUEST, "")), "traceparent": span.trace.parent}, ""
        trailer = ((REQUEST, about["request_id"]), *span.trace.headers().items())
        context.set_trailing_metadata(trailer)
        try:
            return await self._scaled(request, context, told, about["request_id"], span.trace)
        except Problem as problem:
            code = problem.code
            await context.abort(*status.said(problem, trailer))
        except Exception as error:  # noqa: BLE001 - said in the log, and to the client in words
            code = "internal"
            _LOG.exception("internal")
            said = Problem("internal", f"{type(error).__name__}; the log says more")
            await context.abort(*status.said(said, trailer))
        finally:
            seconds = asyncio.get_running_loop().time() - started
            number = Problem(code, "").status if code else 200
            self._front.telemetry.answered(ROUTE, number, code, seconds)
            _LOG.info(
                "request", extra=facts(path=ROUTE, status=number, code=code, ms=round(seconds * 1000, 1), **about)
            )
            span.note({"rpc.system": "grpc", "imgflow.code": code, "imgflow.request_id": about["request_id"]})
            if code:
                span.failed(code)
        raise AssertionError

    async def _scaled(
        self, request: ScaleImageRequest, context: Context, told: dict[str, str], name_of: str, trace: Trace
    ) -> ScaleImageReply:
        front = self._front
        front.guests.admit(told)
        remaining = context.time_remaining()
        seconds = front.settings.timeout if remaining is None else min(remaining, front.settings.timeout)
        with front.admission.place() as place:
            data, name = request.image.content, ""
            if not data and request.image.source.http_uri:
                url = request.image.source.http_uri
                place.reserve(front.settings.limits.bytes)
                data, name = await front.urls.fetch(url, seconds), urls.name(url)
            place.reserve(len(data))
            choice = choose({}, front.settings).named(name)
            had = await front.picture(data, choice, seconds, name_of, trace)
            return ScaleImageReply(content=had.made.pieces[0].data)
