"""Which file each picture of a run becomes in a folder: no two the same one, on any file system."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.store import names

if TYPE_CHECKING:
    from imgflow_steps.records.row import Row

SHARED = -1  # owner of a path that more than one picture could have, or that is a folder; as in the statement below


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture that a run made; ``short`` is how it would best be called, ``paths`` what it may be, best first."""

    image: str
    key: str
    sha256: str
    short: str
    paths: list[str]


def pictures(verdicts: Iterable[Row], prefix: str) -> Iterator[Picture]:
    """The pictures behind the verdicts, in their order; one whose key cannot be below ``prefix`` has no path.

    No path leads out of a folder or is too long for one, whatever the verdicts hold.
    """
    for row in verdicts:
        for output in row.outputs:
            if output.key:
                places = keys.in_folder(row.image, output.piece, output.key)
                ours = output.key.startswith(prefix) and not names.unstorable(output.key)
                paths = [name for name in places if ours and not names.unstorable(name)]
                yield Picture(row.image, output.key, output.sha256, places[0], paths)


class FileNames:
    """Gives each picture its path: the first of its own that no other picture could have.

    So a picture's place depends on which pictures there are, and on no order. Paths that differ only in case, or in
    how an accent is written, are the same one here, since some file systems take them for that. They are kept in a
    temporary database on disk, so memory does not grow with their number.
    """

    def __init__(self, database: sqlite3.Connection, found: Iterable[Picture]) -> None:
        self._database = database
        database.execute("CREATE TABLE taken (path TEXT PRIMARY KEY, owner INTEGER) WITHOUT ROWID")
        take = "INSERT INTO taken VALUES (?, ?) ON CONFLICT DO UPDATE SET owner = -1 WHERE owner != excluded.owner"
        self.count = 0
        database.executemany(take, self._claims(found))

    def _claims(self, found: Iterable[Picture]) -> Iterator[tuple[str, int]]:
        """Every path that a picture may have, and the folders above it."""
        for picture in found:
            for path in picture.paths:
                yield _folded(path), self.count
            folder = picture.image
            while folder := folder.rpartition("/")[0]:
                yield _folded(folder), SHARED
            self.count += 1

    def of(self, number: int, picture: Picture) -> str:
        """The path of the picture that was found as ``number``; "" where it can have none."""
        for path in picture.paths:
            one = self._database.execute("SELECT owner FROM taken WHERE path = ?", (_folded(path),)).fetchone()
            if one and one[0] == number:
                return path
        return ""


@contextmanager
def places(found: Iterable[Picture]) -> Iterator[FileNames]:
    """The places of these pictures, for as long as the context."""
    with closing(sqlite3.connect("")) as database:  # "": a file of SQLite's own, which goes with it
        yield FileNames(database, found)


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
