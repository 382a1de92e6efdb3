"""The picture of a request, however it was sent: read as a stream, and never more than may be held."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import Request
from starlette.requests import ClientDisconnect

from imgflow_service.api.admission import Place
from imgflow_service.wire.problems import Problem

PACE = 32 << 10  # bytes, of which as many come in the time of a request: a slower client would hold its place for ever
STEP = 1 << 20  # bytes that are reserved at a time of a body that does not say its length


@dataclass(frozen=True, slots=True)
class Upload:
    """One file of a request, and its name where it has one."""

    data: bytes
    name: str = ""


def declared(request: Request, largest: int) -> int | None:
    """What a request says of the length of its body; None where it does not. Raises Problem when that is too much."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20):  # noqa: PLR2004 - digits
        raise Problem("bad-request", "the length of the body is not a number")
    if int(text) > largest:
        raise Problem("too-many-bytes", f"{text} bytes; the limit is {largest}")
    return int(text)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Read a body within this time: a client that sends slower would hold its place for ever. Raises Problem."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Problem("timeout", "the body did not come within the time of its request") from None


async def whole(request: Request, place: Place, largest: int, seconds: float) -> bytes:
    """The body, read once there is room. Raises Problem: too-many-bytes, busy, bad-request when it breaks off."""
    if length := declared(request, largest):
        place.reserve(length)
    ends = time.monotonic() + seconds
    await place.room(length or STEP, seconds)
    parts, come = [], 0
    async with within(ends - time.monotonic()):
        async for part in counted(request, place, largest):
            parts.append(part)
            come += len(part)
            place.come(come)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def counted(
    request: Request, place: Place, largest: int, held: Callable[[], int] | None = None, seconds: float = 0.0
) -> AsyncIterator[bytes]:
    """The body as it comes, each part reserved before it is kept; ``held`` says how much is where it is less.

    Raises Problem, also where less than PACE comes of it in so many seconds, where these are given.
    """
    received, stream = 0, request.stream()
    try:
        async for part in _paced(stream, seconds) if seconds else stream:
            received += len(part)
            if received > largest:
                raise Problem("too-many-bytes", f"more than {largest} bytes, the limit")
            now = held() + len(part) if held else received
            place.reserve(now if "content-length" in request.headers else -(-now // STEP) * STEP)
            if part:
                yield part
    except ClientDisconnect:
        raise Problem("bad-request", "the body breaks off") from None


async def _paced(parts: AsyncIterator[bytes], seconds: float) -> AsyncIterator[bytes]:
    come, ends = 0, time.monotonic() + seconds
    while True:
        async with within(ends - time.monotonic()):
            part = await anext(parts, None)
        if part is None:
            return
        come += len(part)
        if come >= PACE:
            come, ends = 0, time.monotonic() + seconds
        yield part
