"""The way to the processors: one channel that finds all of them, shares requests out, and tries again elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Self

import grpc

from imgflow_service.wire import messages, status, strangers
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.processor_pb2 import ProcessResponse
from imgflow_service.wire.tracing import Trace, Tracer

MIB = 1 << 20
ROOM = MIB  # for what a message says beside the picture
LOOK = 1.0  # seconds between two looks at who is there, for a call that nobody has taken
FRAME = 4 * MIB  # bytes of an HTTP/2 frame: with the default of 16 KiB a tenth of all processor time goes into frames
SERVICE = "imgflow.v1.Processor"
PROCESS = f"{SERVICE}/Process"

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": SERVICE},
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 1},
    "methodConfig": [
        {
            "name": [{"service": SERVICE}],
            "waitForReady": True,
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.05s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


def message_options(largest: int) -> list[tuple[str, int]]:
    """What both ends of a connection need for messages with pictures of ``largest`` bytes; results may be larger."""
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", largest),
        ("grpc.http2.max_frame_size", FRAME),
    ]


class Processors:
    """All processors behind one name, such as ``dns:///imgflow-processor-headless:50061``."""

    def __init__(self, target: str, largest: int, tracer: Tracer) -> None:
        self._target, self._tracer = target, tracer
        options: list[tuple[str, int | str]] = [
            *message_options(-1),
            ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
            ("grpc.enable_retries", 1),
            # The default of 256 KiB would switch retries off for every photograph, without a word.
            ("grpc.per_rpc_retry_buffer_size", 2 * (largest + ROOM)),
            ("grpc.dns_min_time_between_resolutions_ms", 1000),
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        self._channel = grpc.aio.insecure_channel(target, options=options)
        self._process = self._channel.unary_unary(
            f"/{PROCESS}", request_serializer=messages.written, response_deserializer=ProcessResponse.FromString
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def process(self, asked: ImageRequest, seconds: float, trace: Trace) -> ProcessResponse:
        """One picture through whichever processor is next; one that is full is passed over once.

        Processing is pure, so every request may be tried again. Raises Problem.
        """
        with self._tracer.span(PROCESS, trace, "client") as span:
            span.note({"rpc.system": "grpc", "imgflow.request_id": asked.request.request_id})
            try:
                return await self._tried(asked, seconds, span.trace)
            except Problem as problem:
                span.failed(problem.code)
                raise

    async def _tried(self, asked: ImageRequest, seconds: float, trace: Trace) -> ProcessResponse:
        told = tuple(trace.headers().items())
        for last in (False, True):
            try:
                return await self._answer(asyncio.ensure_future(self._process(asked, timeout=seconds, metadata=told)))
            except grpc.aio.AioRpcError as error:
                problem = status.meant(error)
                if problem.code != "busy" or last or error.code() is grpc.StatusCode.UNAVAILABLE:
                    raise problem from error
        raise AssertionError

    async def _answer(self, call: asyncio.Future[ProcessResponse]) -> ProcessResponse:
        """What a call gives. It waits for processors that are away, and not for something that is not a processor."""
        try:
            while not (await asyncio.wait({call}, timeout=LOOK))[0]:
                if not await self.reachable() and (stranger := await strangers.found(self._target, SERVICE)):
                    detail = f"{stranger} answers at {self._target}; name the processors there (serve.api.processors)"
                    raise Problem("internal", detail)
            return await call
        finally:
            call.cancel()

    async def reachable(self) -> bool:
        """Whether there is a processor to ask, now."""
        return self._channel.get_state(try_to_connect=True) is grpc.ChannelConnectivity.READY

    async def close(self) -> None:
        """Give the connections back."""
        await self._channel.close()
