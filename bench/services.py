"""Services that the image service is compared with, each as its own documentation tells to run it, on loopback."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from bench.peers import QUALITY

BOX = (1024, 768)
HERE = Path(__file__).parent
START = 60.0  # seconds that a service may take to answer
END = 5.0  # seconds that processes of a service have to follow it
PHOTOGRAPH = "photograph.jpg"  # the name of the file that some read themselves


@dataclass(frozen=True, slots=True)
class Question:
    """A request for one picture."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs: the port, the process at the root of its tree, and what is asked for a picture."""

    name: str
    port: int
    pid: int
    ask: Callable[[bytes, bool], Question]  # the photograph, and whether it shall be grey
    note: str = ""


class MissingError(Exception):
    """A service cannot be had here; the message says why."""


@contextmanager
def imgflow(_folder: Path, **settings: str) -> Iterator[Service]:
    """Ours: one api and one processor with a process for each core. ``settings`` are variables of it."""
    told = {"IMGFLOW_SERVE_PROCESSOR_WAITING": "64", "IMGFLOW_SERVE_API_GRPC_PORT": "0", **settings}
    told |= {"IMGFLOW_SERVE_API_PORT": "0", "IMGFLOW_SERVE_API_METRICS_PORT": "0", "IMGFLOW_SERVE_DRAIN_DELAY": "0"}
    words = [sys.executable, "-m", "bench.served"]
    with _started(words, told, stdout=subprocess.PIPE) as process:
        assert process.stdout
        port = json.loads(process.stdout.readline())["http"]

        def ask(photograph: bytes, grey: bool) -> Question:
            return Question("POST", f"/v1/images?grayscale={str(grey).lower()}", photograph)

        yield Service("imgflow", port, process.pid, ask)


@contextmanager
def naive(_folder: Path) -> Iterator[Service]:
    """FastAPI and Pillow, as everybody writes it first."""
    port = free_port()
    words = [sys.executable, "-m", "uvicorn", "bench.naive_service:app", "--port", str(port), "--log-level", "error"]
    with _serving(words, port) as process:
        yield Service("naive FastAPI + Pillow", port, process.pid, _posted("/", "?grey=1", "?grey=0"))


@contextmanager
def thumbor(folder: Path) -> Iterator[Service]:
    """Thumbor out of PyPI; it reads a local file, since it takes no picture as a body."""
    command = HERE.parent / "build" / "bench" / "thumbor" / "bin" / "thumbor"
    if not command.exists():
        raise MissingError("not measured: thumbor could not be installed")
    settings = folder / "thumbor.conf"
    storage = "STORAGE = 'thumbor.storages.no_storage'"
    loader = f"LOADER = 'thumbor.loaders.file_loader'\nFILE_LOADER_ROOT_PATH = {str(folder)!r}"
    settings.write_text(f"{loader}\n{storage}\nQUALITY = {QUALITY}\n")
    port = free_port()
    words = [command, "--ip", "127.0.0.1", "--port", str(port), "--conf", settings, "--log-level", "error"]
    words += ["--processes", str(os.cpu_count() or 1)]
    with _serving(list(map(str, words)), port) as process:
        box = f"/unsafe/fit-in/{BOX[0]}x{BOX[1]}"

        def ask(_photograph: bytes, grey: bool) -> Question:
            return Question("GET", f"{box}{'/filters:grayscale()' if grey else ''}/{PHOTOGRAPH}")

        yield Service("thumbor", port, process.pid, ask, "reads a local file")


@contextmanager
def sharp(folder: Path) -> Iterator[Service]:
    """Sharp out of npm behind node:http."""
    if not (shutil.which("node") and shutil.which("npm")):
        raise MissingError("not measured: there is no `node` with `npm` on PATH")
    (folder / "package.json").write_text("{}")
    shutil.copy(HERE / "sharp.mjs", folder)
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "sharp"], cwd=folder, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise MissingError("not measured: npm could not install sharp")
    port = free_port()
    words = ["node", str(folder / "sharp.mjs"), str(port), *map(str, BOX), str(QUALITY)]
    with _serving(words, port) as process:
        yield Service("sharp, node:http", port, process.pid, _posted("/", "?grey=1", "?grey=0"))


@contextmanager
def imaginary(_folder: Path) -> Iterator[Service]:
    """Imaginary, where it is on PATH."""
    command, port = _on_path("imaginary"), free_port()
    query = f"?width={BOX[0]}&height={BOX[1]}&type=jpeg&quality={QUALITY}"
    with _serving([command, "-a", "127.0.0.1", "-p", str(port)], port) as process:
        yield Service("imaginary", port, process.pid, _posted("/fit", f"{query}&colorspace=bw", query))


@contextmanager
def imgproxy(folder: Path) -> Iterator[Service]:
    """Imgproxy, where it is on PATH: its open edition makes nothing grey and takes no uploads."""
    command, port = _on_path("imgproxy"), free_port()
    told = {"IMGPROXY_BIND": f"127.0.0.1:{port}", "IMGPROXY_LOCAL_FILESYSTEM_ROOT": str(folder)}

    def ask(_photograph: bytes, grey: bool) -> Question:
        if grey:
            raise MissingError("its open edition makes nothing grey")
        return Question("GET", f"/insecure/rs:fit:{BOX[0]}:{BOX[1]}/q:{QUALITY}/plain/local:///{PHOTOGRAPH}@jpg")

    with _serving([command], port, told) as process:
        yield Service("imgproxy", port, process.pid, ask, "reads a local file")


PEERS = {
    "naive FastAPI + Pillow": naive,
    "thumbor": thumbor,
    "sharp, node:http": sharp,
    "imaginary": imaginary,
    "imgproxy": imgproxy,
}


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as line:
        port: int = line.getsockname()[1]
        return port


def _posted(path: str, grey_query: str, colour_query: str) -> Callable[[bytes, bool], Question]:
    def ask(photograph: bytes, grey: bool) -> Question:
        query = grey_query if grey else colour_query
        return Question("POST", path + query, photograph, {"Content-Type": "image/jpeg"})

    return ask


def _on_path(name: str) -> str:
    if found := shutil.which(name):
        return found
    raise MissingError(f"not measured: there is no `{name}` on PATH, and no package of it")


@contextmanager
def _started(
    words: list[str], environment: Mapping[str, str] | None = None, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    told = {**os.environ, **(environment or {})}
    with subprocess.Popen(words, env=told, stdout=stdout, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            below = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            process.terminate()
            process.wait()
            for left in psutil.wait_procs(below, timeout=END)[1]:  # thumbor leaves the processes that it forked
                left.kill()


@contextmanager
def _serving(
    words: list[str], port: int, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    with _started(words, environment) as process:
        ends = time.monotonic() + START
        while True:
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > ends:
                    raise MissingError(f"not measured: {Path(words[0]).name} did not start") from None
                time.sleep(0.1)
        yield process
