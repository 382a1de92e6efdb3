"""Each picture once: near-duplicates are left out of a run, by hashes that runs of any pipeline left in their rows.

What no run has seen yet gets a run of its own before, which decodes as little of each image as it can and publishes
nothing. So looking is as parallel, resumable and watched as all work, on every engine, and what it saw is remembered.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.collect import Collect
from imgflow_steps.contract.options import Encoding
from imgflow_steps.grayscale import Grayscale
from imgflow_steps.pipeline.model import Pipeline, StepCall
from imgflow_steps.records import keys, merge, selection
from imgflow_steps.records.candidates import candidates
from imgflow_steps.records.dataset import listed, selected
from imgflow_steps.records.duplicates import duplicates
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.merge import with_rows
from imgflow_steps.records.results import harmless, marked, read_jsonl, spool
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.rows import merged
from imgflow_steps.scale import Scale

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

LOOK = Pipeline(
    steps=(
        StepCall(name="scale", params=Scale(width=256, height=256)),  # an eighth of either side of a camera's JPEG
        StepCall(name="grayscale", params=Grayscale()),
    ),
    output=Encoding(format="none"),
)


@dataclass(frozen=True, slots=True)
class Selected:
    """Images of a run as ``selection.write`` writes them, and the table of those that are left out, as files.

    ``unseen`` are those whose hash no run knows: they stay among the images.
    """

    images: Path
    left_out: Path | None = None
    duplicates: int = 0  # that are left out
    unseen: Path | None = None
    unknown: int = 0  # that are unseen


def once(store: Store, run: Run, chosen: Path | None, folder: Path) -> Selected:
    """Of a run's images, or of those that are ``chosen``, all but near-duplicates of another one; files in ``folder``.

    Every pass streams. Raises StoreError.
    """
    known, names, unseen, images = (folder / f"{name}.jsonl" for name in ("known", "names", "unseen", "images"))
    left_out = folder / "left-out.csv"
    found = duplicates(spool(known, _hashed_rows(store, run, chosen, folder)), run.collect.near)
    unknown = selection.write(unseen, (row.image for row in read_jsonl(known) if row.status is Status.FAILED))
    selection.write(names, _written(left_out, marked(known, found)))
    look = candidates(store, run)
    every = (one.key.removeprefix(run.prefix) for one in selected(look, chosen))
    selection.write(images, merge.without(every, selection.read(names)))
    return Selected(images, left_out, len(found.places), unseen, unknown)


def looking(run: Run, run_id: str) -> Run:
    """The run that looks at what no run has seen; its selection is to be put into the store."""
    return run.model_copy(
        update={
            "id": run_id,
            "pipeline": LOOK,
            "selection": keys.selection(run_id),
            "list": run.list.model_copy(
                update={"layout": "fused", "retry": "failed", "samples": 0, "thumbnails": "samples"}
            ),
            "collect": Collect(),
            "created": time.time(),
        }
    )


def _hashed_rows(store: Store, run: Run, chosen: Path | None, folder: Path) -> Iterator[Row]:
    """A row for each image that would be listed, with its hash where a run has seen it; failed are those unseen."""
    entries = listed(candidates(store, run), chosen, folder / "found.jsonl", Listing())
    rows, others = folder / "rows.jsonl", folder / "others.jsonl"
    unseen = _write(rows, map(_unseen, entries))
    look = run.model_copy(update={"pipeline": LOOK}).digest
    digests = list(store.folders(keys.results(run.municipality, "")[:-1]))
    for digest in sorted(digests, key=lambda one: one != look):
        if not unseen:
            break
        with merged(store, keys.rows(run.municipality, digest)) as seen:
            unseen = _write(others, (_learnt(row, other) for row, other in with_rows(read_jsonl(rows), seen)))
        others.replace(rows)
    return read_jsonl(rows)


def _unseen(entry: Entry) -> Row:
    """What cannot be stored is rejected by every run, so nobody has to look at it."""
    return Row(image=entry.image, version=entry.version, status=Status.REJECTED if entry.problem else Status.FAILED)


def _learnt(row: Row, seen: Row | None) -> Row:
    if row.status is Status.FAILED and seen and seen.status is not Status.FAILED:
        row.status, row.dhash = Status.PROCESSED, seen.dhash
    return row


def _write(path: Path, rows: Iterable[Row]) -> int:
    """Write rows, a line each; how many have failed."""
    failed = 0
    with path.open("wb") as file:
        for row in rows:
            failed += row.status is Status.FAILED
            file.write(row.model_dump_json(exclude_defaults=True).encode() + b"\n")
    return failed


def _written(path: Path, rows: Iterable[Row]) -> Iterator[str]:
    """Near-duplicates as a table of what each looks like; gives their names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "duplicate_of"])
        for row in rows:
            if row.duplicate_of:
                table.writerow(map(harmless, (row.image, row.duplicate_of)))
                yield row.image
