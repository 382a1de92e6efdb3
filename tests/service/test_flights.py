"""Who asks for what is being made waits for it, and never for what has ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from imgflow_service.api.flights import Flights


def test_who_asks_in_the_moment_in_which_something_fails_has_it_made_anew() -> None:
    async def scene() -> tuple[str, bool]:
        flights: Flights[str] = Flights()
        late = asyncio.get_running_loop().create_future()

        async def fails() -> str:
            await late
            raise TimeoutError

        async def succeeds() -> str:
            return "picture"

        first = asyncio.create_task(flights.join("key", fails))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        late.set_result(None)
        await asyncio.sleep(0)  # it has failed, and nobody was told yet
        told = await flights.join("key", succeeds)
        with suppress(TimeoutError):
            await first
        return told

    assert asyncio.run(scene()) == ("picture", False)
