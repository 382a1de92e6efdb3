"""How long a connection may take for the head of a request, in a server with little time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from imgflow_service.wire import connections
from imgflow_service.wire.listening import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TIME = 0.3  # seconds for a head


async def slow(_scope: Any, _receive: Any, send: Any) -> None:
    """An application that takes longer than a head may."""
    await asyncio.sleep(4 * TIME)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def echo(_scope: Any, receive: Any, send: Any) -> None:
    """An application that answers what was sent."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    told = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": told})
    await send({"type": "http.response.body", "body": body})


async def said(*parts: bytes) -> bytes:
    """What a connection answers to these bytes, until it ends."""
    server = HttpServer(slow, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for part in parts:
        writer.write(part)
        await asyncio.sleep(TIME / 3)  # so that each is read alone
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await server.stop(1)
    return answer


@pytest.mark.parametrize("parts", [(), (b"GET / HT",)], ids=["nothing", "a part"])
def test_a_head_that_never_comes_ends_its_connection(parts: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LONGEST_HEAD", TIME)
    assert asyncio.run(said(*parts)) == b""


@pytest.mark.parametrize("behind", [b"\r\n", b"GET / HT"], ids=["an empty line", "a part of the next"])
def test_what_comes_behind_a_request_does_not_cost_its_answer(behind: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "LONGEST_HEAD", TIME)
    assert asyncio.run(said(REQUEST, behind)).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("protocol", [b"h2c", b"websocket", b"h2c, TLS/1.3"])
def test_a_question_for_another_protocol_costs_no_body_wherever_its_packets_end(protocol: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: %s\r\nHost: a\r\nContent-Length: 9\r\n\r\n" % protocol
    body = b"a\r\nbody\r\n"
    request = head + body

    async def asked(port: int, at: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in (request[:at], request[at:]):
            writer.write(part)
            await asyncio.sleep(TIME)  # so that each is read alone
        answer = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return answer

    async def scene() -> list[bytes]:
        server = HttpServer(echo, "127.0.0.1", 0)
        answers = await asyncio.gather(*(asked(server.port, at) for at in range(1, len(request))))
        await server.stop(1)
        return answers

    assert {answer.partition(b"\r\n\r\n")[2] for answer in asyncio.run(scene())} == {body}
