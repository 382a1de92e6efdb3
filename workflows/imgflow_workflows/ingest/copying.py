"""Copy photographs from any source into a municipality's dataset. Started again, it goes on from where it was."""

from __future__ import annotations

import mimetypes
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from imgflow_steps import keys
from imgflow_steps.store import ChangedError, Found, KeyRefusedError, Store, StoreError
from imgflow_steps.store.versions import ETAG, etag_of
from imgflow_workflows.crew import ahead, crew
from imgflow_workflows.ingest.web import NotFetchedError

COPIES = 8  # files copied at the same time
AHEAD = 4  # copies waiting per thread, so that none is ever idle
THERE = -1  # what copying gives for what lies there already
SHOWN = 100  # refusals kept with their words; beyond that they are only counted


class Reason(StrEnum):
    """Why a file was not copied."""

    NOT_AN_IMAGE = "not an image"
    NAME = "impossible name"
    EMPTY = "empty file"
    LINK = "link in an archive"
    MISSING = "missing file"
    ROW = "unreadable row"
    UNREADABLE = "unreadable"
    FETCHED = "not fetched"
    CHANGED = "changed while it was copied"


OWN: Mapping[type[Exception], Reason] = {  # faults of one file; others are the platform's
    KeyRefusedError: Reason.NAME,
    ChangedError: Reason.CHANGED,
    NotFetchedError: Reason.FETCHED,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One file that was not copied; ``path`` is as the source names it, ``message`` says more than the reason."""

    path: str
    reason: Reason
    message: str


Refuse = Callable[[Refusal], None]


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph of a source."""

    key: str  # where it is copied to
    path: str  # where it lies, as a person would look for it
    bytes: int  # 0 where only the copying tells
    version: str  # that a copy has in a directory store; "" where whatever lies at its place will do
    known: Callable[[], Found | None]  # what lies at its place
    file: Callable[[], AbstractContextManager[Path]]  # its bytes, for as long as the context lasts


class Source(Protocol):
    """Where photographs come from."""

    def photos(self, store: Store, municipality: str, refuse: Refuse) -> AbstractContextManager[Iterator[Photo]]:
        """Every photograph that ``municipality`` is to have, streaming; what is none is refused.

        A context that ends well ends when all of them are copied.

        Raises BadParametersError, before the first one is given, when the source as a whole cannot be used.
        """


@dataclass(slots=True)
class IngestProgress:
    """How far the copying is: numbers of files, and the bytes copied."""

    copied: int = 0
    present: int = 0  # lie there already, the same
    refused: Counter[Reason] = field(default_factory=Counter)
    bytes: int = 0


@dataclass(slots=True)
class IngestSummary(IngestProgress):
    """How it ended, with the first refusals in words."""

    refusals: list[Refusal] = field(default_factory=list)

    def refuse(self, refusal: Refusal) -> None:
        """Count one, and keep the words of the first ones."""
        self.refused[refusal.reason] += 1
        if len(self.refusals) < SHOWN:
            self.refusals.append(refusal)


def ingest(
    source: Source,
    store: Store,
    municipality: str,
    *,
    tell: Callable[[IngestProgress], None],
    workers: int = COPIES,
) -> IngestSummary:
    """Copy every image of ``source`` to the dataset, under its name there; ``workers`` threads copy.

    A file that lies there already is not copied again: a directory store keeps a file's size and time, as
    ``rsync -t`` does, and on S3 the ETag is compared with the file's own MD5 (where the server encrypts, that
    never fits, and the file is copied again). Nothing is ever deleted, and memory does not grow with their number.
    ``tell`` is called after every file, in the thread that called.

    Raises BadParametersError when there is nothing to copy from, StoreError naming the file when the store fails.
    """
    summary = IngestSummary()
    with crew(workers, "ingest") as pool, source.photos(store, municipality, summary.refuse) as photos:
        for outcome in ahead((pool.submit(_copy, store, photo) for photo in photos), workers * AHEAD):
            _count(summary, outcome.result())
            tell(summary)
    return summary


def refused(name: str, path: str, size: int) -> Refusal | None:
    """Why a file cannot be a photograph of a dataset, by its name and size alone."""
    if not keys.is_image(name):
        return Refusal(path, Reason.NOT_AN_IMAGE, "its name has no image's suffix")
    if why := keys.problem(name):
        return Refusal(path, Reason.NAME, f"{why}; rename it")
    if not size:
        return Refusal(path, Reason.EMPTY, "it has no bytes; copy it again from where it comes")
    return None


def in_place(path: Path) -> Callable[[], AbstractContextManager[Path]]:
    """What ``Photo.file`` gives where the photograph is a file already."""
    return lambda: nullcontext(path)


def itself(known: Found | None) -> Found | None:
    """What ``Photo.known`` gives where that is known already."""
    return known


def _copy(store: Store, photo: Photo) -> Refusal | int:
    """How many bytes were copied, -1 when it lay there already, or why it cannot be."""
    try:
        known = photo.known()
        if known and (not photo.version or (known.bytes, known.version) == (photo.bytes, photo.version)):
            return THERE
        with photo.file() as path:
            if known and _is_copy(known, photo, path):
                return THERE
            store.upload(path, photo.key, mimetypes.guess_type(photo.key)[0] or "")
            return path.stat().st_size
    except (KeyRefusedError, ChangedError, NotFetchedError) as error:
        return Refusal(photo.path, OWN[type(error)], str(error))
    except OSError as error:
        return Refusal(photo.path, Reason.UNREADABLE, f"{error.strerror or error}; make it readable and copy again")
    except StoreError as error:
        raise type(error)(f"{photo.path} is not copied: {error}") from error


def _is_copy(known: Found, photo: Photo, path: Path) -> bool:
    if known.bytes != photo.bytes or not ETAG.fullmatch(known.version):
        return False
    with path.open("rb") as file:
        return etag_of(file) == known.version


def _count(summary: IngestSummary, outcome: Refusal | int) -> None:
    if isinstance(outcome, Refusal):
        summary.refuse(outcome)
    elif outcome == THERE:
        summary.present += 1
    else:
        summary.copied += 1
        summary.bytes += outcome
