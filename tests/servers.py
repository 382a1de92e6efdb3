"""Real S3 servers on loopback for tests, and a proxy before them that misbehaves on request."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen
from uuid import uuid4

from imgflow_steps.store.client import open_client
from imgflow_steps.store.settings import S3Settings

if TYPE_CHECKING:
    from typing_extensions import Buffer

START = 60  # seconds a server may take to start


@dataclass(frozen=True)
class Server:
    """An S3 server: where it is and who may ask."""

    settings: S3Settings

    @property
    def environment(self) -> dict[str, str]:
        """What ``open_store`` and every child process need."""
        return {
            "IMGFLOW_S3_ENDPOINT": self.settings.endpoint,
            "AWS_ACCESS_KEY_ID": self.settings.access_key,
            "AWS_SECRET_ACCESS_KEY": self.settings.secret_key,
            "AWS_REGION": self.settings.region,
        }

    def new_bucket(self) -> str:
        """The URL of an empty bucket."""
        name = f"test-{uuid4().hex}"
        open_client(self.settings).make_bucket(name)
        return f"s3://{name}"

    def behind(self, proxy: Proxy) -> Server:
        """The same server, reached through a proxy."""
        return Server(replace(self.settings, endpoint=proxy.endpoint))


@dataclass(frozen=True)
class Process(Server):
    """A server that is a process of this machine."""

    process: subprocess.Popen[bytes]


MOTO = """
import sys
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@contextmanager
def moto() -> Iterator[Server]:
    """Moto's server in a process of its own, which ends when this one does."""
    with subprocess.Popen(
        [sys.executable, "-c", MOTO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        host, port = process.stdout.readline().split()
        try:
            yield Server(S3Settings(f"http://{host}:{port}", access_key="moto", secret_key="moto-secret"))
        finally:
            process.kill()


def minio_binary() -> str:
    """Where the MinIO server is, or "" when this machine has none on PATH."""
    return shutil.which("minio") or ""


@contextmanager
def minio(
    folder: Path, *, port: int = 0, password: str = "imgflow-secret", certificates: Path | None = None, **variables: str
) -> Iterator[Process]:
    """A real ``minio server`` over a folder, with more variables where they are given.

    It speaks TLS with what ``certificates.served`` has written.
    """
    bundle = f"{certificates}/ca.pem" if certificates else ""
    endpoint = f"http{'s' if bundle else ''}://127.0.0.1:{port or free_port()}"
    settings = S3Settings(endpoint, access_key="imgflow", secret_key=password, ca_bundle=bundle)
    environment = {"MINIO_ROOT_USER": settings.access_key, "MINIO_ROOT_PASSWORD": settings.secret_key}
    command = [minio_binary(), "server", "--quiet", "--address", urlsplit(endpoint).netloc, str(folder)]
    command += ["--certs-dir", f"{certificates}/served"] if certificates else []
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, **variables, "MINIO_BROWSER": "off", "HOME": str(folder.parent)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(f"{endpoint}/minio/health/ready", process, bundle)
        yield Process(settings, process)
    finally:
        process.kill()
        process.wait()


@contextmanager
def versitygw(folder: Path) -> Iterator[Process]:
    """A real ``versitygw`` over a folder, on a file system with extended attributes."""
    port = free_port()
    settings = S3Settings(f"http://127.0.0.1:{port}", access_key="imgflow", secret_key="imgflow-secret")
    kept = folder / "objects"
    kept.mkdir()
    where = ["--port", f"127.0.0.1:{port}", "--health", "/healthy", "--keep-alive", "--quiet"]
    who = ["--access", settings.access_key, "--secret", settings.secret_key]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["versitygw", *where, *who, "posix", str(kept)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(f"{settings.endpoint}/healthy", process)
        yield Process(settings, process)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port: int = server.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes], bundle: str = "") -> None:
    """Wait until a server says that it is ready; ``bundle`` holds the authority that vouches for it."""
    context = ssl.create_default_context(cafile=bundle) if bundle else None
    until = time.monotonic() + START
    while time.monotonic() < until:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        with suppress(OSError), urlopen(url, timeout=1, context=context):
            return
        time.sleep(0.05)
    raise TimeoutError(f"{url} did not answer within {START} seconds")


class Proxy:
    """Forwards to a server; the next answers are spoilt as ``spoil`` says, in this order, or those that ``rule`` names.

    ``503``: not forwarded, refused as busy · ``html``: not forwarded, an answer of something that is no S3
    ``page``: not forwarded, a web page with status 200 · ``drop``: not forwarded, the connection is closed
    ``kept``: not forwarded, all went well but for an object that the server could not delete
    ``changed``: a byte of the request is another one when it is forwarded
    ``hang``: forwarded, never answered · ``reset``: connection reset instead of the answer
    ``cut``: half of the body, then the end · ``short``: half of the body, and a Content-Length that fits it
    ``flip``: one byte of the body is another one · ``drip``: a byte every 50 ms · ``trickle``: the headers, too
    ``again``: of a listing, its first page · ``empty``: of a listing, a page without anything, and there are more
    ``tokenless``: of a listing, that there are more, and not where
    """

    def __init__(self, server: Server, port: int = 0) -> None:
        self.upstream = urlsplit(server.settings.endpoint)
        self.faults: deque[str] = deque()
        self.rule: Callable[[str, str], str] = lambda _method, _path: ""  # the fault for a request
        self.requests: list[str] = []  # methods and paths, as they came
        self.spoilt = 0  # answers
        self.first: dict[str, bytes] = {}  # pages of listings, by what they list
        self.over = threading.Event()
        self._http = _Http(self, port)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"

    def spoil(self, *faults: str) -> None:
        """Spoil the next answers, one each."""
        self.requests.clear()
        self.faults.extend(faults)

    def close(self) -> None:
        """Stop, and let go of everything that hangs."""
        self.over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: Proxy, port: int) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Broken connections are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Http

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of the base class
        """Tests are quiet."""

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        proxy = self.server.proxy
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy.requests.append(f"{self.command} {self.path}")
        fault = proxy.faults.popleft() if proxy.faults else proxy.rule(self.command, self.path)
        proxy.spoilt += bool(fault)
        if fault == "503":
            self._answer(503, {"Content-Type": "application/xml"}, b"<Error><Code>SlowDown</Code></Error>")
        elif fault == "full":
            self._answer(507, {"Content-Type": "application/xml"}, b"<Error><Code>XMinioStorageFull</Code></Error>")
        elif fault == "html":
            self._answer(403, {"Content-Type": "text/html"}, b"<html>go away</html>")
        elif fault == "page":
            self._answer(200, {"Content-Type": "text/html"}, b"<html>login</html>")
        elif fault == "drop":
            self.close_connection = True
        elif fault == "kept":
            error = b"<Error><Key>a</Key><Code>InternalError</Code><Message>Try again.</Message></Error>"
            self._answer(200, {"Content-Type": "application/xml"}, b"<DeleteResult>%s</DeleteResult>" % error)
        else:
            self._forward(_flipped(body) if fault == "changed" else body, fault)

    def _forward(self, body: bytes, fault: str) -> None:
        if fault == "empty" and (first := self.server.proxy.first.get(self._listing)):
            self._answer(200, {"Content-Type": "application/xml"}, self._page(first, fault))
            return
        upstream = self.server.proxy.upstream
        with closing(http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=30)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            answer = connection.getresponse()
            headers = {k: v for k, v in answer.getheaders() if k.lower() not in {"transfer-encoding", "connection"}}
            self._answer(answer.status, headers, self._page(answer.read(), fault), fault)

    @property
    def _listing(self) -> str:
        return re.sub("continuation-token=[^&]*&?", "", self.path)

    def _page(self, body: bytes, fault: str) -> bytes:
        """A page of a listing, spoilt; other bodies are as they were."""
        if "list-type=2" not in self.path:
            return body
        first = self.server.proxy.first.setdefault(self._listing, body)
        endless = b"<IsTruncated>true</IsTruncated>"
        if fault == "empty":
            body = re.sub(b"<(Contents|CommonPrefixes)>.*</(Contents|CommonPrefixes)>", b"", body, flags=re.DOTALL)
            body = re.sub(b"<KeyCount>.*</KeyCount>", b"<KeyCount>0</KeyCount>", body)
            endless += b"<NextContinuationToken>%d</NextContinuationToken>" % self.server.proxy.spoilt
        if fault in {"empty", "tokenless"}:
            body = re.sub(b"<NextContinuationToken>.*</NextContinuationToken>", b"", body)
            return re.sub(b"<IsTruncated>.*</IsTruncated>", endless, body)
        return first if fault == "again" else body

    def _answer(self, status: int, headers: dict[str, str], body: bytes, fault: str = "") -> None:
        if fault in {"hang", "reset"}:
            if fault == "hang":
                self.server.proxy.over.wait(60)
            self._reset()
            return
        if fault == "short":
            body = body[: len(body) // 2]
        elif fault == "flip":
            body = _flipped(body)
        elif fault == "trickle":
            self.wfile = _Trickling(self.wfile, self.server.proxy.over)
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        length = headers.get("Content-Length", len(body)) if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        self._send(body, fault)

    def _send(self, body: bytes, fault: str) -> None:
        if fault == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        elif fault == "drip":
            for i in range(len(body)):
                self.wfile.write(body[i : i + 1])
                if self.server.proxy.over.wait(0.05):
                    return
        else:
            self.wfile.write(body)

    def finish(self) -> None:
        with suppress(OSError):  # whoever asked has gone
            super().finish()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True


def _flipped(body: bytes) -> bytes:
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :] if body else body


class _Trickling(BytesIO):
    """Sends what is written a byte at a time."""

    def __init__(self, out: BufferedIOBase, over: threading.Event) -> None:
        super().__init__()
        self._out, self._over = out, over

    def write(self, data: Buffer) -> int:
        for one in bytes(data):
            self._out.write(bytes([one]))
            if self._over.wait(0.2):
                break
        return len(bytes(data))
