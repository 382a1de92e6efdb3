"""What holds for every HTTP request: an id, a trace, a line in the log, figures, a body read before a refusal."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from imgflow_service.api.telemetry import Telemetry
from imgflow_service.wire.problems import FAULT
from imgflow_service.wire.tracing import Span, Trace, Tracer, request_id
from imgflow_steps.worker.log import facts

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

THROWN_AWAY_SECONDS = 5.0  # for the rest of a body that nobody wants
ERROR = 400
PROBES = {"/livez", "/readyz"}  # no spans of these
GONE = 499  # what the log says of a client that left

_LOG = logging.getLogger("imgflow_service.api")


class Around:
    """Wraps the application. ``largest`` is how much of a refused body is read."""

    def __init__(self, app: App, telemetry: Telemetry, tracer: Tracer, largest: int) -> None:
        self._app, self._telemetry, self._tracer, self._largest = app, telemetry, tracer, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Trace.read((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        tracer = Tracer() if scope["path"] in PROBES else self._tracer
        with tracer.span(scope["method"], given, "server") as span:
            await self._traced(scope, receive, send, span)

    async def _traced(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        one = _Request(scope, receive, send, span.trace, self._largest)
        started = time.monotonic()
        # To HEAD uvicorn answers without a body, whatever is sent; it is otherwise what GET is, where there is a GET.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self._app(asked, one.receive, one.send)
        finally:
            seconds = time.monotonic() - started
            route = getattr(asked.get("route"), "path", "")
            code = str(scope["state"].get("code", ""))
            self._telemetry.answered(route or "none", one.status, code, seconds)
            if one.status == GONE:
                self._telemetry.gone()
            said = {"method": scope["method"], "path": scope["path"][:200], "status": one.status, "code": code}
            about = {"request_id": one.id, "traceparent": span.trace.parent, "key": scope["state"].get("key", "")}
            _LOG.info("request", extra=facts(**said, ms=round(seconds * 1000, 1), **about))
            _describe(span, said, route, one.id)


def _describe(span: Span, said: dict[str, Any], route: str, request_id: str) -> None:
    """What the log says of a request, in OpenTelemetry's words."""
    span.name(f"{said['method']} {route}".strip())
    named = {"http.request.method": said["method"], "http.route": route, "url.path": said["path"]}
    status = {"http.response.status_code": said["status"], "imgflow.code": said["code"]}
    span.note({**named, **status, "imgflow.request_id": request_id})
    if said["status"] >= FAULT:
        span.failed(said["code"] or str(said["status"]))


class _Request:
    def __init__(self, scope: Scope, receive: Receive, send: Send, trace: Trace, largest: int) -> None:
        self._receive, self._send, self._largest = receive, send, largest
        headers = dict(scope["headers"])
        self.id = request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        self._told = [(b"x-request-id", self.id.encode())]
        self._told += [(name.encode(), value.encode()) for name, value in trace.headers().items()]
        scope.setdefault("state", {}).update(request_id=self.id, trace=trace)
        self._whole = b"content-length" not in headers and b"transfer-encoding" not in headers
        self._expects = headers.get(b"expect", b"").lower() == b"100-continue"
        self.status = GONE

    async def receive(self) -> Message:
        message = await self._receive()
        self._expects = False  # asking for the body has told the client to send it
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._whole = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *self._told]
            if self.status >= ERROR and not self._whole and not self._expects:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._throw_away(), THROWN_AWAY_SECONDS)
            if self._expects and not self._whole:  # what comes next may be the body, or another request
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def _throw_away(self) -> None:
        """Read what comes: a client that is still sending would meet a closed connection and no answer."""
        read = 0
        while not self._whole and read <= self._largest:
            read += len((await self.receive()).get("body", b""))
