"""``imgflow.v1.Processor`` over gRPC."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc

from imgflow_service.wire import messages, status
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.processor_pb2 import ProcessChunk, ProcessedChunk, ProcessRequest, ProcessResponse
from imgflow_service.wire.processors import PROCESS, SERVICE
from imgflow_service.wire.tracing import Trace, Tracer

if TYPE_CHECKING:
    from imgflow_service.processor.pictures import Pictures

CHUNK = 1 << 20  # bytes

_LOG = logging.getLogger(__name__)
Context = grpc.aio.ServicerContext[Any, Any]


class Servicer:
    """See the proto."""

    def __init__(self, pictures: Pictures, largest: int, tracer: Tracer) -> None:
        self._pictures, self._largest, self._tracer = pictures, largest, tracer

    def handler(self) -> grpc.GenericRpcHandler:
        """For a server; requests are read with the picture beside them, which the code from the proto cannot."""
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Process": grpc.unary_unary_rpc_method_handler(
                self.process, messages.read, ProcessResponse.SerializeToString
            ),
            "ProcessStream": grpc.stream_stream_rpc_method_handler(
                self.process_stream, ProcessChunk.FromString, ProcessedChunk.SerializeToString
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def process(self, asked: ImageRequest, context: Context) -> ProcessResponse:
        """See the proto."""
        return await self._answer(asked, context)

    async def process_stream(
        self, request_iterator: AsyncIterator[ProcessChunk], context: Context
    ) -> AsyncIterator[ProcessedChunk]:
        """See the proto."""
        asked = await self._gathered(request_iterator, context)
        response = await self._answer(asked, context)
        data = [picture.data for picture in response.pictures]
        for picture in response.pictures:
            picture.data = b""
        yield ProcessedChunk(header=response)
        for number, one in enumerate(data):
            for at in range(0, len(one), CHUNK):
                yield ProcessedChunk(data=one[at : at + CHUNK], picture=number)

    async def _answer(self, asked: ImageRequest, context: Context) -> ProcessResponse:
        told = ((str(name), str(value)) for name, value in context.invocation_metadata() or ())
        try:
            with self._tracer.span(PROCESS, Trace.read(told), "server") as span:
                return await self._pictures.process(asked, context.time_remaining(), span)
        except Problem as problem:
            await context.abort(*status.said(problem))
        except Exception as error:  # noqa: BLE001 - said in the log, and to the client in words
            _LOG.exception("internal")
            await context.abort(*status.said(Problem("internal", f"{type(error).__name__}; the log says more")))
        raise AssertionError

    async def _gathered(self, chunks: AsyncIterator[ProcessChunk], context: Context) -> ImageRequest:
        header: ProcessRequest | None = None
        parts: list[bytes] = []
        held = 0
        async for chunk in chunks:
            if chunk.WhichOneof("part") == "header":
                header = chunk.header
                continue
            held += len(chunk.data)
            if held > self._largest:
                await context.abort(*status.said(Problem("too-many-bytes", f"more than {self._largest} bytes")))
            parts.append(chunk.data)
        if header is None:
            await context.abort(*status.said(Problem("bad-request", "the stream holds no header")))
            raise AssertionError
        image = b"".join([header.image, *parts])
        header.ClearField("image")
        return ImageRequest(header, image)
