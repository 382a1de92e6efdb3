"""The photographs of a source by name, on disk: no two of a name, and any number of them.

A name is text; where it lies are bytes, as the folder above may have any name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from imgflow_steps.contract.step import BadParametersError

Place = tuple[str, str, int, str]  # name, where it lies, bytes, version
ANY = "surrogateescape"  # as Python has the names of files


class Spool:
    """Photographs in the order of their names. Made by ``spool``."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def add(self, name: str, where: str, size: int, version: str) -> None:
        """Keep one; the very same one again is kept once.

        Raises BadParametersError when another one has its name.
        """
        try:
            self._base.execute(
                "INSERT INTO photos VALUES (?, ?, ?, ?)", (name, where.encode(errors=ANY), size, version)
            )
        except sqlite3.IntegrityError:
            [(found,)] = self._base.execute("SELECT place FROM photos WHERE name = ?", (name,))
            if (other := found.decode(errors=ANY)) != where:
                raise BadParametersError(
                    f"{other} and {where} would both be {name} in the dataset; nothing was copied. Rename one"
                ) from None

    def __iter__(self) -> Iterator[Place]:
        """All of them, sorted by name."""
        for name, where, size, version in self._base.execute("SELECT * FROM photos ORDER BY name"):
            yield name, where.decode(errors=ANY), size, version


@contextmanager
def spool() -> Iterator[Spool]:
    """An empty spool in a temporary file that is gone at the end."""
    with closing(sqlite3.connect("", isolation_level=None)) as base:  # "": SQLite's own temporary file
        base.execute("PRAGMA journal_mode = OFF")
        base.execute("CREATE TABLE photos (name TEXT PRIMARY KEY, place BLOB, bytes INT, version TEXT) WITHOUT ROWID")
        yield Spool(base)
