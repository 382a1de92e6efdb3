"""Runs of the command in which something happens: a kill, a store that errs, a disk that is full.

Each seed chooses the fault, the layout, the kind of store, the number of images and the moment, from the start of the
command to its end. A moment is told by what was computed, so a busy machine is slow and not another test.
"""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tests import photographs, servers
from tests.chaos import check
from tests.processes import children, command_line

from imgflow_steps.store import Store, open_store

RUN, WORKERS, SECONDS = "mine", 2, 300
LOCAL = ("coordinator", "worker", "both", "store", "storm", "disk")  # what a seed of the local engine does
DOCKER = ("coordinator", "container")
ERRS = ["503", "html", "page", "drop", "reset", "cut", "short", "flip", "changed", "again", "tokenless"]
PAGE = 4096

# Each image that is computed leaves a line, also where the process that computed it does not live to tell.
COUNTS = """
import os
import imgflow_steps.blur.work as blur
def build(params, build=blur.build):
    apply = build(params)
    def counted(sample):
        with open(os.environ["COMPUTED"], "a") as file:
            file.write(sample.image + "\\n")
        return apply(sample)
    return counted
blur.build = build
"""


@dataclass(frozen=True)
class Point:
    """What happens to which run, and after which part of its work."""

    seed: int
    engine: str
    fault: str
    layout: str
    images: int
    moment: float
    bucket: bool  # in a bucket of MinIO, not in a directory

    def __str__(self) -> str:
        """In a few words."""
        where = "bucket" if self.bucket else "directory"
        return f"{self.engine} {self.fault} {self.layout} {where} {self.images} images at {self.moment:.2f}"


