"""Photographs from the web, for those who allow it: only from hosts that are named, never from inside a network."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from imgflow_steps.contract.redaction import has_user
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

BYTES = 256 << 20  # of one photograph
SECONDS = 60.0  # for one photograph, redirects and all
REDIRECTS = 5
CHUNK = 64 << 10
MOVED = {301, 302, 303, 307, 308}
INTERNET = IPv6Network("2000::/3")
PORTS = {"http": 80, "https": 443}
RESERVED = "%!#$&'()*+,/:;=?@[]~"  # what stays as it is in a request; the rest is written as %XX

Address = IPv4Address | IPv6Address
Code = Literal["refused", "failed", "timeout", "too-large"]


class NotFetchedError(Exception):
    """What lies at a URL is not fetched; the message says why, and ``code`` of which kind that is.

    ``host`` is set where it is only that nobody has allowed it.
    """

    def __init__(self, message: str, code: Code = "failed", host: str = "") -> None:
        super().__init__(message)
        self.code, self.host = code, host


def is_url(place: str) -> bool:
    """Whether a place is on the web rather than a file; any scheme counts, so that ``file://`` is no path either."""
    return "://" in place


def named_by_url(url: str) -> str:
    """A photograph's name by its URL: its path, decoded."""
    return unquote(urlsplit(url).path).lstrip("/")


@contextmanager
def fetched(web: Web, url: str) -> Iterator[Path]:
    """What lies at a URL as a file, for as long as the context lasts. Raises as ``Web.fetch``."""
    with temporary() as name:
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
            allow = f"; --allow-host {error.host} allows it" if error.host else ""
            raise BadParametersError(f"{url}: {error}{allow}; nothing was copied") from None

    def fetch(self, url: str, path: Path) -> None:
        """Write what lies at a URL to ``path``. Raises NotFetchedError, OSError where it cannot be written."""
        ends = time.monotonic() + self.seconds
        for _ in range(REDIRECTS + 1):
            parts = self._split(url)
            host = str(parts.hostname)
            with self._answer(parts, ends) as answer:
                further = answer.headers.get("Location") if answer.status in MOVED else ""
                if not further:
                    self._receive(answer, host, path, ends)
                    return
            with self._faults(host, ends):
                url = urljoin(url, further)
        raise NotFetchedError(f"it is redirected more than {REDIRECTS} times")

    @contextmanager
    def _answer(self, parts: SplitResult, ends: float) -> Iterator[BaseHTTPResponse]:
        """What the one address says that was looked at: a second answer of DNS is never asked for."""
        from imgflow_steps.store import pinned  # noqa: PLC0415 - most who may fetch never do

        host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
        target = quote((parts.path or "/") + (f"?{parts.query}" if parts.query else ""), safe=RESERVED)
        headers = {"Host": parts.netloc, "User-Agent": "imgflow", "Accept-Encoding": "identity"}
        address = f"{self._address(host, port)}", port
        with ExitStack() as stack:
            with self._faults(host, ends):
                name = host if parts.scheme == "https" else ""
                answer = stack.enter_context(pinned.get(address, target, headers, ends, name))
            yield answer

    def _receive(self, answer: BaseHTTPResponse, host: str, path: Path, ends: float) -> None:
        if answer.status != 200:  # noqa: PLR2004 - the one status that brings the whole
            raise NotFetchedError(f"{host} answers {answer.status}")
        received = 0
        with path.open("wb") as file:
            while chunk := self._read(answer, host, ends):
                received += len(chunk)
                if received > self.largest:
                    raise NotFetchedError(f"it has more than {self.largest:,} bytes", "too-large")
                file.write(chunk)

    def _read(self, answer: BaseHTTPResponse, host: str, ends: float) -> bytes:
        with self._faults(host, ends):
            chunk = answer.read(CHUNK)  # not stream(): before 2.8 it reads the length of a chunk however long
        if time.monotonic() >= ends:  # else what was cut off here would pass for the end
            raise self._too_slow()
        return chunk

    @contextmanager
    def _faults(self, host: str, ends: float) -> Iterator[None]:
        from imgflow_steps.store import pinned  # noqa: PLC0415 - see above

        try:
            yield
        except pinned.FAULTS as error:
            if time.monotonic() >= ends:
                raise self._too_slow() from error
            raise NotFetchedError(f"{host} cannot be read: {pinned.why(error)}") from error

    def _too_slow(self) -> NotFetchedError:
        return NotFetchedError(f"it takes more than {self.seconds:.0f} seconds", "timeout")

    def _split(self, url: str) -> SplitResult:
        if has_user(url):  # before it is taken apart: a key with a slash in it would be taken for a port
            raise NotFetchedError("it holds a user or a password", "refused")
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            raise NotFetchedError(f"it is not a URL ({error})", "refused") from None
        if parts.scheme not in PORTS:
            raise NotFetchedError("only http and https are fetched", "refused")
        if "@" in parts.netloc:
            raise NotFetchedError("it holds a user or a password", "refused")
        host = (parts.hostname or "").lower()
        if not host.isascii() or any(c <= " " for c in url):
            raise NotFetchedError("it holds characters that a URL has to percent-encode", "refused")
        if host not in self.hosts:
            raise NotFetchedError("its host is not among those allowed", "refused", host)
        return parts

    def _address(self, host: str, port: int) -> Address:
        try:
            found = {ip_address(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        except (OSError, ValueError) as error:
            raise NotFetchedError(f"{host} has no address: {error}") from None
        if refused := [address for address in found if not self.allowed(address)]:
            where = f"{host} is at {refused[0]}, inside of a network, where nothing is fetched"
            raise NotFetchedError(where, "refused")
        return min(found, key=lambda address: (address.version, int(address)))


NOWHERE = Web()
