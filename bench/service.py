"""The image service: what a request costs beside the pure function and beside other services, and how long it takes.

Each is asked for the same photograph of 12 megapixels by as many clients as ``CLIENTS`` says, in rounds in which all
take turns. Processor time is of all processes of a service, and not of who asks. No two requests have the same bytes.
"""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import Self

import psutil
from bench.contenders import pipeline
from bench.measure import Bench, Line, cores, line
from bench.photographs import SHOTS, Photograph, photographs
from bench.services import BOX, PEERS, PHOTOGRAPH, MissingError, Question, Service, imgflow

from imgflow_steps.pipeline.apply import OpenPipeline

SECTION = "The image service, {}: {} x {} to 1024x768"
CLIENTS = (1, 4, 32)
REQUESTS = 1000  # of a contender in all rounds, at least: a 99th percentile of fewer says nothing
PURE = 20  # pictures of a round
GOALS = {"naive FastAPI + Pillow": (True, 3.5), "imaginary": (True, 1.5), "imgproxy": (False, 1.25)}  # for grey, or not
OK, BUSY = 200, 503
NUMBERS = count(1)


@dataclass(slots=True)
class Burst:
    """Many requests: what each took in seconds, by status, and what all of them cost."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    processor: float = 0.0  # seconds
    wall: float = 0.0
    peak: int = 0  # bytes

    @property
    def answered(self) -> list[float]:
        """Of requests that were answered with a picture."""
        return self.seconds.get(OK, [])

    @property
    def each(self) -> float:
        """Processor time of a request."""
        return self.processor / max(1, len(self.answered))


def measure(bench: Bench) -> Iterator[Line]:
    """Grey, then colour; then what a service is besides."""
    taken = photographs(bench.images, bench.scratch, quick=bench.quick)
    wanted = {shot.name for shot in SHOTS if shot.kind == "camera-12"}
    photograph = next((one for one in taken if one.name in wanted), max(taken, key=lambda one: one.pixels))
    folder = bench.scratch / "service"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PHOTOGRAPH).write_bytes(photograph.data)
    with ExitStack() as stack:
        missing: dict[str, str] = {}
        services = [stack.enter_context(imgflow(folder))]
        for name, start in PEERS.items():
            try:
                services.append(stack.enter_context(start(folder)))
            except MissingError as error:
                missing[name] = str(error)
        for grey in (True, False):
            yield from compared(bench, photograph, services, missing, grey=grey)
    yield from besides(bench, photograph)


def compared(
    bench: Bench, photograph: Photograph, services: Sequence[Service], missing: dict[str, str], *, grey: bool
) -> Iterator[Line]:
    """Every service at every number of clients."""
    section = SECTION.format("grey" if grey else "colour", photograph.width, photograph.height)
    there, ours = list(askable(services, photograph.data, grey)), services[0]
    opened = OpenPipeline(pipeline(BOX, grey=grey))
    requests = 2 if bench.quick else -(-REQUESTS // bench.rounds)
    for clients in CLIENTS:
        bench.tell(f"  {'grey' if grey else 'colour'}, {clients} at a time")
        bursts: dict[str, list[Burst]] = {service.name: [] for service in there}
        pure: list[tuple[float, float]] = []
        for turn in range(bench.rounds):
            pure.append(of_pure(opened, photograph.data, 1 if bench.quick else PURE))
            for service in there[:: 1 if turn % 2 == 0 else -1]:
                bursts[service.name].append(burst(service, photograph.data, grey, clients, requests))
        mine = bursts[ours.name]
        at = f"{clients} at a time"
        over = [one.each / cpu for one, (cpu, _) in zip(mine, pure, strict=True)]
        goal = 1.4 if grey else None
        yield line(section, f"processor time of a request / of the pure function, {at}", over, goal=goal, at_most=True)
        for service in there[1:]:
            ratios = [one.each / own.each for one, own in zip(bursts[service.name], mine, strict=True)]
            name = f"{service.name} / imgflow, processor time, {at}"
            yield line(section, name, ratios, goal=goal_of(service.name, grey), note=service.note)
        for name, why in missing.items():
            if name != "imgproxy" or not grey:
                yield Line(section, f"{name} / imgflow, processor time, {at}", goal=goal_of(name, grey), note=why)
        if clients == max(CLIENTS) and grey:
            rates = [cpu * len(one.answered) / one.wall / cores() for one, (cpu, _) in zip(mine, pure, strict=True)]
            yield line(section, f"rate / of the pure function on {cores()} cores, {at}", rates, goal=0.85)
        if clients == 1 and grey:
            more = [1000 * (statistics.median(one.answered) - wall) for one, (_, wall) in zip(mine, pure, strict=True)]
            name = f"median time of a request - of the pure function, {at}"
            yield line(section, name, more, goal=30, at_most=True, unit=" ms")
        for service in there:
            yield told(section, service.name, at, bursts[service.name])


def askable(services: Sequence[Service], photograph: bytes, grey: bool) -> Iterator[Service]:
    """Those that do this."""
    for service in services:
        try:
            service.ask(photograph, grey)
        except MissingError:
            continue
        yield service


def goal_of(name: str, grey: bool) -> float | None:
    """What the ratio to a peer shall be at least."""
    of_grey, goal = GOALS.get(name, (grey, None))
    return goal if of_grey == grey else None


def told(section: str, name: str, at: str, bursts: Sequence[Burst]) -> Line:
    """Times, rate and memory of one service."""
    times = [seconds for one in bursts for seconds in one.answered]
    p50, p99 = quantile(times, 0.5), quantile(times, 0.99)
    most = f"p99 {p99 * 1000:.0f} ms of {len(times)}" if len(times) >= REQUESTS else f"{len(times)} requests"
    rate = statistics.median(len(one.answered) / one.wall for one in bursts)
    other = sum(len(of) for one in bursts for status, of in one.seconds.items() if status != OK)
    failed = f", {other} not answered with a picture" if other else ""
    peak = max(one.peak for one in bursts) / 1e6
    note = f"{most}, {rate:.1f} a second, {peak:.0f} MB at most{failed}"
    return Line(section, f"{name}, median time of a request, {at}", p50 * 1000, unit=" ms", note=note)


def besides(bench: Bench, photograph: Photograph) -> Iterator[Line]:
    """Memory, refusals, the cache: of ours alone."""
    section = SECTION.format("what it is besides", photograph.width, photograph.height)
    few, many = (4, 8) if bench.quick else (4, 50)
    bench.tell(f"  {many} uploads at a time")
    peaks = []
    for clients in (few, many):
        with imgflow(bench.scratch) as service:
            peaks.append(burst(service, photograph.data, True, clients, 4 * clients).peak)
    name = f"peak memory with {many} uploads at a time / with {few}"
    yield line(section, name, [peaks[1] / peaks[0]], goal=1.3, at_most=True, note=f"{peaks[1] / 1e6:.0f} MB")

    bench.tell("  refusals")
    with imgflow(bench.scratch, IMGFLOW_SERVE_API_INFLIGHT=str(few)) as service:
        refused = burst(service, photograph.data, True, 4 * few, 40 * few).seconds.get(BUSY, [])
    slowest = [max(refused)] if refused else []
    if slowest:
        name, note = "slowest refusal of a full service", f"{len(refused)} of {40 * few} were refused"
        yield line(section, name, slowest, goal=0.5, at_most=True, unit=" s", note=note)

    bench.tell("  cache")
    store = str((bench.scratch / "service" / "store").resolve())
    with imgflow(bench.scratch, IMGFLOW_STORE=store) as service:
        warm = burst(service, photograph.data, True, 1, 3, same=True)
        hits = burst(service, photograph.data, True, 1, 10 if bench.quick else 500, same=True)
    note = f"of {len(hits.answered)}, and {hits.each * 1000:.1f} ms of processor time"
    median = [1000 * statistics.median(hits.answered or warm.answered)]
    yield line(section, "median time of a hit of the cache", median, goal=10, at_most=True, unit=" ms", note=note)


def of_pure(opened: OpenPipeline, data: bytes, pictures: int) -> tuple[float, float]:
    """Seconds of processor and clock for one picture in this process."""
    opened.process(data)
    began, started = time.process_time(), time.perf_counter()
    for _ in range(pictures):
        opened.process(data)
    return (time.process_time() - began) / pictures, (time.perf_counter() - started) / pictures


def burst(service: Service, photograph: bytes, grey: bool, clients: int, requests: int, *, same: bool = False) -> Burst:
    """So many requests by so many clients at a time, each with bytes of its own unless they shall be the ``same``."""
    done, own, lock = Burst(), threading.local(), threading.Lock()
    lines: list[http.client.HTTPConnection] = []

    def ask(_: int) -> None:
        if not hasattr(own, "line"):
            own.line = http.client.HTTPConnection("127.0.0.1", service.port, timeout=300)
            lines.append(own.line)
        body = photograph if same else photograph + next(NUMBERS).to_bytes(8, "big")
        question = service.ask(body, grey)
        try:
            status, seconds = timed(own.line, question)
        except (ConnectionError, http.client.HTTPException):  # it ended a connection that was idle for a while
            own.line.close()
            status, seconds = timed(own.line, question)
        with lock:
            done.seconds.setdefault(status, []).append(seconds)

    with ThreadPoolExecutor(clients) as threads, Watch(service.pid) as watch:
        list(threads.map(ask, range(2 * clients)))  # connections, and whatever is made with the first pictures
        done.seconds.clear()
        before, started = spent(service.pid), time.perf_counter()
        list(threads.map(ask, range(requests)))
        done.processor, done.wall = spent(service.pid) - before, time.perf_counter() - started
    for each in lines:
        each.close()
    done.peak = watch.peak
    return done


def timed(line: http.client.HTTPConnection, question: Question) -> tuple[int, float]:
    """The status of an answer, and the seconds to its last byte."""
    started = time.perf_counter()
    line.request(question.method, question.path, question.body, dict(question.headers))
    answer = line.getresponse()
    answer.read()
    return answer.status, time.perf_counter() - started


def spent(pid: int) -> float:
    """Seconds of processor that a process and all below it have used."""
    total = 0.0
    for process in tree(pid):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total


def tree(pid: int) -> list[psutil.Process]:
    """A process and all below it."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


class Watch:
    """The memory of a process and all below it, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        processes = tree(self._pid)
        while True:
            held = 0
            for process in processes:
                try:
                    held += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, held)
            if self._ended.wait(0.1):
                return


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of all are not above; not a number of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
