"""``imagescaler.ImageScaler`` over gRPC, for clients of that API: as ``POST /v1/images`` without parameters."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import grpc

from imgflow_service.api import urls
from imgflow_service.api.choice import choose
from imgflow_service.wire import status
from imgflow_service.wire.imagescaler_pb2 import ScaleImageReply, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerServicer
from imgflow_service.wire.problems import Problem
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
        started = asyncio.get_running_loop().time()
        request_id, code = uuid4().hex, ""
        try:
            return await self._scaled(request, context, request_id)
        except Problem as problem:
            code = problem.code
            await context.abort(*status.said(problem))
        except Exception as error:  # noqa: BLE001 - said in the log, and to the client in words
            code = "internal"
            _LOG.exception("internal")
            await context.abort(*status.said(Problem("internal", f"{type(error).__name__}; the log says more")))
        finally:
            seconds = asyncio.get_running_loop().time() - started
            number = Problem(code, "").status if code else 200
            self._front.telemetry.answered(ROUTE, number, code, seconds)
            said = facts(path=ROUTE, status=number, code=code, ms=round(seconds * 1000, 1), request_id=request_id)
            _LOG.info("request", extra=said)
        raise AssertionError

    async def _scaled(self, request: ScaleImageRequest, context: Context, request_id: str) -> ScaleImageReply:
        front = self._front
        front.guests.admit({str(name): str(value) for name, value in context.invocation_metadata() or ()})
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
            had = await front.picture(data, choice, seconds, request_id)
            return ScaleImageReply(content=had.made.pieces[0].data)
