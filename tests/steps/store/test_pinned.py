"""One request to the one address that was looked at: its target as it is, its certificate, and its end."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import run

import pytest
from tests.certificates import written

from imgflow_steps.store.web import NotFetchedError, Web

HOST = "photos.example"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"
RECORD = b"\x16\x03\x03\x40\x00"  # TLS announces 16 KiB of a handshake
DRIPS = 500


def loopback(_: object) -> bool:
    return True


@contextmanager
def site(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server on loopback that answers one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(30)

        def serve() -> None:
            with suppress(OSError), listening.accept()[0] as line:
                line.settimeout(30)
                answer(line)

        serving = threading.Thread(target=serve)
        serving.start()
        yield int(listening.getsockname()[1])
        serving.join()


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name of the site leads to loopback."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *more: object, **options: object) -> object:
        return real("127.0.0.1" if host == HOST else host, port, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def fetched(url: str, path: Path, seconds: float = 30) -> bytes:
    Web(frozenset({HOST}), seconds=seconds, allowed=loopback).fetch(url, path / "x")
    return (path / "x").read_bytes()


def secured(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def answer(line: socket.socket) -> None:
        with context.wrap_socket(line, server_side=True) as inner:
            inner.recv(1 << 16)
            inner.sendall(OK)

    return answer


def test_a_site_with_tls_shows_a_certificate_of_its_name_and_not_of_its_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = written(tmp_path, HOST)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    with site(secured(context)) as port:
        assert fetched(f"https://{HOST}:{port}/1.jpg", tmp_path) == b"one"


@pytest.mark.parametrize(("name", "trusted"), [("other.example", True), (HOST, False)])
def test_another_certificate_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    context = written(tmp_path, name)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    with site(secured(context)) as port, pytest.raises(NotFetchedError, match="certificate verify failed"):
        fetched(f"https://{HOST}:{port}/1.jpg", tmp_path)


@pytest.mark.parametrize(
    ("scheme", "begin"),
    [("https", RECORD), ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")],
)
def test_who_drips_is_cut_off_in_the_middle_of_a_handshake_too(tmp_path: Path, scheme: str, begin: bytes) -> None:
    dripped = 0

    def drip(line: socket.socket) -> None:
        nonlocal dripped
        line.sendall(begin)
        for dripped in range(DRIPS):  # noqa: B007 - how far it came
            line.sendall(b"x")
            time.sleep(0.01)

    with site(drip) as port, pytest.raises(NotFetchedError, match="takes more than") as raised:
        fetched(f"{scheme}://{HOST}:{port}/1.jpg", tmp_path, seconds=0.2)
    assert raised.value.code == "timeout"
    assert dripped < DRIPS - 1  # the server had not ended by itself


def test_the_length_of_a_chunk_that_has_no_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    pieces = 0

    def endless(line: socket.socket) -> None:
        nonlocal pieces
        line.recv(1 << 16)
        line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for pieces in range(DRIPS):  # noqa: B007 - how far it came
            line.sendall(b"0" * (1 << 16))

    with site(endless) as port, pytest.raises(NotFetchedError, match="cannot be read"):
        fetched(f"http://{HOST}:{port}/1.jpg", tmp_path)
    assert pieces < DRIPS - 1


def test_what_breaks_off_says_how_much_there_was(tmp_path: Path) -> None:
    def short(line: socket.socket) -> None:
        line.recv(1 << 16)
        line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx")

    with site(short) as port, pytest.raises(NotFetchedError, match="breaks off after 1 bytes, 99 before its end"):
        fetched(f"http://{HOST}:{port}/1.jpg", tmp_path)


@pytest.mark.parametrize("target", ["/a[1].jpg", "/%c3%a5.jpg?a=%2f&b", "//twice/x.jpg"])
def test_a_target_goes_out_as_it_was_written_and_past_every_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    asked = b""

    def answer(line: socket.socket) -> None:
        nonlocal asked
        asked = line.recv(1 << 16)
        line.sendall(OK)

    with site(answer) as port:
        assert fetched(f"http://{HOST}:{port}{target}", tmp_path) == b"one"
    assert asked.startswith(f"GET {target} HTTP/1.1\r\nHost: {HOST}:{port}\r\n".encode())
    assert b"Accept-Encoding: identity\r\n" in asked


def test_who_may_fetch_and_does_not_loads_no_http_library() -> None:
    code = "import sys, imgflow_steps.store.web; print({'urllib3', 'minio'} & sys.modules.keys())"

    assert run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
