"""Processes of the image service for tests: where they listen, what they count and log."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property

import httpx

SECONDS = 120  # for whatever a test waits for

FREE = {
    "IMGFLOW_SERVE_PROCESSOR_PORT": "0",
    "IMGFLOW_SERVE_PROCESSOR_HTTP_PORT": "0",
    "IMGFLOW_SERVE_PROCESSOR_METRICS_PORT": "0",
    "IMGFLOW_SERVE_API_PORT": "0",
    "IMGFLOW_SERVE_API_GRPC_PORT": "0",
    "IMGFLOW_SERVE_API_METRICS_PORT": "0",
    "IMGFLOW_SERVE_DRAIN_DELAY": "0",
    "IMGFLOW_SERVE_TIMEOUT": "120",
    "IMGFLOW_LOG": "json",
}

Start = Callable[..., "Served"]


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so, and fail where it does not become so."""
    ends = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.02)


@dataclass
class Served:
    """A process of the service, its ports and what it has logged."""

    process: subprocess.Popen[str]
    ports: dict[str, int]
    lines: list[str] = field(default_factory=list)
    address: str = "127.0.0.1"

    def url(self, port: str = "http") -> str:
        """Where it listens."""
        return f"http://{self.address}:{self.ports[port]}"

    @cached_property
    def client(self) -> httpx.Client:
        """Asks it over HTTP."""
        return httpx.Client(base_url=self.url(), timeout=SECONDS, trust_env=False)

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels, now."""
        text = httpx.get(f"{self.url('metrics')}/metrics", trust_env=False, timeout=SECONDS).text
        found = [line.rsplit(" ", 1) for line in text.splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(value) for _, value in found)

    def logged(self, event: str) -> list[dict[str, object]]:
        """Lines of its log that say this."""
        said = []
        for line in list(self.lines):
            with suppress(ValueError):
                said.append(json.loads(line))
        return [one for one in said if one.get("event") == event]

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it, and give its exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return self.process.wait(SECONDS)


@contextmanager
def serving() -> Iterator[Start]:
    """Starts processes of the service with the settings that are named; all end with the context."""
    started: list[Served] = []

    def start(part: str, **environment: str) -> Served:
        told = {name: value for name, value in os.environ.items() if not name.startswith("IMGFLOW_")}
        process = subprocess.Popen(
            [sys.executable, "-m", f"imgflow_service.{part}"],
            env={**told, **FREE, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        assert process.stderr
        served = Served(process, {})
        threading.Thread(target=_follow, args=[process.stderr, served.lines], daemon=True).start()
        ports = process.stdout.readline()
        assert ports, "".join(served.lines)
        served.ports.update(json.loads(ports))
        started.append(served)
        return served

    try:
        yield start
    finally:
        for served in started:
            _closed(served)


def _closed(served: Served) -> None:
    if "client" in vars(served):
        served.client.close()
    served.process.kill()
    served.process.wait()
    for pipe in (served.process.stdout, served.process.stderr):
        assert pipe
        pipe.close()


def _follow(pipe: Iterator[str], lines: list[str]) -> None:
    with suppress(ValueError):
        lines.extend(pipe)
