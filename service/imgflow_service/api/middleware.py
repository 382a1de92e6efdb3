"""What holds for every HTTP request: an id, a line in the log, figures, and a body that is read before a refusal."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any
from uuid import uuid4

from imgflow_service.api.telemetry import Telemetry
from imgflow_steps.worker.log import facts

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
THROWN_AWAY_SECONDS = 5.0  # for the rest of a body that nobody wants
ERROR = 400
GONE = 499  # what the log says of a client that left

_LOG = logging.getLogger("imgflow_service.api")


class Around:
    """Wraps the application. ``largest`` is how much of a refused body is read."""

    def __init__(self, app: App, telemetry: Telemetry, largest: int) -> None:
        self._app, self._telemetry, self._largest = app, telemetry, largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        one = _Request(scope, receive, send, self._largest)
        started = time.monotonic()
        try:
            await self._app(scope, one.receive, one.send)
        finally:
            seconds = time.monotonic() - started
            route = getattr(scope.get("route"), "path", "") or "none"
            code = str(scope["state"].get("code", ""))
            self._telemetry.answered(route, one.status, code, seconds)
            if one.status == GONE:
                self._telemetry.gone()
            said = {"method": scope["method"], "path": scope["path"][:200], "status": one.status, "code": code}
            about = {name: scope["state"].get(name, "") for name in ("request_id", "traceparent", "key")}
            _LOG.info("request", extra=facts(**said, ms=round(seconds * 1000, 1), **about))


class _Request:
    def __init__(self, scope: Scope, receive: Receive, send: Send, largest: int) -> None:
        self._receive, self._send, self._largest = receive, send, largest
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        trace = headers.get(b"traceparent", b"").decode("latin-1")
        self.id = given if REQUEST_ID.fullmatch(given) else uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"] = self.id
        state["traceparent"] = trace if TRACEPARENT.fullmatch(trace) else ""
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
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id.encode())]
            if self.status >= ERROR and not self._whole and not self._expects:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._throw_away(), THROWN_AWAY_SECONDS)
        await self._send(message)

    async def _throw_away(self) -> None:
        """Read what comes: a client that is still sending would meet a closed connection and no answer."""
        read = 0
        while not self._whole and read <= self._largest:
            read += len((await self.receive()).get("body", b""))
