"""The store: how many requests a run makes of it, and what it costs when every answer takes longer.

Between imgflow and a MinIO of this machine stands a relay, in a process of its own. It holds every request back for as
long as it is told, and writes down which there were.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.contenders import pipeline
from bench.folder import BOX
from bench.measure import Bench, Line, Task, cores, interleave, line, times, wall
from bench.photographs import photographs
from tests.servers import Server, minio, minio_binary

from imgflow_steps.list import List
from imgflow_steps.records import keys
from imgflow_steps.records.listing import read_listing
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import Store, open_store
from imgflow_workflows.engines.local import LocalEngine

SECTION = "The store: {} photographs in a MinIO of this machine, to 1024x768, grey"
COPIES = 30
DELAY = 0.02  # seconds
MISSING = "not measured: there is no `minio` on PATH"

REQUEST = re.compile(rb"^([A-Z]+ \S+) HTTP/1\.1\r\n")
# What is read and made of images; the report reads a few pictures besides, of near-duplicates.
OF_IMAGES = re.compile(r"(GET /[^/]+/datasets/|PUT /[^/]+/results/)[^?]*/images/")


@dataclass(frozen=True, slots=True)
class Relay:
    """A way to a server: where it begins, and a file with method and path of every request that went along."""

    endpoint: str
    log: Path

    def requests(self) -> list[str]:
        """Methods and paths, in the order in which they came."""
        return self.log.read_text(encoding="utf-8").splitlines()


@contextmanager
def relay(server: Server, log: Path, delay: float) -> Iterator[Relay]:
    """Hold what comes for a server back for ``delay`` seconds; nothing is held back twice, or waits for another."""
    upstream = urlsplit(server.settings.endpoint)
    target = (upstream.hostname or "", upstream.port or 0)
    log.write_bytes(b"")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        way = (listener, target, delay, log)
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=way, daemon=True)
        process.start()
        try:
            yield Relay(f"http://127.0.0.1:{listener.getsockname()[1]}", log)
        finally:
            process.terminate()
            process.join()


def _serve(listener: socket.socket, upstream: tuple[str, int], delay: float, log: Path) -> None:
    with log.open("ab", buffering=0) as file:

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(*upstream)
            await asyncio.gather(_pump(reader, back, delay, file.write), _pump(there, writer, 0, lambda _: 0))

        async def forever() -> None:
            async with await asyncio.start_server(accept, sock=listener) as server:
                await server.serve_forever()

        asyncio.run(forever())


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, note: Callable[[bytes], object]
) -> None:
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    clock = asyncio.get_running_loop().time

    async def deliver() -> None:
        while (due_data := await waiting.get())[1]:
            due, data = due_data
            if (early := due - clock()) > 0:
                await asyncio.sleep(early)
            writer.write(data)
            await writer.drain()
        writer.close()

    delivering = asyncio.create_task(deliver())
    while data := await reader.read(1 << 16):
        if found := REQUEST.match(data):  # a client sends the head of a request by itself
            note(found[1] + b"\n")
        waiting.put_nowait((clock() + delay, data))
    waiting.put_nowait((0.0, b""))
    await delivering


def measure(bench: Bench) -> Iterator[Line]:
    """Requests of either layout, and the same run with 20 ms more for each request."""
    taken = photographs(bench.images, bench.scratch, quick=bench.quick)
    copies = 1 if bench.quick else COPIES
    section = SECTION.format(len(taken) * copies)
    if not minio_binary():
        yield Line(section, "requests for an image", goal=2.0, at_most=True, unit="", note=MISSING)
        yield Line(section, "requests in layout steps / fused", goal=3.0, note=MISSING)
        yield Line(section, "rate with 20 ms more for a request / without", goal=0.85, note=MISSING)
        return
    root = bench.scratch / "minio"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    with minio(root) as server, environment(server.environment):
        url = server.new_bucket()
        store = open_store(url)
        for copy in range(copies):
            for photograph in taken:
                store.write(f"{keys.images('Bench')}{copy:03d}-{Path(photograph.name).name}", photograph.data)
        with (
            relay(server, bench.scratch / "near.log", 0) as near,
            relay(server, bench.scratch / "far.log", DELAY) as far,
        ):
            yield from counted(section, url, store, near, bench)
            yield from delayed(section, url, store, near, far, bench)


def counted(section: str, url: str, store: Store, near: Relay, bench: Bench) -> Iterator[Line]:
    """What each layout asks of the store; counted once, for it is the same every time."""
    asked: dict[str, list[str]] = {}
    for layout in ("fused", "steps"):
        bench.tell(f"  requests, {layout}")
        before = len(near.requests())
        clear(store)
        images, shards = submit(url, near, layout)
        asked[layout] = near.requests()[before:]
        mine = [request for request in asked[layout] if OF_IMAGES.match(request)]
        rest = f"and {(len(asked[layout]) - len(mine)) / shards:.0f} for each of {shards} shards" if shards else ""
        if layout == "fused":
            each = [len(mine) / images]
            yield line(section, "requests for an image", each, goal=2.0, at_most=True, unit="", note=rest)
    ratio = len(asked["steps"]) / len(asked["fused"])
    note = "out of reach: between steps an image has no request of its own, its shard has two"
    yield line(section, "requests in layout steps / fused", [ratio], goal=3.0, note=note)


def delayed(section: str, url: str, store: Store, near: Relay, far: Relay, bench: Bench) -> Iterator[Line]:
    """The cost of latency."""
    bench.tell(f"  {DELAY * 1000:.0f} ms more for each request")

    def run(way: Relay) -> Task:
        return wall(lambda: submit(url, way, "fused"), lambda: clear(store))

    costs = interleave({"near": run(near), "far": run(far)}, bench.rounds)
    yield line(
        section, "rate with 20 ms more for a request / without", times(costs, "far", "near"), goal=0.85, seconds=costs
    )


def clear(store: Store) -> None:
    """Nothing is done yet."""
    for prefix in ("results/", "runs/", "scratch/"):
        store.delete([found.key for found in store.entries(prefix)])


def submit(url: str, way: Relay, layout: str) -> tuple[int, int]:
    """A run by way of a relay; how many images it had, in how many shards."""
    with environment({"IMGFLOW_S3_ENDPOINT": way.endpoint}):
        store = open_store(url)
        run = Run(
            id="bench",
            municipality="Bench",
            pipeline=pipeline(BOX, grey=True),
            list=List(samples=0, layout=layout),
            created=time.time(),
        )
        save(store, run)
        LocalEngine(store, workers=cores()).submit(run)
        summary, listing = read_summary(store, run.id), read_listing(store, run.id)
    if summary is None or listing is None or summary.counts.processed != summary.counts.listed:
        raise RuntimeError(f"imgflow did not process all images: {summary}")
    return listing.listed, listing.shards


@contextmanager
def environment(changes: dict[str, str]) -> Iterator[None]:
    """Other variables for a while, for this process and what it starts."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
