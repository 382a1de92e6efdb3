"""Connections to an S3 server that end in bounded time, whatever the server does, and know an answer of S3.

A silent server, one that sends a byte now and then, and one that takes none are all given up: each socket has a pace
to keep, and each operation of the store has a budget of silence for all its requests together.
"""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import MaxRetryError, ProtocolError

from imgflow_steps.store import tls
from imgflow_steps.store.causes import said
from imgflow_steps.store.proxies import proxied
from imgflow_steps.store.sockets import Pool, SecurePool

if TYPE_CHECKING:
    from imgflow_steps.store.settings import S3Settings

CONNECTIONS = 64  # kept open for threads
BUSY = (429, 500, 502, 503, 504)
PAUSE = 10.0  # seconds between two attempts, at most
NOTICE_ATTEMPTS = 6  # attempts, some twelve seconds, after which a request that goes on says so…
NOTICE_SECONDS = 10.0  # …or seconds of silence
NOTICE_INTERVAL = 60.0  # seconds after which it is said once more
SHORT = 2.0  # seconds for one that was silent a moment ago
DONE = (200, 204, 206)
ROOTS = {  # what the answer to a request with this parameter begins with
    "list-type": b"ListBucketResult",
    "delete": b"DeleteResult",
    "uploads": b"InitiateMultipartUploadResult",
    "uploadId": b"CompleteMultipartUploadResult",
}
ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>\s*)?<(?:[\w.-]+:)?([\w.-]+)")


class StrangeError(ProtocolError):
    """The answer is none that S3 gives, whatever its status says."""


class SpoiltError(ProtocolError):
    """What came is not what lies in the store: another length, another checksum, another version."""


@dataclass(slots=True)
class Silence:
    """How long one operation of the store may hear nothing, over all of its requests; in seconds."""

    budget: float
    spent: float = 0.0
    short: bool = False  # whoever was silent a moment ago is asked once, and not for long
    gone: Callable[[], bool] = lambda: False  # whether others have found meanwhile that nobody answers
    told: bool = False
    proved: bool = False  # whether a body came whole: one that drips still answers what has none
    mark: float = field(default_factory=time.monotonic)

    def lapse(self) -> None:
        """Count the time since something was heard."""
        now = time.monotonic()
        self.spent += now - self.mark
        self.mark = now

    def heard(self) -> None:
        """Something came: the time until now was not silence."""
        self.mark = time.monotonic()

    def lasts(self, seconds: float) -> bool:
        """Whether another attempt may be silent for so long."""
        return not (self.short or self.gone()) and self.spent + seconds <= self.budget


class Connections(PoolManager):
    """urllib3's connections with our patience: ``asking`` says how long a thread's requests may hear nothing."""

    def __init__(self, settings: S3Settings, **kw: Any) -> None:
        super().__init__(
            maxsize=CONNECTIONS,
            timeout=Timeout(connect=settings.connect, read=settings.read),
            ca_certs=settings.ca_bundle or certifi.where(),
            **kw,
        )
        self.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
        self._settings = settings
        self._retry = _Retry(
            total=settings.retries + math.ceil(settings.patience / PAUSE),
            read=settings.retries,  # one that takes the connection and then says nothing is given up as ever
            redirect=False,
            status_forcelist=BUSY,
            allowed_methods=None,  # all that are sent here may be sent twice
            backoff_factor=settings.backoff,
            backoff_jitter=settings.backoff,
            backoff_max=PAUSE,
            respect_retry_after_header=False,  # it may ask for hours
        )
        self._thread = threading.local()
        self._told = 0.0  # until then nobody is told again that the store does not answer

    @contextmanager
    def asking(self, silence: Silence) -> Iterator[None]:
        """Let this thread's requests share a budget of silence."""
        self._thread.silence = silence
        try:
            yield
        finally:
            self._thread.silence = None

    def proved(self) -> None:
        """A body has come, to this thread's request."""
        if silence := getattr(self._thread, "silence", None):
            silence.proved = True

    def _tell(self, why: str) -> None:
        if time.monotonic() > self._told:  # many threads wait for the same server
            self._told = time.monotonic() + NOTICE_INTERVAL
            logging.getLogger(__name__).warning("the store does not answer, asking again: %s", why)

    def heard(self) -> None:
        """This thread's request brings something."""
        if silence := getattr(self._thread, "silence", None):
            silence.heard()

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> BaseHTTPResponse:  # type: ignore[override]
        """See urllib3. Raises StrangeError when a good answer is none of S3."""
        silence = getattr(self._thread, "silence", None) or Silence(self._settings.budget)
        kw["retries"] = self._retry.within(silence, self._settings.read, self._tell)
        if silence.short:
            kw["timeout"] = Timeout(connect=SHORT, read=min(SHORT, self._settings.read))
        answer = super().urlopen(method, url, redirect, **kw)
        if answer.status in DONE and (why := _strange(method, url, answer, whole=kw.get("preload_content", True))):
            answer.close()
            raise StrangeError(why)
        silence.proved |= bool(kw.get("preload_content", True) and answer.data)
        return answer


