"""A real Redis or Valkey on loopback for tests, which may be killed and started again."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from tests.servers import START, free_port


def broker_binary() -> str:
    """A server that works here, or "" where there is none."""
    for binary in ("valkey-server", "redis-server"):
        try:
            subprocess.run([binary, "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return binary
    return ""


class Broker:
    """A server at one port, which keeps what it is told below a folder."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary, self._folder, self._port = binary, folder, free_port()
        self.address = ("127.0.0.1", self._port)
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, keep: str = "yes") -> None:
        """Start it, and wait until it answers."""
        flags = ["--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        command = [self._binary, *flags, "--appendonly", keep]
        self.started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        ends = time.monotonic() + START
        with redis.Redis(port=self._port) as client:
            while time.monotonic() < ends:
                try:
                    client.ping()
                except redis.ConnectionError:
                    time.sleep(0.05)
                else:
                    return
        raise TimeoutError(f"{self.url} did not answer within {START} seconds")

    def kill(self) -> None:
        """End all of it at once."""
        for process in self.started:
            process.kill()
            process.wait()
        self.started.clear()


@contextmanager
def broker(folder: Path, binary: str) -> Iterator[Broker]:
    """One that has started, and ends with the context."""
    one = Broker(binary, folder)
    one.start()
    try:
        yield one
    finally:
        one.kill()


class Relay:
    """Stands before a broker. ``moment`` is a word of a client at which the broker dies, before it has heard it."""

    def __init__(self, behind: Broker) -> None:
        self.moment = b""
        self._behind = behind
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listening.getsockname()[1]}/0"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                threading.Thread(target=self._relay, args=[line], daemon=True).start()

    def _relay(self, line: socket.socket) -> None:
        with line, suppress(OSError), socket.create_connection(self._behind.address) as onward:
            threading.Thread(target=_pass, args=[onward, line], daemon=True).start()
            while said := line.recv(1 << 16):
                if self.moment and self.moment in said:
                    self._behind.kill()
                    return
                onward.sendall(said)


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(1 << 16):
            target.sendall(said)