def point(engine: str, seed: int) -> Point:
    """The same for a seed every time; all pairs of fault and layout take turns."""
    chance = random.Random(seed)
    faults = DOCKER if engine == "docker" else LOCAL
    fault, layout = faults[seed // 2 % len(faults)], ("steps", "fused")[seed % 2]
    images = 12 if engine == "docker" else chance.choice([30, 60, 90])
    moment = chance.random()
    bucket = fault in {"store", "storm"} or (engine == "local" and fault != "disk" and chance.random() < 1 / 3)
    return Point(seed, engine, fault, layout, images, moment, bucket)


@dataclass(frozen=True)
class Machine:
    """A folder with photographs, a store, a temporary folder and a count of what was computed."""

    folder: Path
    url: str
    environment: dict[str, str]

    @property
    def computed(self) -> list[str]:
        """Images, once for each time that one was computed."""
        count = self.folder / "computed"
        return count.read_text().splitlines() if count.exists() else []

    @property
    def log(self) -> str:
        """What the commands have said."""
        return (self.folder / "log").read_text(errors="replace")

    def prepare(self, images: int) -> None:
        """Photographs, each another one."""
        for i in range(images):
            path = self.folder / f"in/{name(i)}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(i % 5) + bytes([i]))
        (self.folder / "temporary").mkdir()
        (self.folder / "sitecustomize.py").write_text(COUNTS)

    def submit(self, point: Point, **environment: str) -> subprocess.Popen[bytes]:
        """The command; the same one resumes."""
        steps = ["--steps", "scale:200x150,blur:median:5", "--layout", point.layout, "--quiet"]
        where = ["--engine", point.engine, "--store", self.url, "--workers", str(WORKERS)]
        if point.engine == "docker":
            where += ["--shard-size", str(point.images // 3)]
        told = {
            **os.environ,
            **self.environment,
            "TMPDIR": str(self.folder / "temporary"),
            "PYTHONPATH": str(self.folder),
            "IMGFLOW_CONFINE": "off",  # computing processes write down what they compute
            "COMPUTED": str(self.folder / "computed"),
            **environment,
        }
        command = [sys.executable, "-m", "imgflow_cli", "submit", "-m", "Demo", "--source", "in", "--run", RUN]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([*command, *where, *steps], cwd=self.folder, env=told, stdout=log, stderr=log)

    def left(self) -> list[str]:
        """Files that no process will ever look for."""
        unfinished = [*(self.folder / "temporary").rglob("*"), *(self.folder / "store/.tmp").rglob("*")]
        return [str(path.relative_to(self.folder)) for path in unfinished]

    def store(self) -> Store:
        """Its store, without a proxy."""
        with patched(self.environment):
            return open_store(self.url)


@contextmanager
def patched(environment: dict[str, str]) -> Iterator[None]:
    """Variables of this process, for a while."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    yield
    for variable, value in before.items():
        os.environ.pop(variable) if value is None else os.environ.update({variable: value})


def name(number: int) -> str:
    """An image's name."""
    return f"{'abc'[number % 3]}/{number:03d}.png"


@lru_cache(maxsize=8)
def picture(seed: int) -> bytes:
    """One of few, since they take long to make."""
    return photographs.png(seed, 400, 300)


class Runs:
    """Disturbs runs, one for each seed, and tells what did not hold."""

    def __init__(self, folder: Path, server: servers.Server | None) -> None:
        self._folder, self._server = folder, server
        self._right: dict[int, check.Right] = {}
        self._bytes: dict[int, int] = {}

    def run(self, one: Point) -> tuple[str, list[str]]:
        """What happened at a point, and what does not hold after its fault and after the same command again."""
        machine = self._machine(f"{one.engine}-{one.seed}", bucket=one.bucket)
        try:
            return self._run(machine, one)
        finally:
            if one.fault == "disk":
                unmount(machine)

    def _run(self, machine: Machine, one: Point) -> tuple[str, list[str]]:
        machine.prepare(one.images)
        right = self.right(one.images)
        with self._fault(machine, one) as meets:
            said = meets()
        before = len(machine.computed)
        wrong = check.disturbed(machine.store(), RUN, right)
        wrong += [f"a traceback is shown: {machine.log[-600:]}"] if "Traceback (most" in machine.log else []
        wrong += ["it failed and said nothing"] if said > 0 and not machine.log.strip() else []
        if (code := machine.submit(one).wait(timeout=SECONDS)) != 0:
            wrong.append(f"the retry ends with {code}: {machine.log[-600:]}")
        promised = one.fault in {"coordinator", "worker"} and one.engine == "local"
        computed = len(machine.computed) if promised else None
        wrong += check.finished(machine.store(), RUN, right, machine.left(), computed)
        after = f", {before} and {len(machine.computed) - before} computings" if one.engine == "local" else ""
        return f"{one}, exit {said}{after}", wrong

    def right(self, images: int) -> check.Right:
        """What a run has made in which nothing happened."""
        if images not in self._right:
            machine = self._machine(f"right-{images}", bucket=False)
            machine.prepare(images)
            peaceful = Point(0, "local", "", "fused", images, 0, bucket=False)
            assert machine.submit(peaceful).wait(timeout=SECONDS) == 0, machine.log
            assert sorted(machine.computed) == sorted(map(name, range(images))), "computings are not counted"
            self._right[images] = check.Right(frozenset(map(name, range(images))), check.pictures(machine.store()))
            files = [path for path in Path(machine.url).rglob("*") if path.is_file()]
            self._bytes[images] = sum(-(-path.stat().st_size // PAGE) * PAGE for path in files)
        return self._right[images]

    def _machine(self, called: str, *, bucket: bool) -> Machine:
        folder = self._folder / called
        folder.mkdir()
        if bucket and self._server:
            return Machine(folder, self._server.new_bucket(), self._server.environment)
        return Machine(folder, str(folder / "store"), {})

    @contextmanager
    def _fault(self, machine: Machine, one: Point) -> Iterator[Callable[[], int]]:
        """Something that starts the command, lets it meet its fault, and gives its exit code."""
        if one.fault in {"store", "storm"}:
            assert self._server
            proxy = servers.Proxy(self._server)
            proxy.rule = erring(one.seed, [0.02, 0.1, 0.3][one.seed % 3])
            behind = self._server.behind(proxy).environment
            yield lambda: kill(machine, machine.submit(one, **behind), one)
            proxy.close()
        elif one.fault == "disk":
            yield lambda: fill(machine, one, int(self._bytes[one.images] * one.moment))
            grow(machine)
        else:
            yield lambda: kill(machine, machine.submit(one), one)


def erring(seed: int, share: float) -> Callable[[str, str], str]:
    """A rule that spoils a share of all requests, the same ones for a seed however they are mixed."""
    asked: Counter[str] = Counter()

    def rule(method: str, path: str) -> str:
        what = f"{method} {re.sub('[0-9a-f]{32}', '', path)}"
        asked[what] += 1
        chance = random.Random(f"{seed} {what} {asked[what]}")
        return chance.choice(ERRS) if chance.random() < share else ""

    return rule


def kill(machine: Machine, started: subprocess.Popen[bytes], one: Point) -> int:
    """Kill what the point says at its moment, and wait until nothing of it computes; the exit code."""
    docker = one.engine == "docker"
    store = machine.store() if docker else None
    moment = int(one.moment * one.images * 1.1)
    while started.poll() is None and (len(check.pictures(store)) if store else len(machine.computed)) < moment:
        time.sleep(0.3 if docker else 0.005)
    family = children(started.pid)
    workers = [pid for pid in family if "spawn_main" in command_line(pid)]
    if one.fault in {"worker", "both", "storm"} and workers:
        end(workers[-1])
    if one.fault in {"coordinator", "both"}:
        end(started.pid)
    if one.fault == "container" and (there := containers()):
        subprocess.run([podman(), "kill", random.Random(one.seed).choice(there)], capture_output=True, check=False)
    code = started.wait(timeout=SECONDS)
    until = time.monotonic() + SECONDS
    while any(alive(pid) for pid in family) or (docker and containers()):
        assert time.monotonic() < until, "a process computes on"
        time.sleep(0.3 if docker else 0.01)
    return code


def end(pid: int) -> None:
    """Kill a process, which may have ended by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    """Whether a process is there and more than an entry in a table."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


def podman() -> str:
    """The command of the docker engine."""
    return os.environ.get("IMGFLOW_DOCKER", "docker")


def containers() -> list[str]:
    """Containers of the run that are there now."""
    command = [podman(), "ps", "--filter", f"name=imgflow-{RUN}-", "--format", "{{.Names}}"]
    return sorted(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def fill(machine: Machine, one: Point, room: int) -> int:
    """A run whose store has too little room: a small file system, or where nobody may mount, small files only."""
    place = Path(machine.url)
    place.mkdir()
    size = f"size={max(room, 16 * PAGE)}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "imgflow-chaos", str(place)]
    small = subprocess.run(mount, capture_output=True, check=False).returncode != 0
    started = machine.submit(one)
    if small:
        resource.prlimit(started.pid, resource.RLIMIT_FSIZE, (20 * PAGE, 20 * PAGE))
    return started.wait(timeout=SECONDS)


def grow(machine: Machine) -> None:
    """Give the store room."""
    if Path(machine.url).is_mount():
        subprocess.run(["mount", "-o", "remount,size=1g", machine.url], check=True)


def unmount(machine: Machine) -> None:
    """Take its file system away."""
    if Path(machine.url).is_mount():
        subprocess.run(["umount", machine.url], check=True)
