"""Whether the pictures that a run made are still in the store, as it wrote them down; and what is not, made again."""

from __future__ import annotations

import hashlib
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from imgflow_steps.records import keys
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.row import TICK, Row, Status
from imgflow_steps.records.rows import merged, write_part
from imgflow_steps.store import ChangedError, NotFoundError, StoredObject, UnreadableError
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.names import unstorable
from imgflow_steps.store.threads import ahead, crew

if TYPE_CHECKING:
    from imgflow_steps.records.row import Published
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

READS = 16  # pictures read at the same time
AHEAD = 4  # waiting per thread, so that none is ever idle
MARKS = 5000  # rows in one file
CODE = "result-lost"  # of an image whose picture is to be made again


class Harm(StrEnum):
    """What became of a picture in the store."""

    GONE = "no longer in the store"
    DAMAGED = "not what the run made"


class Harmed(NamedTuple):
    """A picture that is gone or damaged, and the row that tells of it."""

    row: Row
    output: Published
    harm: Harm


@dataclass(slots=True)
class Look:
    """How many pictures were looked at; ``unread`` are there with the right size, and nobody read what they hold."""

    pictures: int = 0
    unread: int = 0


def harmed(store: Store, run: Run, look: Look, *, seconds: float = math.inf) -> Iterator[Harmed]:
    """The pictures of a run with results that are gone or damaged.

    One listing says which are there, with their size and on S3 as a rule their MD5; others are read and compared with
    their SHA-256, for this many seconds. Raises StoreError.
    """
    with temporary() as folder:
        verdicts = Path(folder, "results.jsonl")
        store.download(keys.results_jsonl(run.id), verdicts)
        yield from _harmed(store, run, read_jsonl(verdicts), look, seconds)


def mark(store: Store, run: Run, look: Look) -> int:
    """Write down of every image with a picture that is gone or damaged that it failed, so that it is done again.

    Looks at all that the run's pipeline made of the municipality; gives the number of images. Raises StoreError.
    """
    images = 0
    with merged(store, run.rows) as rows:
        wanted = _failed(_harmed(store, run, rows, look, math.inf), run)
        while batch := list(islice(wanted, MARKS)):
            write_part(store, run.rows, batch)
            images += len(batch)
    return images


def _failed(found: Iterable[Harmed], run: Run) -> Iterator[Row]:
    last = ""
    for row, output, harm in found:
        if row.image != last:
            last = row.image
            message = f"its picture {output.key} is {harm.value}"
            yield Row(
                image=row.image,
                version=row.version,
                bytes=row.bytes,
                status=Status.FAILED,
                code=CODE,
                message=message,
                run=run.id,
                ended=row.ended + TICK,  # right after it, by the clock of whoever made it
            )


def _harmed(store: Store, run: Run, rows: Iterable[Row], look: Look, seconds: float) -> Iterator[Harmed]:
    until = time.monotonic() + seconds
    prefix = f"{keys.results(run.municipality, run.digest)}images/"
    with _there(store, prefix) as there, crew(READS) as pool:
        made = ((row, output) for row in rows for output in row.outputs if output.key)
        begun = (
            (row, output, pool.submit(_compared, store, output, there.get(output.key), until)) for row, output in made
        )
        for row, output, compared in ahead(begun, READS * AHEAD):
            harm = compared.result()
            look.pictures += 1
            look.unread += harm == ""
            if harm:
                yield Harmed(row, output, Harm(harm))


def _compared(store: Store, output: Published, found: StoredObject | None, until: float) -> Harm | str | None:
    """What is wrong with a picture; None when it is whole, "" when there was no time to read it."""
    if found is None:
        return Harm.GONE
    if output.bytes and found.bytes != output.bytes:
        return Harm.DAMAGED
    if output.md5 and found.version == output.md5:
        return None
    if time.monotonic() > until:
        return ""
    return harm_of(store, output.key, output.sha256)


def harm_of(store: Store, key: str, sha256: str) -> Harm | None:
    """What is wrong with a picture that is read for it, if anything. Raises StoreError when the store is away."""
    try:
        data = store.read(key)
    except NotFoundError:
        return Harm.GONE
    except (ChangedError, UnreadableError):
        return Harm.DAMAGED
    return None if hashlib.sha256(data).hexdigest() == sha256 else Harm.DAMAGED


class _There:
    """A listing, on disk, so that memory does not grow with it."""

    def __init__(self, store: Store, prefix: str, path: Path) -> None:
        self._store, self._prefix = store, prefix
        self._known = sqlite3.connect(path)
        with self._known:
            self._known.execute("CREATE TABLE there (key TEXT PRIMARY KEY, version TEXT, bytes INTEGER) WITHOUT ROWID")
            listed = ((found.key, found.version, found.bytes) for found in store.entries(prefix) if _plain(found.key))
            self._known.executemany("INSERT OR REPLACE INTO there VALUES (?, ?, ?)", listed)

    def get(self, key: str) -> StoredObject | None:
        """The picture at a key, if one is there."""
        if not key.startswith(self._prefix):
            return self._store.stat(key)
        found = self._known.execute("SELECT version, bytes FROM there WHERE key = ?", (key,)).fetchone()
        return StoredObject(key, *found) if found else None

    def close(self) -> None:
        self._known.close()


def _plain(key: str) -> bool:
    """Whether a name is Unicode; no picture of ours has another one."""
    return not unstorable(key)


@contextmanager
def _there(store: Store, prefix: str) -> Iterator[_There]:
    with (
        temporary() as folder,
        closing(_There(store, prefix, Path(folder, "db"))) as it,
    ):
        yield it
