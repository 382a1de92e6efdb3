"""An HTTP server that takes what webhooks are told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """Answers each POST with the next status, and with 200 when there is none left."""

    url: str
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies]


@contextmanager
def receiver(address: str = "127.0.0.1") -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            taken.headers.append(dict(self.headers.items()))
            status = taken.statuses.pop(0) if taken.statuses else 200
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", taken.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer((address, 0), Handler) as server:
        taken = Receiver(f"http://{address}:{server.server_port}/hooks/a-secret-path")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield taken
        server.shutdown()
