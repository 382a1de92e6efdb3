"""Single flight: whoever asks for what is being made already waits for that, and it ends when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiters: int = 0


class Flights(Generic[T]):
    """What is being made, by key. The work belongs to no request: the first may leave and the others get theirs."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, _Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    async def join(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, bool]:
        """What ``make`` gives for this key, and whether somebody else had begun it. Raises what it raises."""
        flight = self._flights.get(key)
        # One that has ended is about to be removed. Its fault comes without a pause: who tries again would never yield.
        shared = flight is not None and not flight.task.done()
        if flight is None or not shared:
            flight = self._flights[key] = _Flight(asyncio.create_task(make()))
            flight.task.add_done_callback(partial(self._ended, key, flight))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task), shared
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.task.cancel()
                self._remove(key, flight)  # who comes now begins anew

    def _ended(self, key: Hashable, flight: _Flight[T], _task: asyncio.Task[T]) -> None:
        self._remove(key, flight)
        if not flight.task.cancelled():
            flight.task.exception()  # whoever waited has had it

    def _remove(self, key: Hashable, flight: _Flight[T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
