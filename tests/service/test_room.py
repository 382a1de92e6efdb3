"""Room for bodies in memory: who comes when it is taken waits unread, in order, and nobody keeps the others waiting."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import pytest
from tests import photographs
from tests.service.test_admission import half_sent
from tests.services import SECONDS, Served, Start, until

from imgflow_service.api import room as rooms
from imgflow_service.api.room import Room, Stay

PHOTO = photographs.jpeg(1, 640, 480)


async def soon(work: Coroutine[Any, Any, Stay]) -> asyncio.Task[Stay]:
    """Somebody who asks, and has by now either got in or begun to wait."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


def sent(front: Served, body: bytes) -> socket.socket:
    """A request that is sent whole, and not answered yet."""
    line = socket.create_connection(("127.0.0.1", front.ports["http"]), SECONDS)
    line.sendall(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return line


def test_who_finds_no_room_waits_until_another_leaves_and_nobody_overtakes() -> None:
    async def scene() -> None:
        room = Room(100)
        first = await room.enter(80)
        large, small = await soon(room.enter(60)), await soon(room.enter(10))
        assert (room.waiting, large.done(), small.done()) == (2, False, False)

        first.leave()

        with await large, await small:
            assert (room.taken, room.waiting) == (70, 0)
        assert room.taken == 0

    asyncio.run(scene())


def test_one_body_alone_may_be_larger_than_the_room() -> None:
    async def scene() -> None:
        room = Room(100)
        with await room.enter(1000):
            other = await soon(room.enter(1))
            assert (room.taken, room.waiting) == (1000, 1)
        with await other:
            assert room.taken == 1

    asyncio.run(scene())


def test_who_gives_up_leaves_the_line_and_lets_those_behind_in() -> None:
    async def scene() -> None:
        room = Room(100)
        with await room.enter(80):
            large, small = await soon(room.enter(60)), await soon(room.enter(10))

            large.cancel()

            with await small:
                assert (room.taken, room.waiting) == (90, 0)

    asyncio.run(scene())


def test_who_gives_up_in_the_moment_of_its_turn_gives_the_room_back() -> None:
    async def scene() -> None:
        room = Room(100)
        first = await room.enter(80)
        waiting = await soon(room.enter(60))

        first.leave()
        waiting.cancel()

        await asyncio.wait([waiting])
        assert (waiting.cancelled(), room.taken) == (True, 0)

    asyncio.run(scene())


def test_a_slow_body_takes_up_what_has_come_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "SLOW", 0.0)

    async def scene() -> None:
        room = Room(100)
        with await room.enter(80) as slow:
            monkeypatch.undo()
            slow.come(5)
            with await asyncio.wait_for(room.enter(90), 10):
                assert room.taken == 95
                slow.come(30)
                assert room.taken == 120
        assert room.taken == 0

    asyncio.run(scene())


def test_a_body_that_does_not_say_its_length_takes_up_what_comes() -> None:
    async def scene() -> None:
        room = Room(100)
        with await room.enter(10) as body:
            body.come(7)
            assert room.taken == 10
            body.come(40)
            assert room.taken == 40
        assert room.taken == 0

    asyncio.run(scene())


def test_a_body_that_finds_no_room_in_its_time_is_refused_unread_and_read_once_there_is_room(
    start_service: Start,
) -> None:
    nobody = "127.0.0.1:1"  # what is asked of it waits
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=nobody, IMGFLOW_SERVE_API_READING=str(len(PHOTO) + 1000))
    with sent(front, PHOTO) as first:
        until(lambda: front.metric("imgflow_service_inflight") == 1)

        refused = front.client.post("/", content=PHOTO, headers={"x-timeout": "0.5"})

        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert "no room to read the body" in refused.json()["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        assert front.metric("imgflow_service_refused_total") == 1
        with sent(front, PHOTO):
            until(lambda: front.metric("imgflow_service_unread") == 1)
            first.close()
            until(lambda: front.metric("imgflow_service_unread") == 0)
            assert front.metric("imgflow_service_inflight") == 1


def test_a_client_that_sends_slowly_keeps_nobody_waiting(start_service: Start, processor: Served) -> None:
    behind = f"127.0.0.1:{processor.ports['grpc']}"
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=behind, IMGFLOW_SERVE_API_READING="100000")
    with half_sent(front, 99_000):
        until(lambda: front.metric("imgflow_service_inflight") == 1)

        assert front.client.post("/", content=PHOTO).status_code == 200

        assert front.metric("imgflow_service_inflight") == 1
