"""What an Argo Server, or whatever stands in its place, answers to the argo engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from imgflow_steps.store import DeniedError, UnavailableError
from imgflow_workflows.kube.argo_server import ArgoServer

LOGIN = b"<!doctype html><html><title>Please log in</title></html>"


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What every request is answered with, status 200."""
    told = [LOGIN]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.send_response(200)
            self.send_header("Content-Length", str(len(told[0])))
            self.end_headers()
            self.wfile.write(told[0])

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("ARGO_SERVER", f"127.0.0.1:{server.server_port}")
        monkeypatch.setenv("ARGO_SECURE", "false")
        yield told
        server.shutdown()


def logs(server: ArgoServer) -> list[tuple[str, str]]:
    return list(server.logs("run", "", (), follow=False))


@pytest.mark.parametrize(
    "ask",
    [
        ArgoServer.template,
        ArgoServer.schedules,
        logs,
        lambda server: server.workflow("run"),
        lambda server: server.create({"metadata": {"name": "run"}}),
        lambda server: server.stop("run"),
        lambda server: server.delete("run", "1"),
    ],
)
@pytest.mark.parametrize("page", [LOGIN, b"[1]"])
def test_a_page_where_an_argo_server_should_be_is_not_taken_for_its_answer(
    answers: list[bytes], ask: Callable[[ArgoServer], Any], page: bytes
) -> None:
    answers[0] = page

    with pytest.raises(UnavailableError, match="is not an Argo Server; is ARGO_SERVER right"):
        ask(ArgoServer("city"))


def test_logs_that_break_off_say_why(answers: list[bytes]) -> None:
    line = {"result": {"podName": "run-list-1", "content": "hello"}}
    lost = {"error": {"grpc_code": 7, "http_code": 403, "message": "pods/log is forbidden"}}
    answers[0] = b"".join(json.dumps(one).encode() + b"\n" for one in (line, lost))
    read: list[tuple[str, str]] = []

    with pytest.raises(DeniedError, match=r"reading logs of Workflow run: .*403: pods/log is forbidden"):
        read.extend(ArgoServer("city").logs("run", "", (), follow=False))

    assert read == [("run-list-1", "hello")]
