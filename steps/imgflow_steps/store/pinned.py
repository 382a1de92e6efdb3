"""One request to one address that was looked at, through urllib3, and cut off at a moment whatever the server does.

Importing this module loads urllib3: whoever may fetch something from the web does so when it fetches.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPException
from ssl import create_default_context
from threading import Timer
from typing import Any

from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError

from imgflow_steps.store.causes import said

SILENCE = 10.0  # seconds without a byte
FAULTS = (OSError, HTTPException, HTTPError, ValueError)  # what a server, or what lies before it, can do


class _Line(HTTPConnection):
    """A connection that may be watched before anything goes through it, TLS's first bytes too."""

    def __init__(self, *args: Any, cuts: ExitStack, ends: float, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self._cuts, self._ends = cuts, ends

    def _new_conn(self) -> socket.socket:
        line = super()._new_conn()
        self._cuts.enter_context(_cut(line, self._ends))
        return line


class _SecureLine(_Line, HTTPSConnection):
    """The same over TLS."""


@contextmanager
def get(
    address: tuple[str, int], target: str, headers: dict[str, str], ends: float, name: str
) -> Iterator[BaseHTTPResponse]:
    """What an address and port answer until ``ends`` by the monotonic clock; no proxy is asked, nothing tried again.

    ``name`` is the host that its certificate has to name, "" without TLS. Raises FAULTS.
    """
    with ExitStack() as stack:
        tls = {"server_hostname": name, "ssl_context": create_default_context()} if name else {}
        line = (_SecureLine if name else _Line)(*address, timeout=SILENCE, cuts=stack, ends=ends, **tls)
        stack.enter_context(closing(line))
        line.request("GET", target, headers=headers, preload_content=False, decode_content=False)
        yield stack.enter_context(closing(line.getresponse()))


def why(error: Exception) -> str:
    """Why a request failed, in words for whoever sent it."""
    inner = error.args[1] if isinstance(error, ProtocolError) and len(error.args) > 1 else error
    if isinstance(inner, IncompleteRead):
        return f"it breaks off after {inner.partial:,} bytes, {inner.expected:,} before its end"
    return said(inner)


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
