"""Which section of a report an image belongs to: its folder, what its file tells, or a column of the catalog.

A container reads no catalog. So values of a column are written down when a run begins: ``sections.jsonl``, sorted as
the listing, and merged with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING

from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.records import keys
from imgflow_steps.records.merge import order
from imgflow_steps.records.row import Entry
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.records.row import Row
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

FOLDER, NONE = "folder", "none"
LONGEST = 200  # characters of a value
LINE = 4096  # bytes in which the last line of a listing begins, as a rule
SectionOf = Callable[["Row"], str]  # "" of an image without one; asked in the order of the listing


def column(by: str) -> str:
    """The column of the catalog by which sections are made; "" where none is asked."""
    return "" if by in {"", FOLDER, NONE, *FIELDS} else by


def write(path: Path, values: Iterable[tuple[str, str]]) -> None:
    """Write images, sorted by ``order``, with their values."""
    with path.open("w", encoding="ascii") as file:
        for image, value in values:
            file.write(json.dumps([image, value[:LONGEST]]) + "\n")


def section_of(store: Store, run: Run, listing: Path, folder: Path) -> SectionOf | None:
    """Names an image's section; None where there are none. ``folder`` is for a copy of the column."""
    by = run.collect.sections
    if by == FOLDER:
        return _by_folder(listing)
    if by in FIELDS:
        return lambda row: str(row.exif.get(by, ""))[:LONGEST]
    if not column(by):
        return None
    path = folder / "sections.jsonl"
    try:
        store.download(keys.sections(run.id), path)
    except NotFoundError:  # of a run that a pod began
        return None
    return _Column(path)


def _by_folder(listing: Path) -> SectionOf | None:
    """By the first folder in which paths differ: the listing is sorted, so all share the folders of its ends."""
    ends = _ends(listing)
    if ends is None:
        return None
    folders = zip(*(image.split("/")[:-1] for image in ends), strict=False)
    start = sum(len(one) + 1 for one, _ in takewhile(lambda pair: pair[0] == pair[1], folders))

    def name(row: Row) -> str:
        end = row.image.find("/", start)
        return row.image[: end + 1] if end >= 0 else row.image[:start]

    return name


def _ends(listing: Path) -> tuple[str, str] | None:
    """The first and the last image."""
    with listing.open("rb") as file:
        first = file.readline()
        if not first:
            return None
        size, back = file.seek(0, 2), LINE
        while True:
            file.seek(max(0, size - back))
            lines = file.read().splitlines()
            if len(lines) > 1 or back >= size:
                return Entry.model_validate_json(first).image, Entry.model_validate_json(lines[-1]).image
            back *= 2


class _Column:
    """Values of a column, merged with the images that are asked for."""

    def __init__(self, path: Path) -> None:
        self._values = _read(path)
        self._next = next(self._values, None)

    def __call__(self, row: Row) -> str:
        while self._next and order(self._next[0]) < order(row.image):
            self._next = next(self._values, None)
        return self._next[1] if self._next and self._next[0] == row.image else ""


def _read(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="ascii") as file:
        for line in file:
            image, value = json.loads(line)
            yield image, value
