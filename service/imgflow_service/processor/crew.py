"""Computing processes and the queue before them: bounded, in order, and a place is taken until its work ends."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import CancelledError as EndedError
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from imgflow_service.processor.answer import Answer
from imgflow_service.processor.exchange import Slot
from imgflow_service.wire.problems import Problem
from imgflow_steps.worker.processes import DIED, Processes, cause, verdict
from imgflow_steps.worker.reach import Reach

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_service.processor.telemetry import Telemetry
    from imgflow_steps.contract.options import Limits

FRESH = 0.3  # of the newest picture, in the mean of how long one takes
TICK = 0.5  # seconds between two looks at how long a picture has been computed
BEGIN = 0.1  # seconds that a picture is taken to need before one was measured


@dataclass(frozen=True, slots=True)
class Task:
    """A picture and what shall become of it: a pipeline as JSON, and the name that chance is drawn from."""

    image: bytes | memoryview
    pipeline: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a task, and the bytes of its results."""

    answer: Answer
    data: tuple[bytes, ...]


class Crew:
    """``workers`` computing processes that take one picture each at a time, and ``waiting`` places before them.

    Of one event loop. What kills a process is tried once more alone, and only then has its verdict.
    """

    def __init__(self, workers: int, waiting: int, limits: Limits, telemetry: Telemetry) -> None:
        self.workers, self.places, self.limits = workers, waiting, limits
        self._telemetry = telemetry
        self._slots = [Slot() for _ in range(workers)]
        reach = Reach(keep=tuple(number for slot in self._slots for number in slot.shared))
        self._processes = Processes(workers, limits.memory, "imgflow_service.processor.compute", reach)
        self._free = deque(self._slots)
        self._queue: deque[asyncio.Future[Slot]] = deque()
        self._running: set[asyncio.Task[Done]] = set()
        self._mean = BEGIN

    @property
    def busy(self) -> int:
        """Pictures that are being computed."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    async def warm(self) -> None:
        """Wait until every process has loaded what it needs."""
        nothing = [self._await(self._processes.schedule(_nothing, False)) for _ in self._slots]
        await asyncio.gather(*nothing)

    async def process(self, task: Task, seconds: float) -> Done:
        """A picture through its pipeline.

        Whoever is cancelled while waiting leaves the queue; what has begun is done to its end, by its process.
        Raises Problem: ``busy`` when there is no place, or not within ``seconds``.
        """
        asked = time.monotonic()
        slot = await self._place(seconds)
        began = time.monotonic()
        self._telemetry.waited(began - asked)
        running = asyncio.create_task(self._run(slot, task))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        done = await asyncio.shield(running)
        queue = round((began - asked) * 1000, 3)
        return replace(done, answer=replace(done.answer, ms={"queue": queue, **done.answer.ms}))

    async def close(self) -> None:
        """End all processes, whatever they are at."""
        for running in self._running:
            running.cancel()
        await asyncio.to_thread(self._processes.close)
        for slot in self._slots:
            slot.close()

    async def _place(self, seconds: float) -> Slot:
        if self._free:
            return self._free.popleft()
        ahead = len(self._queue) + 1
        wait = ahead * self._mean / self.workers
        if len(self._queue) >= self.places:
            raise Problem("busy", f"{self.busy} pictures are computed and {self.places} wait, as many as may", wait)
        if wait > seconds:
            raise Problem("busy", f"it would be begun in {wait:.1f} seconds, after its time is up", wait)
        turn: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came in the moment it was given up
                self._release(turn.result())
            else:
                with suppress(ValueError):  # whoever gave a place away has met it already
                    self._queue.remove(turn)
            self._telemetry.dropped()
            raise

    def _release(self, slot: Slot) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(slot)
                return
        self._free.append(slot)

    async def _run(self, slot: Slot, task: Task) -> Done:
        started = time.monotonic()
        try:
            slot.put(task.image)
            answer = await self._computed(slot, task)
            if not answer.code:
                self._mean += FRESH * (time.monotonic() - started - self._mean)
            self._telemetry.computed(answer)
            return Done(answer, tuple(slot.take([result.bytes for result in answer.results])))
        finally:
            self._release(slot)

    async def _computed(self, slot: Slot, task: Task) -> Answer:
        """The answer of a process, or the verdict on a picture over which two of them died."""
        alone = False
        while True:
            asked = (slot.image, len(task.image), slot.results, slot.journal, task.pipeline, task.name)
            slot.begin()
            future = self._processes.schedule(_compute, alone, *asked)
            try:
                answer: Answer = await self._await(future, slot)
            except DIED as error:
                self._telemetry.died(cause(error))
                if alone:
                    said = verdict(error, self.limits)
                    return Answer(code=said.code, message=said.message)
                alone = True
            else:
                return answer

    async def _await(self, future: Any, slot: Slot | None = None) -> Any:
        """What a process gave; it is ended when its picture takes too long. Raises one of ``DIED``."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), TICK)
                return future.result()
            self._processes.renew()
            if slot and slot.seconds > self.limits.patience:
                future.cancel()
                raise EndedError


def _compute(image: Path, size: int, results: Path, journal: Path, pipeline: str, name: str) -> Answer:
    from imgflow_service.processor import compute  # noqa: PLC0415 - numpy and Pillow, which whoever asks never needs

    return compute.compute(image, size, results, journal, pipeline, name)


def _nothing() -> None:
    """What a process can do once it is there."""
