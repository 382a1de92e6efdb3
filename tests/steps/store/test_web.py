"""Photographs from the web: from allowed hosts on the internet, within limits, and from nowhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

import pytest

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.store import Store
from imgflow_steps.store.web import NotFetchedError, Web, public
from imgflow_workflows.ingest.table import Table
from imgflow_workflows.results.skips import SkipReason
from imgflow_workflows.transfer.copying import ingest

HOST = "photos.example"
DRIPS = 500


class Site(BaseHTTPRequestHandler):
    """A web site on loopback."""

    dripped: ClassVar[int] = 0  # bytes of the last answer that never comes to its point

    def handle(self) -> None:
        with suppress(OSError):  # whoever asked has gone
            super().handle()

    def do_GET(self) -> None:
        assert self.headers["Host"].startswith(HOST)
        if self.path == "/slow.jpg":
            self.drip(b"HTTP/1.1 200 OK\r\nX-Padding: ")
            return
        answers: dict[str, tuple[int, dict[str, str], bytes]] = {
            "/a/1.jpg": (200, {}, b"one"),
            "/a/2.jpg?size=big": (200, {}, b"two"),
            "/%C3%A5.jpg": (200, {}, b"three"),
            "/moved.jpg": (302, {"Location": "/a/1.jpg"}, b""),
            "/away.jpg": (302, {"Location": "http://evil.example/x.jpg"}, b""),
            "/file.jpg": (302, {"Location": "file:///etc/passwd"}, b""),
            "/nowhere.jpg": (302, {"Location": "http://[evil"}, b""),
            "/round.jpg": (302, {"Location": "/round.jpg"}, b""),
            "/large.jpg": (200, {}, bytes(5000)),
            "/short.jpg": (200, {"Content-Length": "100"}, b"x"),
        }
        status, headers, body = answers.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, begin: bytes) -> None:
        """Never silent, and never at an end: a byte every 10 ms until nobody listens, but not for ever."""
        self.wfile.write(begin)
        for Site.dripped in range(DRIPS):
            self.wfile.write(b"x")
            time.sleep(0.01)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a site that every name leads to."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(socket, "getaddrinfo", answering(socket.getaddrinfo, "127.0.0.1"))
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    server.server_close()


def answering(real: Callable[..., object], *addresses: str) -> Callable[..., object]:
    """DNS that gives these addresses for the site, one after the other, the last one for ever."""
    left = list(addresses)

    def getaddrinfo(host: str, port: int, *more: object, **options: object) -> object:
        if not host.endswith(".example"):
            return real(host, port, *more, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (left.pop(0) if left[1:] else left[0], port))]

    return getaddrinfo


def anywhere(_: object) -> bool:
    return True


OPEN = Web(frozenset({HOST}), allowed=anywhere)


@pytest.mark.parametrize(
    ("path", "data"),
    [("/a/1.jpg", b"one"), ("/a/2.jpg?size=big", b"two"), ("/moved.jpg", b"one"), ("/å.jpg", b"three")],
)
def test_what_lies_at_a_url_is_fetched(site: str, tmp_path: Path, path: str, data: bytes) -> None:
    OPEN.fetch(site + path, tmp_path / "x")

    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/away.jpg", "not among those allowed"),
        ("/file.jpg", "only http and https"),
        ("/nowhere.jpg", "Invalid IPv6"),
        ("/round.jpg", "more than 5 times"),
        ("/large.jpg", "more than 1,000 bytes"),
        ("/short.jpg", "cannot be read|breaks off"),
        ("/gone.jpg", "answers 404"),
    ],
)
def test_what_leads_elsewhere_or_has_no_end_is_not(site: str, tmp_path: Path, path: str, error: str) -> None:
    with pytest.raises(NotFetchedError, match=error):
        Web(OPEN.hosts, largest=1000, allowed=anywhere).fetch(site + path, tmp_path / "x")


@pytest.mark.parametrize(("path", "seconds"), [("/a/1.jpg", -1), ("/slow.jpg", 0.1)])
def test_a_photograph_has_only_so_much_time(site: str, tmp_path: Path, path: str, seconds: float) -> None:
    with pytest.raises(NotFetchedError, match=r"takes more than .* seconds"):
        Web(OPEN.hosts, seconds=seconds, allowed=anywhere).fetch(site + path, tmp_path / "x")
    assert Site.dripped < DRIPS - 1  # the server had not ended by itself


def test_a_host_inside_a_network_is_refused_whatever_its_name(site: str, tmp_path: Path) -> None:
    with pytest.raises(NotFetchedError, match=r"127\.0\.0\.1, inside of a network"):
        Web(OPEN.hosts).fetch(f"{site}/a/1.jpg", tmp_path / "x")


def test_a_redirect_is_looked_at_as_the_first_request_was(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(socket.getaddrinfo, "127.0.0.1", "10.0.0.1"))
    first = Web(OPEN.hosts, allowed=lambda address: str(address) == "127.0.0.1")

    with pytest.raises(NotFetchedError, match=r"10\.0\.0\.1"):
        first.fetch(f"{site}/moved.jpg", tmp_path / "x")


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering(socket.getaddrinfo, "127.0.0.1", "192.0.2.1"))

    OPEN.fetch(f"{site}/a/1.jpg", tmp_path / "x")  # a second answer would lead nowhere

    assert (tmp_path / "x").read_bytes() == b"one"


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
        ),
        *(
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::a00:1",
            "ff02::1",
        ),
    ],
)
def test_addresses_of_machines_and_networks_are_not_public(address: str) -> None:
    assert not public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111"])
def test_addresses_of_the_internet_are(address: str) -> None:
    assert public(ip_address(address))


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (f"ftp://{HOST}/x.jpg", "only http and https"),
        ("file:///etc/x.jpg", "only http and https"),
        ("http://other.example/x.jpg", "--allow-host other.example"),
        (f"http://{HOST}@other.example/x.jpg", "a user or a password"),
        (f"http://{HOST}.other.example/x.jpg", "not among those allowed"),
        (f"http://{HOST}/x.jpg\r\nHost: a", "characters|allowed"),
        (f"http://{HOST}:99999/x.jpg", "not a URL"),
    ],
)
def test_a_table_with_such_a_url_leaves_the_store_as_it_was(
    directory_store: Store, tmp_path: Path, url: str, error: str
) -> None:
    quoted = url.replace('"', '""')
    (tmp_path / "t.csv").write_text(f'url,n\nhttp://{HOST}/a/1.jpg,1\n"{quoted}",2\n', newline="")

    with pytest.raises(BadParametersError, match=error):
        ingest(Table(tmp_path / "t.csv", web=OPEN), directory_store, "Demo", workers=2, tell=lambda _: None)

    assert list(directory_store.entries()) == []


def test_urls_are_not_fetched_unless_hosts_are_named(directory_store: Store, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"url,n\nhttp://{HOST}/a/1.jpg,1\n")

    with pytest.raises(BadParametersError, match=f"--allow-host {HOST}"):
        ingest(Table(tmp_path / "t.csv"), directory_store, "Demo", workers=2, tell=lambda _: None)


def test_photographs_of_a_table_come_from_the_web_once(site: str, directory_store: Store, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"url,n\n{site}/a/1.jpg,1\n{site}/gone.jpg,2\n")
    table = Table(tmp_path / "t.csv", web=OPEN)

    first, again = (ingest(table, directory_store, "Demo", workers=2, tell=lambda _: None) for _ in range(2))

    assert directory_store.read(keys.images("Demo") + "a/1.jpg") == b"one"
    assert (first.copied, first.bytes, first.refused) == (1, 3, {SkipReason.FETCHED: 1})
    assert (again.copied, again.present) == (0, 1)
