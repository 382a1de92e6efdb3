"""How much a front takes on at a time: what is more is refused while it is small, and the client hears of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests import photographs
from tests.services import SECONDS, Served, Start, until

PHOTO = photographs.jpeg(1, 640, 480)


@contextmanager
def half_sent(front: Served, length: int) -> Iterator[socket.socket]:
    """A request whose body is not yet whole."""
    with socket.create_connection(("127.0.0.1", front.ports["http"]), SECONDS) as line:
        line.sendall(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nbegin".encode())
        yield line


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"IMGFLOW_SERVE_API_INFLIGHT": "1"}, "places"), ({"IMGFLOW_SERVE_API_BYTES": "100000"}, "bytes")],
)
def test_what_is_more_than_may_be_held_is_refused_and_taken_when_there_is_room_again(
    start_service: Start, processor: Served, settings: dict[str, str], reason: str
) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}", **settings)
    with half_sent(front, 90_000):
        until(lambda: front.metric("imgflow_service_inflight") == 1)
        until(lambda: front.metric("imgflow_service_bytes_held") == 90_000)

        refused = front.client.post("/", content=PHOTO)

        assert (refused.status_code, refused.json()["code"]) == (503, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert front.metric("imgflow_service_refused_total") == 1
    until(lambda: front.metric("imgflow_service_inflight") == 0)
    assert front.metric("imgflow_service_bytes_held") == 0
    assert front.client.post("/", content=PHOTO).status_code == 200
    assert f'reason="{reason}"' in front.client.get(f"{front.url('metrics')}/metrics").text
