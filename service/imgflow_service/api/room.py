"""Room for bodies in memory: a body is not read from its connection before there is room for it, in order of arrival.

What a body takes up is more than its bytes: it is copied on its way to a processor. Who waits here costs a connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Self

SLOW = 1.0  # seconds after which a body takes up what has come of it: a slow client would keep the others waiting


class Room:
    """So many bytes; one body alone may take up more. Of one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def waiting(self) -> int:
        """Bodies that are not read yet."""
        return len(self._line)

    async def enter(self, count: int) -> Stay:
        """Wait until there is room for this many bytes. Whoever is cancelled leaves the line."""
        if not self._line and self._fits(count):
            return Stay(self, count)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came in the moment it was given up
                self.take(-count)
            else:
                with suppress(ValueError):
                    self._line.remove((count, turn))
                self._admit()  # who stands behind may need less
            raise
        self.taken -= count  # kept free for it; now it takes that up itself
        return Stay(self, count)

    def take(self, count: int) -> None:
        """Take up this many bytes more, or fewer, without waiting."""
        self.taken += count
        if count < 0:
            self._admit()

    def _fits(self, count: int) -> bool:
        return not self.taken or self.taken + count <= self.most

    def _admit(self) -> None:
        while self._line and self._fits(self._line[0][0]):
            count, turn = self._line.popleft()
            if not turn.done():
                self.taken += count
                turn.set_result(None)


class Stay:
    """What one body takes up, from the moment there is room for it until it leaves. A context."""

    def __init__(self, room: Room, count: int) -> None:
        self._room, self._count, self._come = room, count, 0
        self._slow = False
        room.take(count)
        self._timer = asyncio.get_running_loop().call_later(SLOW, self._late)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give it back."""
        self._timer.cancel()
        self._change(0)

    def come(self, count: int) -> None:
        """So much has come of it by now."""
        self._come = count
        if self._slow or count > self._count:
            self._change(count)

    def _late(self) -> None:
        self._slow = True
        self._change(self._come)

    def _change(self, count: int) -> None:
        more, self._count = count - self._count, count
        self._room.take(more)
