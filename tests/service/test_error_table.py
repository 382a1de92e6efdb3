"""Every row of the table of errors is made to happen, by real components, and the document has the same rows."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tests import photographs
from tests.services import SECONDS, Served, Start, serving

from imgflow_service.wire.problems import KINDS, REJECTED

DOCUMENT = Path(__file__).parents[2] / "docs/service.md"
PHOTO = photographs.jpeg(1, 640, 480)
KEY = "a-key-of-a-shop"
BROKEN_LIBRARY = """
def medianBlur(*_):
    raise RuntimeError("this library is broken")
"""


class Site(BaseHTTPRequestHandler):
    """A web site on loopback: what it has not is 404, and ``/slow.jpg`` never comes to an end."""

    def do_GET(self) -> None:
        if self.path == "/slow.jpg":
            self.server.over.wait(SECONDS)  # type: ignore[attr-defined]
            return
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def site() -> Iterator[int]:
    """The port of a web site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.over = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@contextmanager
def other_grpc(*, healthy: bool) -> Iterator[int]:
    """The port of a gRPC server of something else, with or without the service that tells of health."""
    threads = ThreadPoolExecutor(4)
    server = grpc.server(threads)
    if healthy:
        checks = health.HealthServicer()
        checks.set("another.Service", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()
        threads.shutdown()


@dataclass
class World:
    """What rows are made with."""

    start: Start
    processor: Served
    folder: Path

    def front(self, port: int = 0, **more: str) -> Served:
        """An api before the processor, or before whatever is at a port."""
        behind = port or self.processor.ports["grpc"]
        return self.start("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{behind}", **more)

    def fetching(self, path: str) -> httpx.Response:
        """What an api says that is allowed to fetch from a site, of a path there."""
        with site() as port:
            hosts = {"IMGFLOW_SERVE_URL_HOSTS": "127.0.0.1", "IMGFLOW_SERVE_URL_NETWORKS": "127.0.0.0/8"}
            front = self.front(**hosts, IMGFLOW_SERVE_URL_SECONDS="1")
            return post(front, json={"url": f"http://127.0.0.1:{port}{path}"})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving() as start:
        processor = start("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1")
        yield World(start, processor, tmp_path_factory.mktemp("errors"))


def post(front: Served, path: str = "/v1/images", **asked: object) -> httpx.Response:
    if not {"json", "files", "content"} & asked.keys():
        asked["content"] = PHOTO
    return front.client.post(path, **asked)  # type: ignore[arg-type]  # as httpx takes it


def keyed(world: World) -> Served:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    return world.front(IMGFLOW_SERVE_KEYS=f"shop:{digest}", IMGFLOW_SERVE_RATE="0.001")


def over_its_rate(world: World) -> httpx.Response:
    front, headers = keyed(world), {"x-api-key": KEY}
    assert post(front, headers=headers).status_code == 200
    return post(front, headers=headers)


def full(world: World) -> httpx.Response:
    front = world.front(IMGFLOW_SERVE_API_INFLIGHT="1")
    with socket.create_connection(("127.0.0.1", front.ports["http"])) as line:
        line.sendall(b"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        while not front.metric("imgflow_service_inflight"):
            time.sleep(0.01)
        return post(front)


def late(world: World) -> httpx.Response:
    with silent() as port:
        return post(world.front(port), headers={"x-timeout": "1"})


def misdirected(world: World) -> httpx.Response:
    with site() as port:
        return post(world.front(port))


def broken(world: World) -> httpx.Response:
    (world.folder / "cv2.py").write_text(BROKEN_LIBRARY)
    processor = world.start("processor", PYTHONPATH=str(world.folder), IMGFLOW_SERVE_PROCESSOR_WORKERS="1")
    return post(world.front(processor.ports["grpc"]), params={"steps": "blur:median:3"})


ROWS: dict[str, Callable[[World], httpx.Response]] = {
    "bad-request": lambda world: post(world.front(), content=b""),
    "bad-pipeline": lambda world: post(world.front(), params={"steps": "blurr"}),
    "unauthorized": lambda world: post(keyed(world)),
    "rate": over_its_rate,
    "url-refused": lambda world: post(world.front(), json={"url": "http://127.0.0.1/a.jpg"}),
    "url-failed": lambda world: world.fetching("/gone.jpg"),
    "url-timeout": lambda world: world.fetching("/slow.jpg"),
    "not-found": lambda world: post(world.front(), "/nowhere"),
    "method-not-allowed": lambda world: post(world.front(), "/stats"),
    "too-many-bytes": lambda world: post(world.front(IMGFLOW_SERVE_LIMITS_BYTES="100")),
    "too-many-files": lambda world: post(world.front(), files=[("file", ("a", PHOTO)), ("file", ("b", PHOTO))]),
    "unsupported-format": lambda world: post(world.front(), content=b"a letter"),
    "truncated": lambda world: post(world.front(), content=PHOTO[:9000]),
    "step-error": broken,
    "internal": misdirected,
    "busy": full,
    "timeout": late,
}
REJECTIONS = {"truncated"}  # one of those that a run has


@pytest.mark.parametrize("code", ROWS)
def test_a_row_of_the_table_is_answered_as_it_says(world: World, code: str) -> None:
    kind = KINDS.get(code, REJECTED)

    answer = ROWS[code](world)

    said = answer.json()
    assert (answer.status_code, said["code"]) == (kind.status, code), answer.text
    assert (said["status"], said["title"], said["type"]) == (kind.status, kind.title, f"urn:imgflow:{code}")
    assert said["detail"]
    assert said["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert ("retry-after" in answer.headers) == (code in {"busy", "rate"})


def test_every_code_has_a_row_here_and_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    table = text[text.index("| Status | `code` |") : text.index("Over gRPC the code is in the trailer")]
    told: dict[str, set[int]] = {}
    for statuses, codes in re.findall(r"^\| ([\d, ]+) \| (.*) \|$", table, re.MULTILINE):
        for code in re.findall(r"`([a-z-]+)`", codes):
            told.setdefault(code, set()).update(map(int, statuses.split(", ")))

    assert set(ROWS) == set(KINDS) | REJECTIONS
    assert [code for code, kind in KINDS.items() if kind.status not in told.get(code, ())] == []


@pytest.mark.parametrize("healthy", [False, True], ids=["without health", "with health"])
def test_a_grpc_server_of_something_else_is_told_from_a_processor(world: World, healthy: bool) -> None:
    with other_grpc(healthy=healthy) as port:
        answer = post(world.front(port))

    assert (answer.status_code, answer.json()["code"]) == (500, "internal"), answer.text


def test_an_address_that_is_wrong_is_named_with_the_setting_that_names_it(world: World) -> None:
    with site() as port:
        detail = post(world.front(port)).json()["detail"]

    assert f"127.0.0.1:{port}" in detail
    assert "serve.api.processors" in detail
