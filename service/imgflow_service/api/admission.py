"""How much a front takes on at a time, in requests and in bytes of bodies: the rest is refused while it is small.

Of what is taken on, bodies are read as there is room for them in memory; the others wait, unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from imgflow_service.api.room import Room, Stay
from imgflow_service.wire.problems import Problem

RETRY = 1.0  # seconds after which a client may ask again


class Admission:
    """Places for requests with a body, the bytes that all of them have, and the ``room`` for those that are read."""

    def __init__(self, places: int, most: int, room: int, refused: Callable[[str], None]) -> None:
        self.places, self.most, self.room = places, most, Room(room)
        self.refused = refused  # told for want of what
        self.inflight = 0
        self.held = 0

    def place(self) -> Place:
        """A place for a request, given back at the end of its context. Raises Problem ``busy``."""
        if self.inflight >= self.places:
            self.refused("places")
            raise Problem("busy", f"{self.places} requests are in hand, as many as may be", retry_after=RETRY)
        return Place(self)


class Place:
    """What one request holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission, self._bytes = admission, 0
        self._stay: Stay | None = None
        self._ending = ExitStack()

    def __enter__(self) -> Self:
        self._admission.inflight += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()
        self._admission.inflight -= 1
        self._admission.held -= self._bytes

    def reserve(self, count: int) -> None:
        """Hold this many bytes in all, at least. Raises Problem ``busy`` when there is no room for them."""
        more = count - self._bytes
        if more <= 0:
            return
        if self._admission.held + more > self._admission.most and self._admission.held > 0:
            self._admission.refused("bytes")
            raise Problem("busy", "the bodies in hand are as large as they may be", retry_after=RETRY)
        self._admission.held += more
        self._bytes += more

    async def room(self, count: int, seconds: float) -> None:
        """Wait until there is room for a body of this many bytes. Raises Problem ``busy`` after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                self._stay = self._ending.enter_context(await self._admission.room.enter(count))
        except TimeoutError:
            self._admission.refused("room")
            detail = f"there was no room to read the body within {seconds:g} seconds"
            raise Problem("busy", detail, retry_after=RETRY) from None

    def come(self, count: int) -> None:
        """So much of the body is in memory by now."""
        if self._stay:
            self._stay.come(count)
