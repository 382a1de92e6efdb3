"""``python bench/accounting.py``: what listing and accounting for images costs beside computing them, for each image.

Images and rows are made up in a directory, as workers would leave them; nothing is decoded. ``list`` finds them,
``collect`` accounts for all, and a second ``list`` finds everything done. Seconds are of one core.
"""

from __future__ import annotations

import json
import resource
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from imgflow_steps.collect.so_far import SoFar
from imgflow_steps.collect.work import run as collect
from imgflow_steps.list.work import run as list_images
from imgflow_steps.records import keys, rows
from imgflow_steps.records.listing import read_manifest
from imgflow_steps.records.row import Published, Row
from imgflow_steps.records.run import Run, save
from imgflow_steps.store import Store, open_store
from imgflow_workflows.submit.default import DEFAULT

FLUSHED = 100  # rows that a worker puts into one file
FOUND = {"sharpness": 12.5, "clipped_dark": 0.01, "clipped_bright": 0.02, "exposure": 0.48, "contrast": 0.21}


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, store: Store) -> None:
        self._store, self.calls = store, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return getattr(self._store, name)


def rows_of(run: Run, store: Store, shard: int) -> list[Row]:
    """What a worker writes about a shard of photographs."""
    made = []
    for entry in read_manifest(store, run.id, shard):
        key = keys.published(run.municipality, run.digest, entry.image, "", "jpg")
        output = Published(key=key, sha256="0123456789abcdef" * 4, width=1024, height=683, found=FOUND)
        ms = {"fetch": 12.345, "decode": 23.456, "scale": 4.567, "grayscale": 0.012, "infer": 3.21, "encode": 2.34}
        made.append(
            Row(
                image=entry.image,
                version=entry.version,
                bytes=3_000_000,
                run=run.id,
                shard=shard,
                ended=time.time(),
                ms=ms,
                width=4000,
                height=2668,
                format="jpeg",
                dhash=sha256(entry.image.encode()).hexdigest()[:32],
                outputs=[output],
            )
        )
    return made


def bytes_below(store: Store, prefix: str) -> int:
    return sum(found.bytes for found in store.entries(prefix))


def measured(work: Callable[[Store], object], store: Store, images: int) -> dict[str, float]:
    """Core-seconds for a million images, calls of the store for a thousand, and the peak of memory (Linux)."""
    counted, began = Counted(store), time.process_time()
    work(counted)
    seconds = time.process_time() - began
    calls = sum(counted.calls.values()) - counted.calls["url"]
    return {
        "core-seconds a million images": round(seconds / images * 1e6),
        "store calls a thousand images": round(1000 * calls / images, 1),
        "peak memory so far, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def main(images: Annotated[int, typer.Option(min=1000, help="How many; a million takes minutes.")] = 20_000) -> None:
    """Measure."""
    with TemporaryDirectory(prefix="imgflow-bench-") as folder:
        store = open_store(folder)
        run = Run(id="bench", municipality="Bench", pipeline=DEFAULT, created=time.time())
        save(store, run)
        prefix = Path(folder) / keys.images("Bench")
        for number in range(images):
            file = prefix / f"{number // 1000:06d}/photograph-{number:09d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        figures: dict[str, Any] = {"images": images}
        figures["list, all new"] = measured(lambda counted: list_images(counted, run), store, images)
        shard = 0
        while store.stat(keys.manifest(run.id, shard)):
            made = rows_of(run, store, shard)
            for first in range(0, len(made), FLUSHED):
                rows.write_part(store, run.rows, made[first : first + FLUSHED])
            shard += 1
        so_far = Path(folder, "so-far")
        so_far.mkdir()
        figures["report so far"] = measured(lambda counted: SoFar(counted, run).write(so_far), store, images)
        figures["collect"] = measured(lambda counted: collect(counted, run, output=None), store, images)
        again = run.model_copy(update={"id": "again", "created": time.time()})
        save(store, again)
        figures["list, all done"] = measured(lambda counted: list_images(counted, again), store, images)
        for what, prefix_of in (
            ("rows", run.rows),
            ("results.jsonl", keys.results_jsonl(run.id)),
            ("results.csv", keys.results_csv(run.id)),
            ("listing", keys.listing(run.id)),
            ("manifests", keys.manifest(run.id, 0).rpartition("/")[0]),
            ("report", keys.report(run.id)),
        ):
            figures[f"{what}, bytes an image"] = round(bytes_below(store, prefix_of) / images)
        figures["report, files"] = sum(1 for _ in store.entries(keys.report(run.id)))
    typer.echo(json.dumps(figures, indent=1))


if __name__ == "__main__":
    typer.run(main)
