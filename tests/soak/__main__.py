"""``make soak MINUTES=30``: runs and requests for a long time on one machine, and whether anything grows meanwhile.

One program does run after run, and clients ask a service for pictures and jobs. Memory, descriptors, threads,
connections and temporary files of each part are counted; a line through each figure tells whether it is flat.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from tests import photographs
from tests.services import Served, serving
from tests.soak.flat import Trend, trend

from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

PERIOD = 5.0  # seconds between two samples
PAUSE = 0.05  # seconds between two requests
MIB = 1 << 20
# What may be gained of each figure, whatever its level: what allocators and pools do by themselves.
LEAST = {"memory, MiB": 12.0, "descriptors": 4.0, "threads": 4.0, "connections": 4.0, "temporary files": 8.0}
Figures = dict[tuple[str, str], list[float]]


def main() -> int:
    """A line per part and figure; 1 where one grows or an answer was wrong."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    chosen = parser.parse_args()
    done: Counter[str] = Counter()
    figures: Figures = defaultdict(list)
    with TemporaryDirectory(prefix="soak-") as folder, working(Path(folder), done) as parts:
        ends = time.monotonic() + chosen.minutes * 60
        while (left := ends - time.monotonic()) > 0:
            time.sleep(min(PERIOD, left))
            sample(parts, Path(folder), figures)
    judged = {name: trend(samples, LEAST[name[1]]) for name, samples in figures.items()}
    sys.stdout.write(table(judged) + "\n")
    sys.stdout.write(", ".join(f"{count} {what}" for what, count in sorted(done.items())) + "\n")
    bad = any(one.grows for one in judged.values()) or any(what.startswith("wrong") for what in done)
    return 1 if bad else 0


@contextmanager
def working(folder: Path, done: Counter[str]) -> Iterator[dict[str, int]]:
    """Everything at work: the process of each part."""
    over = threading.Event()
    temporary = folder / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with ExitStack() as stack:
        start = stack.enter_context(serving())
        told = {"TMPDIR": str(temporary)}
        processor = start("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1", **told)
        behind = f"127.0.0.1:{processor.ports['grpc']}"
        api = start("api", IMGFLOW_SERVE_API_PROCESSORS=behind, IMGFLOW_STORE=str(folder / "jobs"), **told)
        (folder / "stores").mkdir()
        command = [sys.executable, "-m", "tests.soak.child", str(folder / "stores")]
        runner = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        threads = [
            threading.Thread(target=count_runs, args=(runner, done)),
            threading.Thread(target=repeat, args=(ask(api), over, done)),
            threading.Thread(target=repeat, args=(send_job(api), over, done)),
        ]
        for thread in threads:
            thread.start()
        try:
            yield {"runs": runner.pid, "processor": processor.process.pid, "api": api.process.pid}
        finally:
            over.set()
            family = [*psutil.Process(runner.pid).children(recursive=True)]
            runner.terminate()
            for thread in threads:
                thread.join(60)
            runner.wait(60)
            psutil.wait_procs(family, 60)


def count_runs(runner: subprocess.Popen[bytes], done: Counter[str]) -> None:
    """What a program's runs came to."""
    assert runner.stdout
    with runner.stdout as lines:
        for line in lines:
            done["runs" if line.strip() == b"right" else "wrong runs"] += 1


def repeat(do: Callable[[int], str], over: threading.Event, done: Counter[str]) -> None:
    """Do it again and again, with a number that differs each time."""
    number = 0
    while not over.wait(PAUSE):
        try:
            what = do(number)
        except Exception as error:  # noqa: BLE001 - it is counted, and the soak fails
            what = f"wrong: {type(error).__name__}"
        done[what] += 1
        number += 1


def ask(api: Served) -> Callable[[int], str]:
    """A picture of another width each time, so that no cache answers."""
    photo = photographs.jpeg(1, 640, 480)

    def do(number: int) -> str:
        width, crop = 64 + number % 400, number // 400
        pipeline = {"steps": [f"scale:{width}x", "grayscale"], "output": {"format": "jpeg", "quality": 95 - crop % 60}}
        answer = api.client.post("/v1/images", params={"pipeline": json.dumps(pipeline)}, content=photo)
        if answer.status_code != 200:
            return f"wrong requests: {answer.status_code}"
        if number % 50 == 0:
            [right] = apply.process(photo, parse(pipeline)).pictures
            return "requests" if answer.content == right.data else "wrong requests: other bytes"
        return "requests"

    return do


def send_job(api: Served) -> Callable[[int], str]:
    """Two photographs, and the archive of what came of them."""
    files = [("files", (f"{i}.jpg", photographs.jpeg(i, 320, 240), "image/jpeg")) for i in range(2)]
    actions = {"operations": [["resize", "100x80"], ["split", True]], "output": "png"}

    def do(_number: int) -> str:
        time.sleep(1)
        data = {"actions": json.dumps(actions)}
        answer = api.client.post("/process", params={"wait": 60}, data=data, files=files)
        told = answer.json()
        if answer.status_code not in {200, 202} or told["counts"]["processed"] != 2:
            return f"wrong jobs: {answer.status_code}"
        return "jobs" if api.client.get(told["links"]["zip"]).status_code == 200 else "wrong jobs: no archive"

    return do


def sample(parts: dict[str, int], folder: Path, figures: Figures) -> None:
    """What each part has just now, with all of its processes."""
    for part, pid in parts.items():
        whole: Counter[str] = Counter()
        for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
                whole["memory, MiB"] += process.memory_full_info().pss / MIB  # type: ignore[assignment]  # a float
                whole["descriptors"] += process.num_fds()
                whole["threads"] += process.num_threads()
                whole["connections"] += len(process.net_connections())
        for name in ("memory, MiB", "descriptors", "threads", "connections"):
            figures[part, name].append(whole[name])
    figures["all", "temporary files"].append(sum(1 for _ in (folder / "temporary").rglob("*")))


def table(judged: dict[tuple[str, str], Trend]) -> str:
    """A line for each figure."""
    lines = [f"{'part':<10} {'figure':<16} {'begin':>8} {'end':>8}"]
    for (part, name), one in judged.items():
        lines.append(f"{part:<10} {name:<16} {one.begin:8.1f} {one.end:8.1f} {'GROWS' if one.grows else 'flat'}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
