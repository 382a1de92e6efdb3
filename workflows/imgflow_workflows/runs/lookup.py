"""Which image is meant: a key as listed, an ending of one, or the key of a result.

A whole key costs one request per municipality, and a binary search in the newest listings of each. An ending costs
reading those listings once, on disk and not in memory: name the municipality where there are many.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.records import documents, keys, merge
from imgflow_steps.records.row import Entry
from imgflow_steps.records.rows import merged
from imgflow_steps.store import KeyRefusedError, NotFoundError
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.runs.seek import near, seek

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.history import Record

SHOWN = 20  # images named when several are meant
COMPARED = 20_000  # names compared with one that is not there
NEAREST = 3

Image = tuple[str, str]  # municipality, key as listed


@dataclass(slots=True)
class Match:
    """What was found: at most twenty ``images`` of ``count``; where there is none, ``nearest`` are names like it."""

    images: list[Image] = field(default_factory=list)
    count: int = 0
    nearest: list[str] = field(default_factory=list)

    def add(self, image: Image) -> None:
        """Count one more."""
        if image not in self.images:
            self.count += 1
            self.images += [image] if len(self.images) < SHOWN else []


def lookup(store: Store, records: Sequence[Record], asked: str, municipality: str = "") -> Match:
    """The images that ``asked`` may mean, of one municipality when it is named. Raises StoreError."""
    asked = asked.encode("utf-8", "backslashreplace").decode()  # as list writes a name that is not UTF-8
    asked = asked.removeprefix(f"{store.url.rstrip('/')}/")
    if result := _of_result(store, asked):
        return result
    whose, _, image = asked.removeprefix("datasets/").partition("/images/")
    if asked.startswith("datasets/") and image:
        asked, municipality = image, keys.decode(whose)
    if municipality:
        names = [keys.decode(keys.encode(municipality))]
    else:
        known = {record.run.municipality for record in records} | {*map(keys.decode, store.folders("datasets/"))}
        names = sorted(known)
    listed = {name: list(_newest_listings(records, name)) for name in names}
    match = Match()
    for name in names:
        if _is_there(store, name, asked) or any(_is_listed(store, run, asked) for run in listed[name]):
            match.add((name, asked))
    return match if match.count else _by_ending(store, listed, asked)


def _of_result(store: Store, key: str) -> Match | None:
    """The image that a result came from; None for what is no result's key."""
    parts = keys.unpublished(key)
    if not parts:
        return None
    municipality, digest, image = parts
    match = Match()
    if image:
        match.add((municipality, image))
        return match
    with merged(store, keys.rows(municipality, digest)) as rows:  # the name was cut, so only its row knows
        for row in rows:
            if any(output.key == key for output in row.outputs):
                match.add((municipality, row.image))
    return match


def _newest_listings(records: Iterable[Record], municipality: str) -> Iterator[str]:
    """The newest listed run of a municipality, for the dataset and for every source.

    Where that was about a choice of images, also the newest one that was about all.
    """
    whole: set[str] = set()
    chosen: set[str] = set()
    for record in sorted(records, key=lambda one: one.used, reverse=True):
        run = record.run
        if run.municipality != municipality or not record.listing or run.source in (chosen if run.selection else whole):
            continue
        chosen.add(run.source)
        if not run.selection:
            whole.add(run.source)
        yield run.id


def _is_there(store: Store, municipality: str, image: str) -> bool:
    with suppress(KeyRefusedError):  # part of a name may be none itself
        return store.stat(keys.images(municipality) + image) is not None
    return False


def _is_listed(store: Store, run: str, image: str) -> bool:
    file = store.stat(keys.listing(run))
    return bool(file and seek(store, file, image))


def _by_ending(store: Store, listed: dict[str, list[str]], asked: str) -> Match:
    """Whole last parts count before mere letters: of ``1.jpg``, ``a/1.jpg`` and not ``a/11.jpg``."""
    parts, letters = Match(), Match()
    for name, runs in listed.items():
        for image in _images(store, name, runs, asked):
            if image.endswith(asked):
                letters.add((name, image))
                if image.endswith(f"/{asked}"):
                    parts.add((name, image))
    match = parts if parts.count else letters
    if not match.count:
        neighbours = (image for runs in listed.values() for run in runs for image in _near(store, run, asked))
        first = (image for name, runs in listed.items() for image in _images(store, name, runs))
        some = list(dict.fromkeys(islice(chain(neighbours, first), COMPARED)))
        match.nearest = get_close_matches(asked, some, NEAREST) or [name for name in some if asked in name][:NEAREST]
    return match


def _near(store: Store, run: str, image: str) -> list[str]:
    file = store.stat(keys.listing(run))
    return [documents.parsed(Entry, line, file.key).image for line in near(store, file, image)] if file else []


def _images(store: Store, municipality: str, runs: Sequence[str], part: str = "") -> Iterator[str]:
    """What these runs listed, or what the dataset holds where none has; names that hold ``part``, and maybe others."""
    escaped = json.dumps(part, ensure_ascii=False)[1:-1].encode()
    if not runs:
        prefix = keys.images(municipality)
        yield from (found.key.removeprefix(prefix) for found in store.entries(prefix) if keys.is_image(found.key))
    listed = (_listed(store, run, escaped) for run in runs)
    yield from (image for image, _ in groupby(heapq.merge(*listed, key=merge.order)))


def _listed(store: Store, run: str, part: bytes) -> Iterator[str]:
    with temporary() as folder:
        path = Path(folder, "listing")
        with suppress(NotFoundError):  # deleted meanwhile
            store.download(keys.listing(run), path)
            with path.open("rb") as file:
                yield from (Entry.model_validate_json(line).image for line in file if part in line)