class _Proxied(Connections, ProxyManager):
    """The same through a proxy."""


def connections(settings: S3Settings) -> Connections:
    """Connections to a server, through a proxy where one is named."""
    return _Proxied(settings, **proxied(settings.proxy)) if settings.proxy else Connections(settings)


class _Retry(Retry):
    """Ends where the budget of silence does, and says, once per operation, that it is going to take long."""

    silence: Silence
    seconds: float  # that an attempt may be silent
    tell: Callable[[str], None]

    def within(self, silence: Silence, seconds: float, tell: Callable[[str], None]) -> Self:
        """The same with a budget, and somebody to tell when it takes long."""
        fresh = self.new()
        fresh.silence, fresh.seconds, fresh.tell = silence, seconds, tell
        return fresh

    def new(self, **kw: Any) -> Self:
        """See urllib3."""
        fresh = super().new(**kw)
        if silence := getattr(self, "silence", None):
            fresh.silence, fresh.seconds, fresh.tell = silence, self.seconds, self.tell
        return fresh

    def increment(self, method: str | None = None, url: str | None = None, *args: Any, **kw: Any) -> Self:
        """See urllib3."""
        self.silence.lapse()
        fresh = super().increment(method, url, *args, **kw)
        if tls.is_final(kw.get("error")) or not self.silence.lasts(self.seconds):
            last = fresh.history[-1]
            pool = kw.get("_pool") or (args[2] if len(args) > 2 else None)  # noqa: PLR2004 - its place
            reason = kw.get("error") or ProtocolError(f"HTTP status {last.status}")
            raise MaxRetryError(pool, url or "", reason)  # type: ignore[arg-type]  # it is only named
        return fresh

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """See urllib3."""
        if not self.silence.told and (len(self.history) >= NOTICE_ATTEMPTS or self.silence.spent > NOTICE_SECONDS):
            self.silence.told = True
            last = self.history[-1]
            self.tell(said(last.error) if last.error else f"HTTP status {last.status}")
        super().sleep(response)


def _strange(method: str, url: str, answer: BaseHTTPResponse, *, whole: bool) -> str:
    """Why an answer cannot be one of S3, or ""."""
    given = parse_qs(urlsplit(url).query, keep_blank_values=True)
    root = next((root for name, root in ROOTS.items() if name in given and method in {"GET", "POST"}), b"")
    if root:
        begun = ROOT.match(answer.data)
        if not begun or begun[1] != root:
            return f"it answers with {begun[1].decode() if begun else 'no XML'}, not {root.decode()}"
        return ""
    if method != "HEAD" and b"<html" in _begin(answer, whole=whole).lower():
        return "it answers with a web page"
    return ""


def _begin(answer: BaseHTTPResponse, *, whole: bool) -> bytes:
    """The first bytes of an answer that is no object; nothing of one that is, nor of one that is read later."""
    names = {name.lower() for name in answer.headers}
    if "etag" in names or any(name.startswith("x-amz-") for name in names):
        return b""
    if whole:
        return answer.data[:1000]
    return b"<html" if answer.headers.get("Content-Type", "").startswith("text/html") else b""
