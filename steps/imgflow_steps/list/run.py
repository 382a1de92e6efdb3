"""List, leave out what is done, cut the rest. Every pass streams: memory does not grow with the images."""

from __future__ import annotations

import heapq
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps import keys, plan
from imgflow_steps.contract import BadParametersError, Entry, Row, Status
from imgflow_steps.deletion import check_not_pruned
from imgflow_steps.prediction import Prediction, predict
from imgflow_steps.rows import Evenly, join, merged, order
from imgflow_steps.run import Listing
from imgflow_steps.selection import among, read
from imgflow_steps.store import inside, open_store

if TYPE_CHECKING:
    from imgflow_steps.run import Run
    from imgflow_steps.store import Found, Store

UPLOADS = 8  # manifests written at the same time
SEEN = 2000  # rows of the pipeline kept, evenly spread


@dataclass(slots=True)
class _Spool:
    """What the passes leave for each other in a temporary folder."""

    folder: Path
    listing: Listing
    seen: Evenly = field(default_factory=lambda: Evenly(limit=SEEN))  # rows that tell what images take

    @property
    def entries(self) -> Path:
        return self.folder / "entries.jsonl"

    @property
    def todo(self) -> Path:
        return self.folder / "todo.jsonl"


def survey(store: Store, run: Run, selection: Path | None = None) -> tuple[Listing, Prediction]:
    """What a run would find, how it would cut it and what that will take, without writing anything to the store.

    ``selection`` holds the images that it would be about, where they are not in the store yet.
    """
    with tempfile.TemporaryDirectory(prefix="imgflow-") as folder:
        spool = _survey(store, run, Path(folder), selection)
    return spool.listing, predict(store, run, spool.listing, spool.seen.kept)


def run(store: Store, run: Run) -> Listing:
    """Write the listing, one manifest per shard, and ``listing.json`` last of all.

    What an earlier attempt of the same run left about its progress is removed first.
    """
    check_not_pruned(store, run)
    store.delete([keys.summary_json(run.id), *(f.key for f in store.entries(keys.progress(run.id)))])
    with tempfile.TemporaryDirectory(prefix="imgflow-") as folder:
        spool = _survey(store, run, Path(folder))
        with ThreadPoolExecutor(UPLOADS) as pool, spool.todo.open("rb") as todo:
            waiting = deque(
                [
                    pool.submit(_predict, store, run, spool),
                    pool.submit(store.upload, spool.entries, keys.listing(run.id), "application/jsonl"),
                ]
            )
            for shard in range(spool.listing.shards):
                lines = b"".join(islice(todo, spool.listing.shard_size))
                waiting.append(pool.submit(store.write, keys.manifest(run.id, shard), lines, "application/jsonl"))
                if len(waiting) > UPLOADS * 2:
                    waiting.popleft().result()
            for upload in waiting:
                upload.result()
        spool.listing.ended = time.time()
        store.write(keys.listing_json(run.id), spool.listing.model_dump_json().encode(), "application/json")
        return spool.listing


def _predict(store: Store, run: Run, spool: _Spool) -> None:
    expected = predict(store, run, spool.listing, spool.seen.kept)
    store.write(keys.prediction_json(run.id), expected.model_dump_json().encode(), "application/json")


def read_manifest(store: Store, run: str, shard: int) -> list[Entry]:
    """The images of one shard."""
    lines = store.read(keys.manifest(run, shard)).splitlines()
    return [Entry.model_validate_json(line) for line in lines]


def _survey(store: Store, run: Run, folder: Path, selection: Path | None = None) -> _Spool:
    started = time.monotonic()
    listing = Listing()
    spool = _Spool(folder, listing)
    if run.selection and not selection:
        store.download(run.selection, selection := folder / "selection.jsonl")
    found = listed(photographs(store, run, selection), run.prefix, folder / "found.jsonl", listing)
    with merged(store, run.rows) as rows, spool.entries.open("wb") as entries, spool.todo.open("wb") as todo:
        for entry, row in join(found, rows):
            line = entry.model_dump_json(exclude_defaults=True).encode() + b"\n"
            entries.write(line)
            if row is not None and row.ms:
                spool.seen.add(row)
            if _done(row, run, listing):
                continue
            todo.write(line)
            listing.todo += 1
            listing.bytes += entry.bytes
    if selection:
        listing.absent = sum(1 for _ in read(selection)) - listing.listed - listing.other
    cut = plan.cut(
        run.pipeline,
        images=listing.todo,
        shard_size=run.list.shard_size,
        nodes=run.list.nodes,
        layout=run.list.layout,
        local=run.engine == "local",
    )
    listing.shards, listing.shard_size, listing.layout, listing.why = cut.shards, cut.shard_size, cut.layout, cut.why
    _mark_samples(spool.todo, listing.todo, run.list.samples)
    listing.seconds = round(time.monotonic() - started, 3)
    listing.digest, listing.versions = run.digest, run.pipeline.versions
    return spool


def photographs(store: Store, run: Run, selection: Path | None = None) -> Iterator[Found]:
    """What lies where a run's images are, or what is selected of it, in the order of its keys."""
    found = _elsewhere(run.source, store) if run.source else store.entries(run.prefix)
    return among(found, lambda one: one.key.removeprefix(run.prefix), read(selection)) if selection else found


def _elsewhere(source: str, store: Store) -> Iterator[Found]:
    """What lies at a source, without the store where that holds it (``--source .``): results are no photographs.

    Raises BadParametersError when the source is the store itself.
    """
    opened = open_store(source)
    own = inside(store, opened)
    if own == "":
        raise BadParametersError(
            f"the source {source} is the store itself, with all results; leave --source out, or name a folder in it"
        )
    return (found for found in opened.entries() if own is None or not found.key.startswith(own))


def listed(found: Iterable[Found], prefix: str, path: Path, listing: Listing) -> Iterator[Entry]:
    """Write what is listed to ``path`` and give it back in the order of its keys."""
    renamed: list[Entry] = []  # names that are not UTF-8 change when written down, and so do their places
    with path.open("wb") as file:
        for one in found:
            image = one.key.removeprefix(prefix)
            if not keys.is_image(image):
                listing.other += 1
                continue
            listing.listed += 1
            written = image.encode("utf-8", "backslashreplace").decode()
            entry = Entry(image=written, version=one.version, bytes=one.bytes, problem=keys.problem(image))
            if written != image:
                renamed.append(entry)
                continue
            file.write(entry.model_dump_json(exclude_defaults=True).encode() + b"\n")
    return heapq.merge(read_entries(path), sorted(renamed, key=order), key=order)


def read_entries(path: Path) -> Iterator[Entry]:
    """The entries of a file of JSON lines."""
    with path.open("rb") as file:
        for line in file:
            yield Entry.model_validate_json(line)


def _done(row: Row | None, run: Run, listing: Listing) -> bool:
    if row is None or row.status is Status.FAILED:
        return False
    if row.status is Status.REJECTED:
        again = run.list.retry == "rejected" and row.ended < run.created
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
