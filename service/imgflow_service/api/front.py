"""What the routes of a front share: settings, processors, store, admission, figures, and the way a picture takes."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from fastapi import Request

from imgflow_service.api.admission import Admission
from imgflow_service.api.cache import Cache
from imgflow_service.api.flights import Flights
from imgflow_service.api.guests import Guests
from imgflow_service.api.made import Made
from imgflow_service.api.telemetry import Telemetry
from imgflow_service.api.urls import Urls
from imgflow_service.settings import ServiceSettings
from imgflow_service.wire.messages import ImageRequest
from imgflow_service.wire.problems import Problem
from imgflow_service.wire.processor_pb2 import ProcessResponse
from imgflow_service.wire.processors import Processors
from imgflow_service.wire.tracing import Trace, Tracer
from imgflow_steps import codec
from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_service.api.choice import Choice
    from imgflow_service.jobs.queue import Queue
    from imgflow_service.jobs.records import Jobs
    from imgflow_steps.store import Store

T = TypeVar("T")

REMEMBERED = 60.0  # seconds for which a rejection is known without asking again
REJECTIONS = 10_000  # of them, at most


class GoneError(Exception):
    """The client has left; nobody is there to be told anything."""


@dataclass(frozen=True, slots=True)
class Had:
    """A result, where it came from (hit, miss, shared, bypass), and what names it for ever."""

    made: Made
    how: str
    sha256: str
    digest: str
    ms: Mapping[str, float]

    @property
    def name(self) -> str:
        """The same for the same picture and the same pipeline."""
        return f"{self.sha256[:32]}-{self.digest}"


@dataclass
class Front:
    """One front, for as long as it serves. ``store`` is None where nothing is kept."""

    settings: ServiceSettings
    processors: Processors
    store: Store | None = None
    telemetry: Telemetry = field(default_factory=Telemetry)
    tracer: Tracer = field(default_factory=Tracer)
    jobs: Jobs | None = None
    queue: Queue | None = None  # of their images; with jobs
    draining: bool = False  # about to end: no longer ready, though what still comes is served
    admission: Admission = field(init=False)
    cache: Cache | None = field(init=False)
    guests: Guests = field(init=False)
    urls: Urls = field(init=False)

    def __post_init__(self) -> None:
        """All that the settings say."""
        own = self.settings.api
        refused = partial(self.telemetry.refused, "front")
        self.admission = Admission(own.inflight, own.bytes, own.reading, refused)
        self.cache = Cache(self.store, self.telemetry) if self.store and self.settings.cache else None
        self.guests = Guests(self.settings.keys, self.settings.rate)
        self.urls = Urls(self.settings)
        self._flights: Flights[tuple[Made, str]] = Flights()
        self._rejections: dict[tuple[str, str], tuple[float, Problem]] = {}
        self.telemetry.inflight.set_function(lambda: self.admission.inflight)
        self.telemetry.held.set_function(lambda: self.admission.held)
        self.telemetry.unread.set_function(lambda: self.admission.room.waiting)

    async def guest(self, request: Request) -> None:
        """Let a request in, as a dependency of routes. Raises Problem: unauthorized, rate."""
        request.state.key = self.guests.admit(request.headers)

    async def picture(
        self, data: bytes, choice: Choice, seconds: float, request_id: str, trace: Trace, *, fresh: bool = False
    ) -> Had:
        """What is asked for of a picture, within ``seconds``: from the cache unless ``fresh``, or made once for all.

        ``request_id`` and ``trace`` go on to the processor. Raises Problem, whatever is wrong.
        """
        ends = time.monotonic() + seconds
        if not data:
            raise Problem("bad-request", "the request holds no image")
        try:
            decided = choice.decide(codec.header(data, self.settings.limits.of_pipeline))
        except Rejected as verdict:
            raise Problem(verdict.code, verdict.message) from None
        started = time.perf_counter()
        sha256 = (await asyncio.to_thread(hashlib.sha256, data)).hexdigest()
        ms = {"hash": (time.perf_counter() - started) * 1000}
        key = (sha256, decided.digest)
        if not fresh:
            self._recall(key)
        while True:
            left = ends - time.monotonic()

            async def make(left: float = left) -> tuple[Made, str]:
                asked = ImageRequest(decided.request(request_id), data)
                return await self._make(key, asked, left, trace, fresh=fresh)

            try:
                async with asyncio.timeout(left):
                    (made, how), shared = await self._flights.join((key, fresh), make)
            except TimeoutError:
                raise Problem("timeout", f"the picture was not done within {seconds:g} seconds") from None
            except Problem as problem:
                if problem.code == "timeout" and time.monotonic() < ends - 0.05:
                    continue
                raise
            how = "shared" if shared and how == "miss" else how
            self.telemetry.cache(how)
            return Had(made, how, sha256, decided.digest, ms)

    async def kept(self, sha256: str, choice: Choice) -> Had | None:
        """What was made of a picture earlier, by the picture's hash: scaled, or as one that fitted."""
        if self.cache is None:
            return None
        for scaling in (True, False):
            digest = choice.wished(scaling=scaling).digest
            if made := await self.cache.read(digest, sha256):
                return Had(made, "hit", sha256, digest, {})
        return None

    async def processed(self, asked: ImageRequest, seconds: float, trace: Trace) -> ProcessResponse:
        """One picture through a processor. Raises Problem."""
        started = time.monotonic()
        code = "cancelled"
        try:
            response = await self.processors.process(asked, seconds, trace)
            code = "ok"
        except Problem as problem:
            code = problem.code
            if code == "busy":
                self.telemetry.refused("processor", "busy")
            raise
        else:
            return response
        finally:
            self.telemetry.called(code, time.monotonic() - started)

    async def keep(self) -> None:
        """Keep the cache within its bounds until this is cancelled."""
        if self.cache:
            await self.cache.prune(self.settings.cache_days, self.settings.cache_bytes)

    async def close(self) -> None:
        """Finish what is behind the answers."""
        if self.cache:
            await self.cache.settle()

    async def _make(
        self, key: tuple[str, str], asked: ImageRequest, seconds: float, trace: Trace, *, fresh: bool
    ) -> tuple[Made, str]:
        sha256, digest = key
        started = time.perf_counter()
        if self.cache and not fresh and (found := await self.cache.read(digest, sha256)):
            return found, "hit"
        looked = (time.perf_counter() - started) * 1000
        try:
            made = Made.of(await self.processed(asked, seconds - looked / 1000, trace))
        except Problem as problem:
            if problem.lasting:
                self._remember(key, problem)
            raise
        made = Made(made.source, made.pieces, {"cache": looked, **made.ms}, made.processor)
        if self.cache:
            self.cache.write(digest, sha256, made)
        return made, "bypass" if fresh else "miss"

    def _recall(self, key: tuple[str, str]) -> None:
        known = self._rejections.get(key)
        if known and time.monotonic() < known[0]:
            raise Problem(known[1].code, known[1].detail)

    def _remember(self, key: tuple[str, str], problem: Problem) -> None:
        while len(self._rejections) >= REJECTIONS:
            self._rejections.pop(next(iter(self._rejections)))
        self._rejections[key] = (time.monotonic() + REMEMBERED, problem)


def seconds_left(headers: Mapping[str, str], most: float) -> float:
    """How long a request may take: what the service allows, or less where the client says so (``X-Timeout``)."""
    text = headers.get("x-timeout", "")
    if not text:
        return most
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise Problem("bad-request", f"X-Timeout is a number of seconds, not {text[:80]!r}")
    return min(seconds, most)


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` gives, as long as the client is there to have it; servers do not cancel a handler by themselves.

    Raises GoneError when it has left, after the work was cancelled.
    """
    doing = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({doing, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise GoneError
        return await doing
    finally:
        for task in (doing, gone):
            task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await doing


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
