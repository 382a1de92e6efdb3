"""``imagescaler.ImageScaler`` over gRPC, for clients of that API: as ``POST /v1/images`` without parameters."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import grpc

from imgflow_service.api import urls
from imgflow_service.api.choice import choose
from imgflow_service.api.middleware import GONE
from imgflow_service.wire import status
from imgflow_service.wire.imagescaler_pb2 import ScaleImageReply, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerServicer
from imgflow_service.wire.problems import FAULT, Problem
from imgflow_service.wire.tracing import REQUEST, Span, Trace, request_id
from imgflow_steps.worker.log import facts

if TYPE_CHECKING:
    from imgflow_service.api.front import Front

SERVICE = "imagescaler.ImageScaler"
ROUTE = f"{SERVICE}/ScaleImage"
DONE = 200  # statuses are those of HTTP
ROUND = 0.2  # seconds by which a client's deadline may be over before ours is

_LOG = logging.getLogger("imgflow_service.api")
Context = grpc.aio.ServicerContext[Any, Any]


class Scaler(ImageScalerServicer):
    """See the proto."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def ScaleImage(self, request: ScaleImageRequest, context: Context) -> ScaleImageReply:  # noqa: N802 - of the proto
        """See the proto."""
        given = [(str(name), str(value)) for name, value in context.invocation_metadata() or ()]
        told, asked = dict(given), Trace.read(given)
        identity = request_id(told.get(REQUEST, ""))
        with self._front.tracer.span(ROUTE, asked, "server") as span:
            trailer = ((REQUEST, identity), *span.trace.headers().items())
            context.set_trailing_metadata(trailer)
            answer = await self._answer(request, context, told, identity, span)
        if isinstance(answer, ScaleImageReply):
            return answer
        await context.abort(*status.said(answer, trailer))
        raise AssertionError

    async def _answer(
        self, request: ScaleImageRequest, context: Context, told: dict[str, str], identity: str, span: Span
    ) -> ScaleImageReply | Problem:
        started, code, number = asyncio.get_running_loop().time(), "", GONE
        try:
            reply = await self._scaled(request, context, told, identity, span.trace)
        except Problem as problem:
            code, number = problem.code, problem.status
            return problem
        except asyncio.CancelledError:  # by gRPC: the client has left, or its time is up
            left = context.time_remaining()
            if left is not None and left < ROUND:
                code, number = "timeout", Problem("timeout", "").status
            raise
        except Exception as error:  # noqa: BLE001 - said in the log, and to the client in words
            code, number = "internal", FAULT
            _LOG.exception("internal")
            return Problem("internal", f"{type(error).__name__}; the log says more")
        else:
            number = DONE
            return reply
        finally:
            seconds = asyncio.get_running_loop().time() - started
            self._front.telemetry.answered(ROUTE, number, code, seconds)
            if number == GONE:
                self._front.telemetry.gone()
            said = {"path": ROUTE, "status": number, "code": code, "ms": round(seconds * 1000, 1)}
            _LOG.info("request", extra=facts(**said, request_id=identity, traceparent=span.trace.parent))
            span.note({"rpc.system": "grpc", "imgflow.code": code, "imgflow.request_id": identity})
            if number >= FAULT:
                span.failed(code)

    async def _scaled(
        self, request: ScaleImageRequest, context: Context, told: dict[str, str], identity: str, trace: Trace
    ) -> ScaleImageReply:
        front = self._front
        front.guests.admit(told)
        remaining = context.time_remaining()
        seconds = front.settings.timeout if remaining is None else min(remaining, front.settings.timeout)
        ends = time.monotonic() + seconds
        with front.admission.place() as place:
            data, name = request.image.content, ""
            if not data and request.image.source.http_uri:
                url = request.image.source.http_uri
                place.reserve(front.settings.limits.bytes)
                data, name = await front.urls.fetch(url, seconds), urls.name(url)
            place.reserve(len(data))
            await place.room(len(data), ends - time.monotonic())
            choice = choose({}, front.settings).named(name)
            had = await front.picture(data, choice, ends - time.monotonic(), identity, trace)
            return ScaleImageReply(content=had.made.pieces[0].data)
