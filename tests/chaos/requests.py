"""A service under load in which a computing process, a processor, the front, a worker or the broker dies.

Each seed chooses the fault and the moment, which is told by the number of answers.
"""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import httpx
from tests import photographs
from tests.brokers import Broker, broker, broker_binary
from tests.chaos import check
from tests.chaos.runs import end
from tests.processes import children, command_line
from tests.servers import free_port
from tests.services import Served, Start, serving

from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

FAULTS = ("computing", "processor", "front", "worker", "broker")
BROKERED = {"worker", "broker"}
REQUESTS, FILES, SECONDS = 24, 6, 120
OPERATIONS = {"operations": [["resize", "200x300"], ["split", True], ["blur", "gaussian"]], "output": "png"}


@dataclass(frozen=True)
class Point:
    """What dies, and after how many answers."""

    seed: int
    fault: str
    moment: int

    def __str__(self) -> str:
        """In a few words."""
        return f"service {self.fault} after {self.moment} of {REQUESTS} answers"


def point(seed: int) -> Point:
    """The same for a seed every time; faults take turns."""
    return Point(seed, FAULTS[seed % len(FAULTS)], random.Random(seed).randrange(1, REQUESTS - 2))


@dataclass
class Service:
    """Its processes, and how to start each of them anew where it was."""

    start: Start
    environment: dict[str, dict[str, str]]
    line: Broker | None
    parts: dict[str, Served] = field(default_factory=dict)

    def begin(self, name: str) -> None:
        """Start a part, or start it again."""
        part = "processor" if name.startswith("processor") else name
        self.parts[name] = self.start(part, **self.environment[name])

    def meets(self, fault: str) -> None:
        """Let it happen; what dies is started again, as a supervisor does."""
        if fault == "computing":
            family = children(self.parts["processor-1"].process.pid)
            end([pid for pid in family if "spawn_main" in command_line(pid)][-1])
        elif fault == "broker":
            assert self.line
            self.line.kill()
            self.line.start()
        else:
            name = {"processor": "processor-1", "front": "api", "worker": "jobs"}[fault]
            self.parts[name].end(signal.SIGKILL)
            self.begin(name)


def disturb(one: Point, folder: Path) -> list[str]:
    """What does not hold of the answers and of a job while something dies, and afterwards."""
    with ExitStack() as stack:
        start = stack.enter_context(serving())
        line = stack.enter_context(broker(folder, broker_binary())) if one.fault in BROKERED else None
        service = Service(start, environments(folder, line), line)
        for name in service.environment:
            service.begin(name)
        job = send(service)
        given = under_load(service, one)
        wrong = check.answers(given, names(REQUESTS))
        wrong += [] if any(answer.status == 200 for answer in given) else ["no request was answered with a picture"]
        after = ask(service, "request-0")
        wrong += check.answers([after], ["request-0"])
        wrong += [] if after.status == 200 else [f"the service does not heal: {after.status} {after.body[:200]!r}"]
        return wrong + judged(service, job)


def environments(folder: Path, line: Broker | None) -> dict[str, dict[str, str]]:
    """Settings of each process: two processors, a front before them, and a worker where there is a broker."""
    ports = [str(free_port()), str(free_port())]
    told = {
        "IMGFLOW_SERVE_API_PROCESSORS": "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports),
        "IMGFLOW_STORE": str(folder / "store"),
        "IMGFLOW_SERVE_API_PORT": str(free_port()),
    }
    processors = {
        f"processor-{number}": {
            "IMGFLOW_SERVE_PROCESSOR_PORT": port,
            "IMGFLOW_SERVE_PROCESSOR_WORKERS": "1",
            "IMGFLOW_SERVE_PROCESSOR_WAITING": "64",
        }
        for number, port in enumerate(ports, 1)
    }
    if line is None:
        return {**processors, "api": told}
    told |= {"IMGFLOW_SERVE_JOBS_BROKER": line.url, "IMGFLOW_SERVE_JOBS_PATIENCE": "3"}
    return {**processors, "api": told, "jobs": told}


def names(count: int) -> list[str]:
    """What requests are called."""
    return [f"request-{number}" for number in range(count)]


@lru_cache(maxsize=1)
def photo() -> bytes:
    """What every request is about."""
    return photographs.jpeg(1, 640, 480)


@lru_cache(maxsize=REQUESTS)
def right(width: int) -> bytes:
    """The picture that a request for a width has to be answered with."""
    [picture] = apply.process(photo(), parse({"steps": [f"scale:{width}x", "grayscale"]})).pictures
    return picture.data


def ask(service: Service, name: str) -> check.Answer:
    """Ask for a picture of a width of its own. A front that is not there is asked again, as clients do."""
    width = 100 + int(name.removeprefix("request-"))
    pipeline = json.dumps({"steps": [f"scale:{width}x", "grayscale"]})
    ends = time.monotonic() + SECONDS
    while True:
        try:
            url = service.parts["api"].url()
            answer = httpx.post(
                f"{url}/v1/images", params={"pipeline": pipeline}, content=photo(), timeout=SECONDS, trust_env=False
            )
        except httpx.TransportError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)
        else:
            return check.Answer(name, answer.status_code, answer.content, right(width))


def under_load(service: Service, one: Point) -> list[check.Answer]:
    """The answers to all requests, of which some are under way when it happens."""
    given: list[check.Answer] = []
    enough = threading.Event()

    def asked(name: str) -> None:
        given.append(ask(service, name))
        if len(given) >= one.moment:
            enough.set()

    with ThreadPoolExecutor(4) as threads:
        sent = [threads.submit(asked, name) for name in names(REQUESTS)]
        enough.wait(SECONDS)
        service.meets(one.fault)
        for future in sent:
            future.result(SECONDS)
    return given


def send(service: Service) -> str:
    """A job whose images are processed in the meantime."""
    files = [("files", (f"{i}.jpg", photographs.jpeg(i, 320, 240), "image/jpeg")) for i in range(FILES)]
    answer = service.parts["api"].client.post("/process", data={"actions": json.dumps(OPERATIONS)}, files=files)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job"])


def judged(service: Service, job: str) -> list[str]:
    """What does not hold of the job once it has ended: every file once, with the right pictures."""
    told = until_done(lambda: _get(service, f"/v1/jobs/{job}", wait="10").json())
    if told["counts"]["waiting"]:
        return [f"the job does not end: {told['counts']}"]
    wrong = check.once((file["name"] for file in told["files"]), [f"{i}.jpg" for i in range(FILES)])
    for i, file in enumerate(told["files"]):
        expected = apply.process(photographs.jpeg(i, 320, 240), parse(OPERATIONS), f"{i}.jpg").pictures
        made = [_get(service, one["href"]).content for one in file.get("results", [])]
        if file["status"] != "processed" or made != [one.data for one in expected]:
            wrong.append(f"{file['name']} of the job is {file['status']} with {len(made)} pictures")
    return wrong


def until_done(look: Callable[[], dict[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """The job once nothing of it waits, or as it is after a long time."""
    ends = time.monotonic() + SECONDS
    while (told := look())["counts"]["waiting"] and time.monotonic() < ends:
        pass
    return told


def _get(service: Service, path: str, **params: str) -> httpx.Response:
    return httpx.get(service.parts["api"].url() + path, params=params, timeout=SECONDS, trust_env=False)
