"""Whole folders: photographs in a directory to results in a directory, in wall time, on all cores.

imgflow runs with its local engine, from listing to report: nothing that a user waits for is left out but the start of
the command, which has a line of its own. The folder holds the same photographs many times, as hard links.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.contenders import cannot, imgflow, pipeline
from bench.measure import Bench, Costs, Line, Task, command, cores, interleave, line, one_core, times, wall
from bench.peers import QUALITY
from bench.photographs import Photograph, photographs

from imgflow_steps.list import List
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import Store, open_store
from imgflow_workflows.engines.local import LocalEngine

SECTION = "Whole folders: {} photographs to 1024x768, grey, on {} cores"
BOX = (1024, 768)
MANY = 80  # copies of every photograph: the start of a run shall weigh little, as it does with thousands
COPIES = 14  # for those who need longer
FEW = 4  # and for those who need many times as long
FEW_ROUNDS = 3
PER_10_000 = 120  # images that the report shows of ten thousand: the default of list
PACK = 16  # files for each process, where vipsthumbnail gets many

PEERS = {
    "pool": ("naive Pillow, process pool", ""),
    "img2dataset": ("img2dataset", "keeps colour"),
    "ray": ("Ray Data, naive Pillow", "without the start of Ray"),
    "daft": ("Daft, naive Pillow", "without the start of Daft"),
}
QUIET = {  # what frameworks would send to their makers, or leave in the home folder
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True, slots=True)
class Folder:
    """A municipality in a store of its own, and where others write."""

    root: Path
    count: int

    @property
    def store(self) -> Store:
        """The store, opened."""
        return open_store(str(self.root / "store"))

    @property
    def images(self) -> Path:
        """The directory in which the photographs lie."""
        return self.root / "store" / keys.images("Bench")

    @property
    def out(self) -> Path:
        """Where others write."""
        return self.root / "out"

    def clear(self) -> None:
        """Nothing is done yet."""
        for path in (self.out, self.root / "store/results", self.root / "store/runs", self.root / "store/scratch"):
            shutil.rmtree(path, ignore_errors=True)
        self.out.mkdir(parents=True)


def measure(bench: Bench) -> Iterator[Line]:
    """Ourselves on a thousand photographs, GNU parallel on fewer, the slow ones on a few and in fewer rounds."""
    taken = photographs(bench.images, bench.scratch, quick=bench.quick)

    def folder(copies: int) -> Folder:
        return fill(bench.scratch / "folder", taken, 1 if bench.quick else copies)

    yield from against_ourselves(folder(MANY), taken, bench)
    yield from against_parallel(folder(COPIES), bench)
    yield from against_frameworks(folder(FEW), bench)


def fill(root: Path, taken: list[Photograph], copies: int) -> Folder:
    """The photographs, ``copies`` times, in a new store below ``root``."""
    shutil.rmtree(root, ignore_errors=True)
    folder = Folder(root, len(taken) * copies)
    folder.images.mkdir(parents=True)
    for photograph in taken:
        first = folder.images / f"000-{Path(photograph.name).name}"
        first.write_bytes(photograph.data)
        for copy in range(1, copies):
            os.link(first, first.with_name(f"{copy:03d}{first.name[3:]}"))
    return folder


def against_ourselves(folder: Folder, taken: list[Photograph], bench: Bench) -> Iterator[Line]:
    """What distributing costs: all cores against one, layouts against each other, both against computing alone."""
    tasks = {
        "memory": in_memory(taken, folder.count),
        "imgflow": ours(folder, workers=cores()),
        "one process": ours(folder, workers=1),
        "steps": ours(folder, workers=cores(), layout="steps"),
    }
    bench.tell(f"  {folder.count} photographs: {', '.join(tasks)}")
    said = partial(compared, SECTION.format(folder.count, cores()), interleave(tasks, bench.rounds))
    yield said("rate / (cores x rate in memory on one)", "imgflow", "memory", 0.9)
    yield said("two processes / one" if cores() == 2 else "all cores / one", "imgflow", "one process", 0.9 * cores())  # noqa: PLR2004
    yield said("layout steps / fused", "imgflow", "steps", 1.3, "between steps pixels go through the page cache")


def against_parallel(folder: Folder, bench: Bench) -> Iterator[Line]:
    """What somebody would do in a shell."""
    section, name = SECTION.format(folder.count, cores()), "GNU parallel + vipsthumbnail / imgflow"
    if missing := [name for name in ("parallel", "vipsthumbnail") if not shutil.which(name)]:
        yield Line(section, name, goal=1.2, note=f"not measured: there is no {' and no '.join(missing)} on PATH")
        return
    tasks = {
        "imgflow": ours(folder, workers=cores()),
        "parallel": vipsthumbnail(folder),
        "packs": vipsthumbnail(folder, "-n", str(PACK)),
    }
    if why := fault(tasks["parallel"]):
        yield Line(section, name, goal=1.2, note=f"not measured: {why}")
        return
    bench.tell(f"  {folder.count} photographs: {', '.join(tasks)}")
    said = partial(compared, section, interleave(tasks, bench.rounds))
    yield said(name, "imgflow", "parallel", 1.2, "keeps colour, having no grey")
    yield said(f"the same with {PACK} files a process", "imgflow", "packs")


def compared(
    section: str, costs: Costs, name: str, this: str, other: str, goal: float | None = None, note: str = ""
) -> Line:
    """How many times as long ``other`` takes as ``this``."""
    pair = {name: costs[name] for name in (this, other)}
    return line(section, name, times(costs, this, other), goal=goal, note=note, seconds=pair)


def against_frameworks(folder: Folder, bench: Bench) -> Iterator[Line]:
    """What others run the naive chain with."""
    section = SECTION.format(folder.count, cores())
    python = bench.scratch / "peers" / "bin" / "python"
    tasks = {name: peer(folder, name, python if python.exists() else Path(sys.executable)) for name in PEERS}
    absent = {name: why for name, task in tasks.items() if (why := fault(task))}
    bench.tell(f"  {folder.count} photographs: imgflow, {', '.join(tasks.keys() - absent.keys())}")
    there = {"imgflow": ours(folder, workers=cores())} | {name: tasks[name] for name in tasks if name not in absent}
    rounds = min(FEW_ROUNDS, bench.rounds)
    costs = interleave(there, rounds)
    for name, (words, note) in PEERS.items():
        if name in absent:
            yield Line(section, f"{words} / imgflow", note=f"not measured: {absent[name]}")
            continue
        said = "; ".join(filter(None, [note, f"{rounds} rounds"]))
        pair = {name: costs[name] for name in ("imgflow", name)}
        yield line(section, f"{words} / imgflow", times(costs, "imgflow", name), note=said, seconds=pair)


def in_memory(taken: list[Photograph], count: int) -> Task:
    """The seconds that ``count`` images would take if all cores did nothing but compute."""
    contender = imgflow(BOX, grey=True)
    tasks = [contender.task(photograph.data) for photograph in taken]

    def each() -> None:
        with one_core():
            for task in tasks:
                task()

    return lambda: wall(each)() * count / len(taken) / cores()


def ours(folder: Folder, *, workers: int, layout: str = "fused") -> Task:
    """A run of the local engine, from its listing to its report."""
    samples = max(1, round(folder.count * PER_10_000 / 10_000))

    def submit() -> None:
        store = folder.store
        run = Run(
            id="bench",
            municipality="Bench",
            pipeline=pipeline(BOX, grey=True),
            list=List(samples=samples, layout=layout),
            created=time.time(),
        )
        save(store, run)
        LocalEngine(store, workers=workers).submit(run)
        summary = read_summary(store, run.id)
        if summary is None or summary.counts.processed != folder.count:
            raise RuntimeError(f"imgflow did not process {folder.count} images: {summary}")

    return wall(submit, folder.clear)


def vipsthumbnail(folder: Folder, *options: str) -> Task:
    """A process for each image, or for as many as ``options`` say; one thread in each, a job for each core."""
    size, target = f"{BOX[0]}x{BOX[1]}>", f"{folder.out.resolve()}/%s.jpg[Q={QUALITY},strip]"
    jobs = ["parallel", "--will-cite", "--quote", "--jobs", str(cores()), *options]
    names = "\n".join(str(path.resolve()) for path in sorted(folder.images.iterdir())).encode()
    call = command([*jobs, "vipsthumbnail", "--size", size, "--output", target], input=names)
    return counted(wall(call, folder.clear), folder)


def peer(folder: Folder, name: str, python: Path) -> Task:
    """A framework under a Python of its own; it says itself how long it took."""
    sides = [str(side) for side in BOX]
    script = str(Path(__file__).with_name("peers.py"))
    words = [str(python), script, name, str(folder.images), str(folder.out)]
    words += ["--side", *sides, "--workers", str(cores())]

    def task() -> float:
        folder.clear()
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **QUIET}, check=False)
        if not done.stdout:  # Daft may crash while it ends, with its work done and told
            raise RuntimeError(said[-1] if (said := done.stderr.strip().splitlines()) else f"exit {done.returncode}")
        return float(done.stdout.split()[-1])

    return counted(task, folder)


def counted(task: Task, folder: Folder) -> Task:
    """The same, but nobody is timed for what was not done. Raises RuntimeError."""

    def checked() -> float:
        seconds = task()
        written = sum(1 for _ in folder.out.rglob("*.jpg"))
        if written != folder.count:
            raise RuntimeError(f"it wrote {written} of {folder.count} pictures")
        return seconds

    return checked


def fault(task: Task) -> str:
    """Why a task cannot be measured here, or "": tried once."""
    try:
        task()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told and the others are measured
        return cannot(error)
    return ""
