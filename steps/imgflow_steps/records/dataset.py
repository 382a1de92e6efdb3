"""The images that a run is about: what lies at its source, as entries in the order of their keys."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.records import boxes, keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.merge import among, image_of, joined, order
from imgflow_steps.records.row import Entry, read_entries
from imgflow_steps.records.selection import read

if TYPE_CHECKING:
    from imgflow_steps.records.boxes import Marked
    from imgflow_steps.records.candidates import Candidates
    from imgflow_steps.store import StoredObject


def selected(look: Candidates, selection: Path | None = None) -> Iterator[StoredObject]:
    """What lies where a run's images are, or what is selected of it, in the order of its keys."""
    found = look.found()
    return among(found, lambda one: one.key.removeprefix(look.prefix), read(selection)) if selection else found


def listed(look: Candidates, selection: Path | None, path: Path, listing: Listing) -> Iterator[Entry]:
    """Write what is listed, of all or of a selection, to ``path`` and give it back in the order of its keys."""
    renamed: list[Entry] = []  # names that are not UTF-8 change when written down, and so do their places
    with path.open("wb") as file:
        for image, one in look.images(selected(look, selection)):
            listing.listed += 1
            written = image.encode("utf-8", "backslashreplace").decode()
            entry = Entry(image=written, version=one.version, bytes=one.bytes, problem=keys.problem(image))
            if written != image:
                renamed.append(entry)
                continue
            file.write(entry.model_dump_json(exclude_defaults=True).encode() + b"\n")
    return heapq.merge(read_entries(path), sorted(renamed, key=_order), key=_order)


def with_boxes(entries: Iterable[Entry], table: Iterable[Marked], listing: Listing) -> Iterator[Entry]:
    """The entries, those of which the table speaks with their boxes and a version of their own."""
    for entry, one in joined(entries, table, image_of, lambda marked: marked.image, how="outer"):
        if entry is None:
            listing.astray += 1
        elif one is None:
            yield entry
        else:
            listing.marked += 1
            yield Entry(**{**dict(entry), "version": boxes.stamped(entry.version, one.boxes), "boxes": one.boxes})


def _order(entry: Entry) -> bytes:
    return order(entry.image)
