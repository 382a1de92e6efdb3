"""Photographs from the web, for those who allow it: only from hosts that are named, never from inside a network."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from imgflow_steps.contract import BadParametersError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

BYTES = 256 << 20  # of one photograph
SECONDS = 60.0  # for one photograph, redirects and all
SILENCE = 10.0  # seconds without a byte
REDIRECTS = 5
CHUNK = 64 << 10
MOVED = {301, 302, 303, 307, 308}
INTERNET = IPv6Network("2000::/3")
PORTS = {"http": 80, "https": 443}

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
    bytes: int = BYTES
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
            further = self._get(url, path, ends)
            if not further:
                return
            url = urljoin(url, further)
        raise NotFetchedError(f"it is redirected more than {REDIRECTS} times")

    def _get(self, url: str, path: Path, ends: float) -> str:
        """One request; where it leads when that is elsewhere, else ""."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - loads an HTTP client

        parts = self._split(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with self._pool(parts) as pool:
                response = pool.urlopen(
                    "GET",
                    target,
                    headers={"Host": parts.netloc, "User-Agent": "imgflow", "Accept-Encoding": "identity"},
                    redirect=False,
                    retries=False,
                    preload_content=False,
                )
                with response:
                    if response.status in MOVED and response.headers.get("Location"):
                        return response.headers["Location"]
                    if response.status != 200:  # noqa: PLR2004 - the one status that brings the whole
                        raise NotFetchedError(f"{parts.hostname} answers {response.status}")
                    self._receive(response, path, ends)
                    return ""
        except HTTPError as error:
            raise NotFetchedError(f"{parts.hostname} cannot be read: {error}") from error

    def _receive(self, response: BaseHTTPResponse, path: Path, ends: float) -> None:
        received = 0
        with path.open("wb") as file:
            while chunk := response.read1(CHUNK, decode_content=False):
                received += len(chunk)
                if received > self.bytes:
                    raise NotFetchedError(f"it has more than {self.bytes:,} bytes")
                if time.monotonic() > ends:
                    raise NotFetchedError(f"it takes more than {self.seconds:.0f} seconds")
                file.write(chunk)
        told = response.headers.get("Content-Length", "")
        if told.isdigit() and int(told) != received:
            raise NotFetchedError(f"it breaks off after {received:,} of {int(told):,} bytes")

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

    def _pool(self, parts: SplitResult) -> HTTPConnectionPool:
        """Connections to the one address that was looked at: a second answer of DNS is never asked for."""
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, Timeout  # noqa: PLC0415 - as above

        host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
        address = str(self._address(host, port))
        timeout = Timeout(connect=SILENCE, read=SILENCE)
        if parts.scheme == "http":
            return HTTPConnectionPool(address, port, timeout=timeout)
        return HTTPSConnectionPool(
            address, port, timeout=timeout, cert_reqs="CERT_REQUIRED", server_hostname=host, assert_hostname=host
        )

    def _address(self, host: str, port: int) -> Address:
        try:
            found = {ip_address(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, ValueError) as error:
            raise NotFetchedError(f"{host} has no address: {error}") from None
        if refused := [address for address in found if not self.allowed(address)]:
            raise NotFetchedError(f"{host} is at {refused[0]}, inside of a network, where nothing is fetched")
        return min(found, key=lambda address: (address.version, int(address)))


NOWHERE = Web()
