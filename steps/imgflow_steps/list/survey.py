"""What a run would find and how its work would be cut. Every pass streams: memory does not grow with the images."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import boxes, sharding
from imgflow_steps.records.candidates import candidates
from imgflow_steps.records.dataset import listed, with_boxes
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.merge import of_version, with_newest
from imgflow_steps.records.prediction import Prediction, predict
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.records.rows import merged
from imgflow_steps.records.sampling import Evenly
from imgflow_steps.records.selection import read
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

SEEN = 2000  # rows of the pipeline kept, evenly spread


@dataclass(slots=True)
class Spool:
    """What the passes leave for each other in a temporary folder."""

    folder: Path
    listing: Listing
    seen: Evenly = field(default_factory=lambda: Evenly(limit=SEEN))  # rows that tell what images take

    @property
    def entries(self) -> Path:
        """Every image that was listed, one a line."""
        return self.folder / "entries.jsonl"

    @property
    def todo(self) -> Path:
        """Those that are to be computed."""
        return self.folder / "todo.jsonl"


def survey(store: Store, run: Run, selection: Path | None = None) -> tuple[Listing, Prediction]:
    """What a run would find, how it would cut it and what that will take, without writing anything to the store.

    ``selection`` holds the images that it would be about, where they are not in the store yet.
    """
    with temporary() as folder:
        spool = surveyed(store, run, Path(folder), selection)
    return spool.listing, predict(store, run, spool.listing, spool.seen.kept)


def surveyed(store: Store, run: Run, folder: Path, selection: Path | None = None) -> Spool:
    """What is listed and what is to do, in files of ``folder``, and how it is cut."""
    started = time.monotonic()
    listing = Listing()
    spool = Spool(folder, listing)
    if run.selection and not selection:
        store.download(run.selection, selection := folder / "selection.jsonl")
    look = candidates(store, run)
    found = listed(look, selection, folder / "found.jsonl", listing)
    if run.pipeline.hides and boxes.download(store, run.municipality, table := folder / "boxes.jsonl"):
        found = with_boxes(found, boxes.read(table), listing)
    elif run.pipeline.hides_unfound:
        raise BadParametersError(boxes.nobody(run.municipality))
    with merged(store, run.rows) as rows, spool.entries.open("wb") as entries, spool.todo.open("wb") as todo:
        for entry, newest in with_newest(found, rows):
            row = of_version(entry, newest)
            entries.write(_line(entry))
            if row is not None and row.ms:
                spool.seen.add(row)
            if _done(row, run, listing):
                continue
            todo.write(_line(entry.model_copy(update={"after": newest.ended}) if newest else entry))
            listing.todo += 1
            listing.bytes += entry.bytes
    if selection:
        listing.absent = sum(1 for _ in read(selection)) - look.seen
        listing.astray = 0  # others were not chosen
    listing.unlisted, listing.other, listing.unreadable = look.left_out, sum(look.left_out.values()), look.unreadable
    cut = sharding.cut(
        run.pipeline,
        images=listing.todo,
        shard_size=run.list.shard_size,
        nodes=run.list.nodes,
        layout=run.list.layout,
        local=run.engine == "local",
        workers=run.workers,
    )
    listing.shards, listing.shard_size, listing.layout, listing.why = cut.shards, cut.shard_size, cut.layout, cut.why
    samples = listing.todo if run.list.thumbnails == "all" else run.list.samples
    _mark_samples(spool.todo, listing.todo, samples)
    listing.seconds = round(time.monotonic() - started, 3)
    listing.digest, listing.versions = run.digest, run.pipeline.versions
    return spool


def _line(entry: Entry) -> bytes:
    return entry.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _done(row: Row | None, run: Run, listing: Listing) -> bool:
    if row is None or row.status is Status.FAILED:
        return False
    if row.status is Status.REJECTED:
        again = run.list.retry == "rejected" and (row.run != run.id or row.ended < run.created)
        listing.rejected += not again
        return not again
    if row.run == run.id:
        listing.processed += 1
    else:
        listing.cached += 1
    return True


def _mark_samples(todo: Path, count: int, samples: int) -> None:
    """Mark images, evenly spread, for which the report shows pictures."""
    if not count or not samples:
        return
    marked = todo.with_suffix(".marked")
    with todo.open("rb") as before, marked.open("wb") as after:
        for i, line in enumerate(before):
            if i * samples // count != (i - 1) * samples // count:
                line = line.rstrip().removesuffix(b"}") + b',"sampled":true}\n'  # noqa: PLW2901 - one field more
            after.write(line)
    marked.replace(todo)
