"""One image's whole story: every run that listed it, what became of it there, and why it was computed or not.

Cost per run: three small documents and one binary search each in its listing, its results and its manifests (see
``seek``). Where a run has no results yet, one search in every row file of its digest, sixteen at a time: few when
runs were collected, one per hundred images that were computed since. Nothing is read whole, nothing grows with the
number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from imgflow_steps.records import documents, keys
from imgflow_steps.records.boxes import of_source
from imgflow_steps.records.results import LOST
from imgflow_steps.records.row import Entry, Row, Status
from imgflow_steps.store import ChangedError, NotFoundError, StoreError, open_source
from imgflow_steps.store.ranges import known_by_content
from imgflow_steps.store.versions import ETAG
from imgflow_workflows.runs.differences import differences
from imgflow_workflows.runs.seek import last_before, lines, seek
from imgflow_workflows.text import counted

if TYPE_CHECKING:
    from imgflow_steps.store import Store, StoredObject
    from imgflow_workflows.runs.history import Record

SEARCHES = 16  # row files searched at the same time
TRIES = 5  # of reading what others replace meanwhile


@dataclass(frozen=True, slots=True)
class Chapter:
    """One run's part of the story."""

    record: Record
    entry: Entry  # as the run listed it
    row: Row | None  # how it ended; None while it has not
    shard: int | None  # where the run computes it; None when it does not
    why: tuple[str, ...]  # it was computed, or was not

    @property
    def verdict(self) -> str:
        """How the image ended in this run, or that it has not."""
        if self.row:
            return self.row.status.value
        return "waiting" if self.record.summary is None else "interrupted"


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of one image, newest run first."""

    municipality: str
    image: str
    now: StoredObject | None  # what lies there at present
    place: str  # where that is
    chapters: tuple[Chapter, ...]

    @property
    def covered(self) -> bool:
        """Whether a run covers something in it."""
        return any(chapter.record.run.pipeline.hides for chapter in self.chapters)

    @property
    def showable(self) -> Iterator[Chapter]:
        """Chapters whose pictures may be shown: where a run covers something, none of a run that does not."""
        return (one for one in self.chapters if one.record.run.pipeline.hides or not self.covered)

    @property
    def replaced(self) -> bool:
        """Whether another version lies there than the one that was listed last."""
        return bool(self.now and self.chapters and of_source(self.chapters[0].entry.version) != self.now.version)


def tell(store: Store, municipality: str, image: str, records: Iterable[Record]) -> Story:
    """The story of an image as it is listed. Raises StoreError, and ValidationError for rows of another imgflow."""
    newest_row = cache(lambda digest: _newest_row(store, keys.rows(municipality, digest), image))
    chapters: list[Chapter] = []
    for record in sorted(records, key=lambda one: one.run.created):
        if record.run.municipality != municipality:
            continue
        found = _search(store, keys.listing(record.run.id), image)
        if found:
            entry = documents.parsed(Entry, found[0], keys.listing(record.run.id))
            chapters.append(_chapter(store, record, entry, newest_row, chapters))
    source = chapters[-1].record.run.source if chapters else ""
    by_content = bool(chapters and ETAG.fullmatch(of_source(chapters[-1].entry.version)))
    now = _now(store, municipality, image, source, by_content=by_content)
    return Story(municipality, image, *now, tuple(reversed(chapters)))


def _chapter(
    store: Store,
    record: Record,
    entry: Entry,
    newest_row: Callable[[str], Row | None],
    before: Sequence[Chapter],
) -> Chapter:
    row = _verdict(store, record, entry, newest_row)
    own = row is not None and row.run == record.run.id and row.code != LOST
    known_elsewhere = row is not None and row.run != record.run.id
    shard = row.shard if row and own else None if known_elsewhere else _shard(store, record, entry.image)
    return Chapter(record, entry, row, shard, tuple(_why(record, entry, row, before)))


def _verdict(store: Store, record: Record, entry: Entry, newest_row: Callable[[str], Row | None]) -> Row | None:
    if record.collected:
        verdicts = keys.results_jsonl(record.run.id)
        found = _search(store, verdicts, entry.image)
        return documents.parsed(Row, found[0], verdicts) if found else None
    row = newest_row(record.digest)
    if row is None or row.version != entry.version:
        return None
    if row.status is Status.PROCESSED and row.run != record.run.id:
        return row.model_copy(update={"status": Status.CACHED})
    return row


def _why(record: Record, entry: Entry, row: Row | None, before: Sequence[Chapter]) -> list[str]:
    """Why it was not computed, or which part of its key was new, against the last run that could have spared it."""
    if row and row.run != record.run.id:
        rejected = row.status is Status.REJECTED
        return [f"rejected by run {row.run}, not asked again" if rejected else f"cache hit: run {row.run} computed it"]
    alike = [one for one in before if record.digest == one.record.digest]
    last = next(reversed(alike or list(before)), None)
    if last is None:
        return ["no run had listed it before"]
    return [*differences(last.record, record), *_replaced(last, entry)] or [_again(last)]


def _again(last: Chapter) -> str:
    """Why an image was computed again although a run had listed this very version with the same pipeline."""
    run = last.record.run.id
    match last.row:
        case None:
            return f"run {run} did not come to it"
        case Row(status=Status.FAILED):
            return f"it failed in run {run}: tried again"
        case Row(status=Status.REJECTED):
            return f"it was rejected in run {run}: asked again, as --retry rejected says"
        case _:
            return f"what run {run} knew of it is no longer in the store"


def _replaced(last: Chapter, entry: Entry) -> list[str]:
    before, now = of_source(last.entry.version), of_source(entry.version)
    found = [f"another version of the image: {now}, was {before}"] if now != before else []
    if entry.boxes != last.entry.boxes:
        found.append(f"people gave other boxes for it: {_given(entry)}, was {_given(last.entry)}")
    return found


def _given(entry: Entry) -> str:
    return "none" if entry.boxes is None else counted(len(entry.boxes), "box")


def _search(store: Store, key: str, image: str) -> list[bytes]:
    """The lines about an image in one file; none where there is no such file."""
    for _ in range(TRIES):
        file = store.stat(key)
        if file is None:
            return []
        try:
            return seek(store, file, image)
        except (ChangedError, NotFoundError):  # a retry of the run lists or collects at this moment
            continue
    raise ChangedError(f"{key} in {store.url} was replaced {TRIES} times while it was read; ask again later")


def _newest_row(store: Store, prefix: str, image: str) -> Row | None:
    """As ``rows.merged`` would give it: of all row files, the row that ended last."""
    with ThreadPoolExecutor(SEARCHES) as pool:
        found = pool.map(lambda file: _search(store, file.key, image), store.entries(prefix))
        rows = [documents.parsed(Row, line, prefix) for file in found for line in file]
    return max(rows, key=lambda row: row.ended, default=None)


def _shard(store: Store, record: Record, image: str) -> int | None:
    """The shard whose manifest has the image; None when there was nothing to do, or no listing yet."""
    shards = range(record.listing.shards if record.listing else 0)
    manifests = {keys.manifest(record.run.id, shard): shard for shard in shards}

    def first(key: str) -> bytes | None:
        file = store.stat(key)
        return next(lines(store, file), None) if file else None

    key = last_before(list(manifests), image, first)
    return manifests[key] if key and _search(store, key, image) else None


def _now(
    store: Store, municipality: str, image: str, source: str, *, by_content: bool
) -> tuple[StoredObject | None, str]:
    """What lies at the image's place at present, and where that is."""
    try:
        opened, prefix = (open_source(source), "") if source else (store, keys.images(municipality))
        found = opened.stat(prefix + image)
        found = known_by_content(opened, found) if found and by_content else found
        return found, f"{opened.url.rstrip('/')}/{prefix}{image}"
    except StoreError as error:  # a source may be away, a name impossible: the story is what the store knows
        return None, str(error)
