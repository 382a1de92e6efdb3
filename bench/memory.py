"""Memory that does not grow with the number of images: a run of many small ones, and the listing of a million keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from bench.measure import Bench, Line, line
from bench.store import MISSING, environment
from PIL import Image
from tests.servers import minio, minio_binary

from imgflow_steps.records import keys
from imgflow_steps.store import open_store

SECTION = "Memory"
KINDS = 25  # different photographs; a file system allows some ten thousand names for each
FEW, MANY = 1_000, 100_000  # images of a run
SOME, MILLION = 10_000, 1_000_000  # keys of a listing
RUN = """
import json, os, resource, sys, time
from imgflow_steps.list import List
from imgflow_steps.list.survey import survey
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records.run import Run, save
from imgflow_steps.records.summary import read_summary
from imgflow_steps.store import open_store
from imgflow_workflows.engines.local import LocalEngine

def peak(of):
    return resource.getrusage(of).ru_maxrss

if __name__ == "__main__":
    url, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    store = open_store(url)
    pipeline = parse({"steps": ["grayscale"]})
    run = Run(id="bench", municipality="Bench", pipeline=pipeline, list=List(layout="fused"), created=time.time())
    if what == "list":
        assert survey(store, run)[0].listed == count
    else:
        save(store, run)
        LocalEngine(store, workers=2).submit(run)
        assert read_summary(store, run.id).counts.processed == count
    print(json.dumps([peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)]))
"""


def measure(bench: Bench) -> Iterator[Line]:
    """Peaks of the process that hands out work, and of the largest that computes, in one run of each size."""
    few, many, some, million = (20, 60, 100, 1_000) if bench.quick else (FEW, MANY, SOME, MILLION)
    small, large = (_peaks(bench, "run", count) for count in (few, many))
    name = f"peak at {many:,} images / at {few:,}: "
    yield line(SECTION, name + "who hands out work", [large[0] / small[0]], goal=1.1, at_most=True)
    yield line(SECTION, name + "who computes", [large[1] / small[1]], goal=1.1, at_most=True)
    for kind, peaks in {"a directory": _peaks, "a MinIO": _peaks_in_minio}.items():
        name = f"peak while {million:,} keys of {kind} are listed / {some:,}"
        if kind == "a MinIO" and not minio_binary():
            yield Line(SECTION, name, goal=1.1, at_most=True, note=MISSING)
            continue
        listed = [peaks(bench, "list", count)[0] for count in (some, million)]
        yield line(SECTION, name, [listed[1] / listed[0]], goal=1.1, at_most=True)


def _peaks(bench: Bench, what: str, count: int) -> list[int]:
    bench.tell(f"  {what}: {count:,} images")
    root = bench.scratch / "memory"
    shutil.rmtree(root, ignore_errors=True)
    _fill(root / keys.images("Bench"), count)
    try:
        return _run(str(root), what, count)
    finally:
        shutil.rmtree(root)


def _peaks_in_minio(bench: Bench, what: str, count: int) -> list[int]:
    """The same of objects on MinIO's disk, copied there from one: to upload a million takes an hour."""
    bench.tell(f"  {what}: {count:,} objects of MinIO")
    root = bench.scratch / "memory"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        with minio(root) as server, environment(server.environment):
            url = server.new_bucket()
            first = f"{keys.images('Bench')}0000/0000000.jpg"
            open_store(url).write(first, _photograph(0))
            bucket = root / url.removeprefix("s3://")
            described = (bucket / first / "xl.meta").read_bytes()
            for number in range(1, count):
                place = bucket / keys.images("Bench") / f"{number // 1000:04d}" / f"{number:07d}.jpg"
                place.mkdir(parents=True)
                (place / "xl.meta").write_bytes(described)
            return _run(url, what, count)
    finally:
        shutil.rmtree(root)


def _run(url: str, what: str, count: int) -> list[int]:
    words = [sys.executable, "-c", RUN, url, what, str(count)]
    peaks: list[int] = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    return peaks


def _fill(folder: Path, count: int) -> None:
    """Small photographs, a thousand in each folder, as links to few files."""
    kinds: list[Path] = []
    for number in range(count):
        parent = folder / f"{number // 1000:04d}"
        if number % 1000 == 0:
            parent.mkdir(parents=True)
        path = parent / f"{number:07d}.jpg"
        if number % (60_000 * KINDS) < KINDS:
            path.write_bytes(_photograph(number))
            kinds = [*kinds, path][-KINDS:]
        else:
            os.link(kinds[number % KINDS], path)


def _photograph(seed: int) -> bytes:
    out = BytesIO()
    Image.effect_noise((64, 48), 20 + seed % KINDS).convert("RGB").save(out, "JPEG")
    return out.getvalue()
