"""How the image service is measured. Nothing here says how long anything took."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bench.service
import pytest
from bench.measure import Bench
from bench.photographs import Photograph
from bench.service import Burst, burst, compared, goal_of, quantile, told
from bench.services import PHOTOGRAPH, Question, Service, imgflow
from tests import photographs


class Answers(BaseHTTPRequestHandler):
    """Every third request is refused; what came is remembered, and a connection ends after two requests."""

    protocol_version = "HTTP/1.1"
    bodies: list[bytes]
    lock = threading.Lock()
    asked = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.lock:
            self.bodies.append(body)
            status = 503 if len(self.bodies) % 3 == 0 else 200
        self.asked += 1
        self.close_connection = self.asked == 2
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def service() -> Iterator[Service]:
    Answers.bodies = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Service("one", server.server_port, os.getpid(), lambda body, _: Question("POST", "/", body))
        server.shutdown()
        thread.join()


def test_every_request_has_bytes_of_its_own_and_refusals_are_told_apart(service: Service) -> None:
    done = burst(service, b"photograph", True, clients=2, requests=12)

    assert {status: len(times) for status, times in done.seconds.items()} == {200: 8, 503: 4}
    assert len(set(Answers.bodies)) == 2 * 2 + 12
    assert all(body.startswith(b"photograph") for body in Answers.bodies)
    assert done.peak > 0
    assert done.each == done.processor / 8


def test_a_99th_percentile_is_told_of_a_thousand_requests_alone() -> None:
    few, many = (Burst({200: [0.5] * count, 503: [0.1]}, wall=1.0) for count in (999, 1000))

    assert told("s", "one", "1 at a time", [few]).note.startswith("999 requests, 999.0 a second")
    line = told("s", "one", "1 at a time", [many])
    assert line.note.startswith("p99 500 ms of 1000")
    assert "1 not answered with a picture" in line.note
    assert line.ratio == 500
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2


def test_goals_are_of_grey_or_of_colour() -> None:
    assert (goal_of("imgproxy", grey=True), goal_of("imgproxy", grey=False)) == (None, 1.25)
    assert (goal_of("imaginary", grey=True), goal_of("thumbor", grey=True)) == (1.5, None)


@pytest.fixture
def photograph(tmp_path: Path) -> Photograph:
    (tmp_path / PHOTOGRAPH).write_bytes(photographs.jpeg(1, 640, 480))
    return Photograph(PHOTOGRAPH, (tmp_path / PHOTOGRAPH).read_bytes(), 640, 480)


@pytest.mark.thorough
def test_the_service_is_compared_with_the_function_and_who_is_missing_is_named(
    photograph: Photograph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.service, "CLIENTS", (1,))

    with imgflow(tmp_path) as ours:
        lines = list(compared(Bench(None, tmp_path, 1, quick=True), photograph, [ours], {"a": "not there"}, grey=True))

    assert [line.note for line in lines if line.ratio is None] == ["not there"]
    assert [line.goal for line in lines if line.ratio] == [1.4, 0.85, 30, None]
