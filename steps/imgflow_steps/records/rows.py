"""What is known about each image: sorted files of JSON rows, added whole, merged when read.

A log-structured merge tree in miniature. Every file below the prefix is immutable, holds one ``Row`` a
line, and is sorted by the UTF-8 bytes of the image's key. Of several rows of one image the one that
ended last counts. Writers only add files, readers merge them all, and collect puts many into one.
"""

from __future__ import annotations

import heapq
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from imgflow_steps.contract.step import unreadable
from imgflow_steps.records.row import Row
from imgflow_steps.store import DamagedError, NotFoundError
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from imgflow_steps.store import Store

FAN_IN = 100  # files open at the same time
FETCHES = 16  # files downloaded at the same time
TRIES = 10  # readings begun, when others compact meanwhile
WHOLE = "whole."  # begins the name of a compacted file; no run's name has a dot
MEDIA = "application/jsonl"

Line = tuple[
    bytes, float, bytes
]  # image's key, minus ended, JSON: tuples in order are a row file in order, newest first


class RowsUnreadableError(DamagedError):
    """The rows below a prefix cannot be read: damaged, of another version, or never at rest."""


class _Head(BaseModel):
    image: str
    ended: float = 0.0


def write_part(store: Store, prefix: str, rows: Iterable[Row]) -> None:
    """Add one file with these rows, of any order, of one run and shard. No rows, no file."""
    kept = list(rows)
    if not kept:
        return
    lines = sorted(_line(row.image, row.ended, row.model_dump_json(exclude_defaults=True).encode()) for row in kept)
    name = f"{kept[0].run}-{kept[0].shard:05d}-{uuid4().hex}.jsonl"
    store.write(prefix + name, b"".join(json + b"\n" for _, _, json in lines), MEDIA)


def shard_rows(store: Store, prefix: str, run: str, shard: int) -> Iterator[Row]:
    """What attempts of a run at one of its shards have added and nobody has compacted, in no order."""
    for key in _listed(store, f"{prefix}{run}-{shard:05d}-"):
        with suppress(NotFoundError):  # compacted meanwhile
            for line in store.read(key).splitlines():
                row = _row(line, store, prefix)
                if (row.run, row.shard) == (run, shard):
                    yield row


def added(store: Store, prefix: str, run: str, known: set[str]) -> Iterator[Row]:
    """What a run has added in files whose names are not ``known``, which names them then; in no order."""
    for key in _listed(store, f"{prefix}{run}-"):
        if key in known:
            continue
        with suppress(NotFoundError):  # compacted meanwhile
            lines = store.read(key).splitlines()
            known.add(key)
            for line in lines:
                row = _row(line, store, prefix)
                if row.run == run:  # and not one whose name begins with this one's
                    yield row


@contextmanager
def merged(store: Store, prefix: str) -> Iterator[Iterator[Row]]:
    """The newest row of every image, in order, streaming from local copies that live as long as the context.

    Raises RowsUnreadableError.
    """
    with temporary() as folder:
        files = _fetch(store, prefix, Path(folder))
        yield (_row(line, store, prefix) for line in _newest(list(files.values()), prefix))


class Compaction:
    """All files put into one, which is written while they are read for something else, and replaces them later.

    Two compactions at once leave two files with the same rows, and lose none.
    """

    def __init__(self, store: Store, prefix: str, whole: Path) -> None:
        self._store, self._prefix, self._whole = store, prefix, whole
        self._files: list[str] = []

    @contextmanager
    def merged(self) -> Iterator[Iterator[Row]]:
        """As ``merged``."""
        with temporary() as folder:
            files = _fetch(self._store, self._prefix, Path(folder))
            lines = _newest(list(files.values()), self._prefix)
            if len(files) == 1:  # compact already
                yield (_row(line, self._store, self._prefix) for line in lines)
                return
            with self._whole.open("wb") as out:
                kept = _kept(lines, out)
                yield (_row(line, self._store, self._prefix) for line in kept)
                for _unasked in kept:
                    pass
            self._files = list(files)

    def finish(self) -> None:
        """Put the one file into the store, and only then delete what went into it: what has come since, stays."""
        if self._files:
            self._store.upload(self._whole, f"{self._prefix}{WHOLE}{uuid4().hex}.jsonl", MEDIA)
            self._store.delete(self._files)


def _kept(lines: Iterable[bytes], out: BinaryIO) -> Iterator[bytes]:
    for line in lines:
        out.write(line)
        yield line


def _listed(store: Store, prefix: str) -> list[str]:
    return [f.key for f in store.entries(prefix) if f.key.endswith(".jsonl") and "/" not in f.key[len(prefix) :]]


def _fetch(store: Store, prefix: str, folder: Path) -> Mapping[str, Path]:
    """Local copies of all row files, by key.

    A listing is no snapshot: while it goes on, another collector may delete files and add the one that
    holds their rows. So a vanished file, or a compacted one that is new afterwards, starts this over.
    """
    for _ in range(TRIES):
        files = {key: folder / key.removeprefix(prefix) for key in _listed(store, prefix)}
        missing = {key: path for key, path in files.items() if not path.exists()}
        try:
            with ThreadPoolExecutor(FETCHES) as pool:
                for _done in pool.map(store.download, missing.keys(), missing.values()):
                    pass
        except NotFoundError:
            continue
        if all(key in files for key in _listed(store, prefix) if key.startswith(prefix + WHOLE)):
            return files
    raise RowsUnreadableError(
        f"the rows in {store.url} below {prefix} were compacted {TRIES} times while being read; "
        "submit again when no other run of this municipality ends"
    )


def _newest(files: Sequence[Path], prefix: str) -> Iterator[bytes]:
    """The newest line of every image, of local copies of files below ``prefix``.

    Consumes the copies where they are too many to have open at once.
    """
    waiting = list(files)
    while len(waiting) > FAN_IN:
        group, waiting = waiting[:FAN_IN], waiting[FAN_IN:]
        target = group[0].with_name(f"{uuid4().hex}.merged")
        with target.open("wb") as out:
            out.writelines(_merge(group, prefix))
        for path in group:
            path.unlink()
        waiting.append(target)
    return _merge(waiting, prefix)


def _merge(files: Sequence[Path], prefix: str) -> Iterator[bytes]:
    last = None
    for image, _, line in heapq.merge(*(_lines(path, prefix) for path in files)):
        if image != last:
            yield line
        last = image


def _lines(path: Path, prefix: str) -> Iterator[Line]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                head = _Head.model_validate_json(line)
            except ValidationError as error:
                raise RowsUnreadableError(
                    f"line {number} of row file {prefix}{path.name} is damaged; delete that file and submit again, "
                    "which computes its images anew"
                ) from error
            yield _line(head.image, head.ended, line)


def _line(image: str, ended: float, json: bytes) -> Line:
    return image.encode(), -ended, json


def _row(line: bytes, store: Store, prefix: str) -> Row:
    try:
        return Row.model_validate_json(line)
    except ValidationError as error:
        raise RowsUnreadableError(
            f"a row in {store.url} below {prefix} cannot be read ({unreadable(error)}): "
            f"{line[:120]!r}; was it written by a newer imgflow? Use that one, or delete the row files"
        ) from error
