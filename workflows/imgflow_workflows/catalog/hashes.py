"""Near-duplicates among rows that pass by once, in memory that does not grow with the names of the images."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

from imgflow_steps.records.duplicates import Hashes, duplicates
from imgflow_steps.records.results import NAMES
from imgflow_steps.records.row import WITH_RESULT, Row

if TYPE_CHECKING:
    from collections.abc import Iterator


class NamedHashes:
    """Hashes of the images with results; ``path`` holds their names for as long as the context."""

    def __init__(self, path: Path) -> None:
        self._path, self._hashes, self._place = path, Hashes(), 0
        self._file = path.open("w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        with suppress(FileNotFoundError):
            self._path.unlink()

    def seen(self, row: Row) -> Row:
        """Remember a row, and give it back."""
        if row.dhash and row.status in WITH_RESULT:
            self._hashes.add(self._place, row.dhash)
            self._place += self._file.write(json.dumps(row.image).encode() + b"\n")
        return row

    def duplicates(self, near: int) -> Iterator[tuple[str, str]]:
        """Each image that looks like an earlier one, with that one's name, in the order in which they were seen."""
        found = duplicates(self._hashes, near)
        name = lru_cache(NAMES)(self._name)
        for place, first in zip(found.places, found.firsts, strict=True):
            yield self._name(place), name(first)

    def _name(self, place: int) -> str:
        self._file.seek(place)
        return str(json.loads(self._file.readline()))
