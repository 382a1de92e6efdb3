"""What uvicorn leaves open of a connection: how large the head of a request may be, how long it may take, and Upgrade.

Clients such as Java's HttpClient ask with their first request whether HTTP/2 is spoken. RFC 9110 lets a server pass
that over, whatever is asked for; uvicorn's parser takes it for the end of the request, and the body is lost.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 << 10  # bytes of a request line and its headers
KEEP_ALIVE = 75  # seconds that an idle connection stays: longer than proxies in front keep theirs
LONGEST_HEAD = KEEP_ALIVE  # seconds for them, from when a connection opens: proxies may open it before they need it
END = b"\r\n\r\n"
UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*(?=\r\n)", re.IGNORECASE)
UNENDED = re.compile(rb"\r(?:\n[^\r\n]*\r?)?\Z")  # a line of a head that may go on in the next packet


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    _timer: asyncio.TimerHandle | None = None
    _head = 0  # bytes of a head that has not ended
    _in_head = True
    _kept = b""  # the line of a head that has not ended, and so may yet ask for another protocol

    def connection_made(self, transport: Any) -> None:
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._heard()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._in_head:
            if not self._head:
                self._wait()
            self._head += len(data)
            data, self._kept = _without_upgrade(self._kept + data)
        super().data_received(data)
        if self._in_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The head of the request has more than {LARGEST_HEAD} bytes.")

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._heard()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See httptools."""
        super().on_message_complete()
        self._in_head, self._head = True, 0

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(LONGEST_HEAD, self._late)

    def _late(self) -> None:
        """End it, unless a request before this head is still being answered: then the head has its time again."""
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
        else:
            self._wait()

    def _heard(self) -> None:
        self._in_head, self._head = False, 0
        if self._timer:
            self._timer.cancel()
            self._timer = None


def _without_upgrade(data: bytes) -> tuple[bytes, bytes]:
    """A part of a head without its asking for another protocol, and the end of it that is not a line yet."""
    end = data.find(END)
    if end >= 0:
        return UPGRADE.sub(b"", data[: end + 2]) + data[end + 2 :], b""
    lines = UPGRADE.sub(b"", data)
    unended = UNENDED.search(lines)
    at = unended.start() if unended else len(lines)
    return lines[:at], lines[at:]
