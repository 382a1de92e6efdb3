"""The same work over HTTP: the picture is the body, what shall become of it is the query, the answer is a picture.

POST /process?width=1024&height=768&grayscale=true
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from imgflow_service.wire import tracing
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.problems import Problem, once
from imgflow_service.wire.processor_pb2 import ProcessRequest, ProcessResponse, Scaling
from imgflow_service.wire.tracing import REQUEST, Trace, Tracer

if TYPE_CHECKING:
    from imgflow_service.processor.pictures import Pictures

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, Mapping[str, str], bytes]  # status, headers, body

WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
PARAMETERS = ("width", "height", "mode", "scale", "grayscale", "format", "quality", "pipeline", "name")

_LOG = logging.getLogger(__name__)


class Http:
    """An ASGI application."""

    def __init__(
        self, pictures: Pictures, largest: int, seconds: float, tracer: Tracer, ready: Callable[[], bool]
    ) -> None:
        self._pictures, self._tracer, self._ready = pictures, tracer, ready
        self._largest, self._seconds = largest, seconds  # of a body

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """See ASGI."""
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        request_id, trace = tracing.request_id(dict(headers).get(REQUEST, "")), Trace.read(headers)
        try:
            status, told, body = await self._answer(scope, receive, request_id, trace)
        except Problem as problem:
            status, told, body = problem.status, problem.headers(), problem.document(request_id)
        except Exception:  # noqa: BLE001 - said in the log, and to the client in words
            _LOG.exception("internal")
            said = Problem("internal", "the log says more")
            status, told, body = said.status, said.headers(), said.document(request_id)
        await _send(send, status, {REQUEST: request_id, **trace.headers(), **told}, body)

    async def _answer(self, scope: Mapping[str, Any], receive: Receive, request_id: str, trace: Trace) -> Answer:
        match scope["method"], scope["path"]:
            case "GET", "/livez":
                return 200, {}, b"ok\n"
            case "GET", "/readyz":
                return (200, {}, b"ok\n") if self._ready() else (503, {}, b"draining\n")
            case "POST", "/process":
                image = await self._come(receive)
                request = _request(scope["query_string"].decode("latin-1"), request_id)
                with self._tracer.span("POST /process", trace, "server") as span:
                    response = await self._pictures.process(ImageRequest(request, image), None, span)
                    headers, picture = _picture(response)
                    return 200, {**headers, **span.trace.headers()}, picture
            case _, "/process" | "/livez" | "/readyz":
                raise Problem("method-not-allowed", "a picture is sent with POST /process")
            case _:
                raise Problem("not-found", "a picture is sent with POST /process")

    async def _come(self, receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._body(receive)
        except TimeoutError:
            raise Problem("timeout", "the body did not come within the time of its request") from None

    async def _body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        held, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Problem("bad-request", "the body breaks off")
            part = message.get("body", b"")
            held += len(part)
            if held <= self._largest:  # what comes after is read and thrown away: a client hears no answer otherwise
                parts.append(part)
            more = message.get("more_body", False)
        if held > self._largest:
            raise Problem("too-many-bytes", f"{held} bytes; the limit is {self._largest}")
        return b"".join(parts)


def _request(query: str, request_id: str) -> ProcessRequest:
    pairs = parse_qsl(query, keep_blank_values=True)
    once(name for name, _ in pairs)
    given = dict(pairs)
    if unknown := [name for name in given if name not in PARAMETERS]:
        raise Problem("bad-request", f"there is no parameter {unknown[0][:80]!r}; there are: {', '.join(PARAMETERS)}")
    request = ProcessRequest(request_id=request_id, name=given.get("name", ""))
    if "pipeline" in given:
        request.pipeline_json = given["pipeline"]
        return request
    wanted = _truth(given, "scale", default=True)
    scaling = Scaling(enabled=wanted, mode=given.get("mode", ""))
    scaling.width, scaling.height = _number(given, "width"), _number(given, "height")
    request.scaling.CopyFrom(scaling)
    request.grayscale = _truth(given, "grayscale", default=False)
    request.format, request.quality = given.get("format", ""), _number(given, "quality")
    return request


def _number(given: Mapping[str, str], name: str) -> int:
    text = given.get(name, "0")
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):  # noqa: PLR2004 - digits of a message's number
        raise Problem("bad-request", f"{name} is a whole number, not {text[:80]!r}")
    return int(text)


def _truth(given: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = given.get(name, str(default)).lower()
    if text not in WORDS:
        raise Problem("bad-request", f"{name} is true or false, not {text[:80]!r}")
    return WORDS[text]


def _picture(response: ProcessResponse) -> tuple[dict[str, str], bytes]:
    if len(response.pictures) != 1:
        raise Problem("bad-pipeline", f"{len(response.pictures)} pictures came of it; over HTTP a processor gives one")
    picture = response.pictures[0]
    source = f"{response.source_width}x{response.source_height} {response.source_format}"
    headers = {
        "content-type": picture.content_type,
        "x-imgflow-source": source,
        "x-imgflow-result": f"{picture.width}x{picture.height}",
        "x-imgflow-processor": response.processor,
    }
    return headers, picture.data


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    told = {**headers, "content-length": str(len(body))}
    lines = [(name.encode(), value.encode("latin-1")) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
