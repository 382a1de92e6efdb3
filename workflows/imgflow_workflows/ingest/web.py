"""Photographs from the web, for those who allow it: only from hosts that are named, never from inside a network."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from ssl import create_default_context
from tempfile import TemporaryDirectory
from threading import Timer
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from imgflow_steps.contract import BadParametersError

BYTES = 256 << 20  # of one photograph
SECONDS = 60.0  # for one photograph, redirects and all
SILENCE = 10.0  # seconds without a byte
REDIRECTS = 5
CHUNK = 64 << 10
MOVED = {301, 302, 303, 307, 308}
INTERNET = IPv6Network("2000::/3")
PORTS = {"http": 80, "https": 443}
RESERVED = "%!#$&'()*+,/:;=?@[]~"  # what stays as it is in a request; the rest is written as %XX

Address = IPv4Address | IPv6Address


class NotFetchedError(Exception):
    """What lies at a URL is not fetched; the message says why."""


def is_url(place: str) -> bool:
    """Whether a place is on the web rather than a file; any scheme counts, so that ``file://`` is no path either."""
    return "://" in place


def named_by_url(url: str) -> str:
    """A photograph's name by its URL: its path, decoded."""
    return unquote(urlsplit(url).path).lstrip("/")


@contextmanager
def fetched(web: Web, url: str) -> Iterator[Path]:
    """What lies at a URL as a file, for as long as the context lasts. Raises as ``Web.fetch``."""
    with TemporaryDirectory(prefix="imgflow-fetch-", ignore_cleanup_errors=True) as name:
        web.fetch(url, path := Path(name, "photograph"))
        yield path


def public(address: Address) -> bool:
    """Whether an address is one of the internet, not of this machine, its network or its cloud."""
    if isinstance(address, IPv6Address):  # what carries an IPv4 address inside may lead anywhere
        return address in INTERNET and address.is_global and not (address.sixtofour or address.teredo)
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class Web:
    """The hosts that photographs may come from; none as a rule."""

    hosts: frozenset[str] = frozenset()
    largest: int = BYTES
    seconds: float = SECONDS
    allowed: Callable[[Address], bool] = public

    def check(self, url: str) -> None:
        """Raises BadParametersError for a URL that may not be asked, before anything is."""
        try:
            self._split(url)
        except NotFetchedError as error:
            raise BadParametersError(f"{url}: {error}; nothing was copied") from None

    def fetch(self, url: str, path: Path) -> None:
        """Write what lies at a URL to ``path``. Raises NotFetchedError, OSError where it cannot be written."""
        ends = time.monotonic() + self.seconds
        for _ in range(REDIRECTS + 1):
            parts = self._split(url)
            host = str(parts.hostname)
            with self._answer(parts, ends) as answer:
                further = answer.getheader("Location") if answer.status in MOVED else ""
                if not further:
                    self._receive(answer, host, path, ends)
                    return
            with self._faults(host, ends):
                url = urljoin(url, further)
        raise NotFetchedError(f"it is redirected more than {REDIRECTS} times")

    @contextmanager
    def _answer(self, parts: SplitResult, ends: float) -> Iterator[HTTPResponse]:
        """What the one address says that was looked at: a second answer of DNS is never asked for."""
        host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=RESERVED)
        headers = {"Host": parts.netloc, "User-Agent": "imgflow", "Accept-Encoding": "identity"}
        address = self._address(host, port)
        with ExitStack() as stack:
            with self._faults(host, ends):
                line = stack.enter_context(socket.create_connection((f"{address}", port), SILENCE))
                stack.enter_context(_cut(line, ends))
                if parts.scheme == "https":
                    line = stack.enter_context(create_default_context().wrap_socket(line, server_hostname=host))
                connection = HTTPConnection(host, port)
                connection.sock = line
                connection.request("GET", target, headers=headers)
                answer = stack.enter_context(connection.getresponse())
            yield answer

    def _receive(self, answer: HTTPResponse, host: str, path: Path, ends: float) -> None:
        if answer.status != 200:  # noqa: PLR2004 - the one status that brings the whole
            raise NotFetchedError(f"{host} answers {answer.status}")
        received = 0
        with path.open("wb") as file:
            while chunk := self._read(answer, host, ends):
                received += len(chunk)
                if received > self.largest:
                    raise NotFetchedError(f"it has more than {self.largest:,} bytes")
                file.write(chunk)
        told = answer.getheader("Content-Length", "")
        if told.isdecimal() and int(told) != received:
            raise NotFetchedError(f"it breaks off after {received:,} of {int(told):,} bytes")

    def _read(self, answer: HTTPResponse, host: str, ends: float) -> bytes:
        with self._faults(host, ends):
            chunk = answer.read1(CHUNK)
        if time.monotonic() >= ends:  # else what was cut off here would pass for the end
            raise self._too_slow()
        return chunk

    @contextmanager
    def _faults(self, host: str, ends: float) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError) as error:
            if time.monotonic() >= ends:
                raise self._too_slow() from error
            raise NotFetchedError(f"{host} cannot be read: {error}") from error

    def _too_slow(self) -> NotFetchedError:
        return NotFetchedError(f"it takes more than {self.seconds:.0f} seconds")

    def _split(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise NotFetchedError(f"it is no URL ({error})") from None
        if parts.scheme not in PORTS:
            raise NotFetchedError("only http and https are fetched")
        if "@" in parts.netloc:
            raise NotFetchedError("it holds a user or a password")
        host = (parts.hostname or "").lower()
        if not host.isascii() or any(c <= " " for c in url):
            raise NotFetchedError("it holds characters that a URL writes otherwise")
        if host not in self.hosts:
            raise NotFetchedError(f"its host is not among those allowed; --allow-host {host} allows it")
        return parts

    def _address(self, host: str, port: int) -> Address:
        try:
            found = {ip_address(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, ValueError) as error:
            raise NotFetchedError(f"{host} has no address: {error}") from None
        if refused := [address for address in found if not self.allowed(address)]:
            raise NotFetchedError(f"{host} is at {refused[0]}, inside of a network, where nothing is fetched")
        return min(found, key=lambda address: (address.version, int(address)))


NOWHERE = Web()


@contextmanager
def _cut(line: socket.socket, ends: float) -> Iterator[None]:
    """Nobody waits at a connection for longer: a server that sends a byte now and then is never silent."""
    with line.dup() as same:  # TLS takes the socket itself over
        timer = Timer(max(0.0, ends - time.monotonic()), _shut, [same])
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()


def _shut(line: socket.socket) -> None:
    with suppress(OSError):  # the other side was first
        line.shutdown(socket.SHUT_RDWR)
