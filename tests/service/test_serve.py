"""The service with one command on this machine, and those who send it pictures: a command and a client."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest
from tests import photographs, processes
from tests.servers import free_port
from tests.services import SECONDS, Served

import imgflow
from imgflow import ImgflowError, Service
from imgflow_cli.__main__ import main
from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse
from imgflow_steps.report.remedies import HINTS
from imgflow_workflows.errors import ExitCode

PHOTO = photographs.jpeg(1, 1600, 1200)
GREY = {"steps": [{"scale": {"width": 1024, "height": 768}}, "grayscale"]}


def expected(pipeline: dict[str, object], photo: bytes = PHOTO) -> list[bytes]:
    return [picture.data for picture in apply.process(photo, parse(pipeline)).pictures]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``imgflow serve`` in an empty directory, and where it listens."""
    (tmp_path / "imgflow.yaml").write_text("serve:\n  width: 300\n  api:\n    inflight: 9\n")
    command = [sys.executable, "-m", "imgflow_cli", "serve", "--port", "0", "--grpc-port", "0", "--workers", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMGFLOW_")}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def test_one_command_serves_and_another_sends_and_ctrl_c_ends_all_of_it(
    served: tuple[subprocess.Popen[str], str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    process, url = served
    (tmp_path / "in.jpg").write_bytes(PHOTO)
    out = tmp_path / "out.jpg"

    code = main(["send", str(tmp_path / "in.jpg"), str(out), "--url", url, "--colour"])

    assert code == 0, capfd.readouterr().err
    assert capfd.readouterr().out == f"{out}\n"
    assert [out.read_bytes()] == expected({"steps": [{"scale": {"width": 300, "height": 768}}]})
    assert list((tmp_path / ".imgflow/cache").rglob("*.jpg"))
    begun = processes.children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 0
    assert [pid for pid in begun if processes.command_line(pid)] == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_the_processes_of_the_service_end_with_the_command_however_that_ends(
    served: tuple[subprocess.Popen[str], str], number: int
) -> None:
    command, _ = served
    started = processes.children(command.pid)

    command.send_signal(number)
    command.wait(SECONDS)

    until = time.monotonic() + SECONDS
    while any(map(processes.command_line, started)) and time.monotonic() < until:
        time.sleep(0.1)
    left = [pid for pid in started if processes.command_line(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert (len(started) >= 3, left) == (True, [])  # front, processor, and one that computes


def test_what_the_service_says_is_what_the_command_says(
    front: Served, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.jpg").write_bytes(b"a letter")

    code = main(["send", str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg"), "--url", front.url()])

    assert code == ExitCode.FAILED
    error, hint = capfd.readouterr().err.splitlines()
    assert "unsupported-format" in error
    assert hint == HINTS["unsupported-format"]
    assert not (tmp_path / "out.jpg").exists()


def test_a_client_has_pictures_sizes_and_findings(front: Served, tmp_path: Path) -> None:
    with imgflow.Service(front.url()) as service:
        one = service.process(PHOTO)
        cut = service.process(PHOTO, steps="split:2x1,infer", format="png")
        found = service.process(PHOTO, pipeline={"steps": ["infer"], "output": "none"})

    assert [one.data] == expected(GREY)
    assert (one.pictures[0].width, one.pictures[0].height, one.source) == (1024, 768, "1600x1200 jpeg")
    assert one.save(tmp_path / "out.jpg").read_bytes() == one.data
    assert [piece.data for piece in cut.pictures] == expected({"steps": ["split:2x1", "infer"], "output": "png"})
    assert all(piece.found and piece.name for piece in cut.pictures)
    assert found.pictures[0].found
    with pytest.raises(ImgflowError, match="2 pictures"):
        _ = cut.data


class Stumbling(BaseHTTPRequestHandler):
    """Stands before a front: it hangs up on the first request, is busy at the second, and lets the third through."""

    front: ClassVar[str] = ""
    asked: ClassVar[int] = 0
    again: ClassVar[str] = ""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).asked += 1
        if self.asked == 1:
            self.connection.close()
            return
        answer = httpx.post(self.front + self.path, content=body, timeout=SECONDS, trust_env=False)
        told = {"Content-Type": answer.headers["content-type"], "X-Imgflow-Result": "1x1"}
        if self.asked == 2:
            told["Retry-After"] = self.again
        self.send_response(503 if self.asked == 2 else answer.status_code)
        for name, value in {**told, "Content-Length": str(len(answer.content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.mark.parametrize("again", ["1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"])  # proxies on the way send dates
def test_a_client_asks_again_when_the_service_hangs_up_or_is_busy(front: Served, again: str) -> None:
    Stumbling.front, Stumbling.asked, Stumbling.again = front.url(), 0, again
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stumbling)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with Service(f"http://127.0.0.1:{server.server_port}", seconds=SECONDS) as service:
            made = service.process(PHOTO)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert [made.data] == expected(GREY)
    assert Stumbling.asked == 3


def test_a_client_is_told_when_there_is_no_service(tmp_path: Path) -> None:
    with pytest.raises(ImgflowError, match="cannot be reached") as told:
        Service(f"http://127.0.0.1:{free_port()}", seconds=1).process(PHOTO)

    assert told.value.code == ExitCode.UNREACHABLE
    assert "imgflow serve" in told.value.hint
