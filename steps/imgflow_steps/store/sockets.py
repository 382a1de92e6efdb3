"""Sockets that have a pace to keep: who sends or takes too little in its time is given up."""

from __future__ import annotations

import io
import socket
import time
from http import client as http_client
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

PACE = 1 << 10  # bytes per second; what comes slower than this is given up
PIECE = 256 << 10  # bytes that are sent at once…
PIECE_SECONDS = 20.0  # …and have this many seconds


class _Paced(io.RawIOBase):
    """What a socket receives, or TimeoutError when that is less than this many bytes per second after some patience.

    Until ``begun`` all of it has to come within that patience, however much it is: a head may go on for ever.
    """

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw, self._sock = raw, sock
        self._began, self._received = time.monotonic(), 0
        self._patience = sock.gettimeout() or PIECE_SECONDS
        self.begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        earned = self._received / PACE if self.begun else 0.0
        left = self._began + max(self._patience, earned) - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"{self._received} bytes in {time.monotonic() - self._began:.0f} seconds are too slow")
        self._sock.settimeout(min(self._patience, left))
        received: int | None = self._raw.readinto(buffer)
        self._received += received or 0
        return received

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Response(http_client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kw: Any) -> None:
        super().__init__(sock, *args, **kw)
        self._paced = _Paced(self.fp.detach(), sock)
        self.fp = io.BufferedReader(self._paced)

    def begin(self) -> None:
        super().begin()
        self._paced.begun = True


class _Sending(HTTPConnection):
    """A body goes out in pieces, each with its time, where http.client gives all of it the time for a connection."""

    response_class = _Response

    def send(self, data: Any) -> None:
        if not isinstance(data, bytes) or len(data) <= PIECE:
            super().send(data)
            return
        rest = memoryview(data)
        if self.sock:
            self.sock.settimeout(PIECE_SECONDS)
        for at in range(0, len(rest), PIECE):
            super().send(rest[at : at + PIECE])


class _SecureSending(_Sending, HTTPSConnection):
    """The same over TLS."""


class Pool(HTTPConnectionPool):
    """See urllib3."""

    ConnectionCls = _Sending


class SecurePool(HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = _SecureSending
