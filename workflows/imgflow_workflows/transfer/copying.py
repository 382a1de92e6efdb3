"""Copy photographs from any source into a municipality's dataset. Started again, it goes on from where it was."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from imgflow_steps.records import keys
from imgflow_steps.records.admission import (
    BARE,
    EXCLUDED,
    HEAD,
    HIDDEN,
    Admission,
    begins_like_image,
    count,
    skipped_in_words,
)
from imgflow_steps.store import ChangedError, KeyRefusedError, Store, StoredObject, StoreError, UnreadableError
from imgflow_steps.store.arriving import FULL
from imgflow_steps.store.ranges import known_by_content
from imgflow_steps.store.threads import ahead, crew
from imgflow_steps.store.versions import changed, copied, etag_of
from imgflow_steps.store.web import NotFetchedError
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason, Skips
from imgflow_workflows.text import size

COPIES = 8  # files copied at the same time
AHEAD = 4  # copies waiting per thread, so that none is ever idle
THERE = -1  # what copying gives for what lies there already


class HarmedError(Exception):
    """A picture that a run made is not what lies in the store."""


# what was never meant to be copied is only counted
QUIET = frozenset({SkipReason.NOT_AN_IMAGE, SkipReason.HIDDEN, SkipReason.EXCLUDED, SkipReason.UNPROCESSED})
RULES = {HIDDEN: SkipReason.HIDDEN, EXCLUDED: SkipReason.EXCLUDED}
OWN: Mapping[type[Exception], SkipReason] = {  # faults of one file; others are the platform's
    KeyRefusedError: SkipReason.NAME,
    ChangedError: SkipReason.CHANGED,
    NotFetchedError: SkipReason.FETCHED,
    HarmedError: SkipReason.DAMAGED,
    UnreadableError: SkipReason.UNREADABLE,
}


@dataclass(frozen=True, slots=True)
class Photo:
    """One photograph of a source."""

    key: str  # where it is copied to
    path: str  # where it lies, as a person would look for it
    bytes: int  # 0 where only the copying tells
    version: str  # of the file, see ``version_of``; "" where whatever lies at its place will do
    present: Callable[[], StoredObject | None]  # what lies at its place
    file: Callable[[], AbstractContextManager[Path]]  # its bytes, for as long as the context lasts


class Source(Protocol):
    """Where photographs come from."""

    def photos(self, store: Store, municipality: str, refuse: Refuse) -> AbstractContextManager[Iterator[Photo]]:
        """Every photograph that ``municipality`` is to have, streaming; what is none is refused.

        A context that ends well ends when all of them are copied.

        Raises BadParametersError, before the first one is given, when the source as a whole cannot be used.
        """


@dataclass(slots=True)
class IngestSummary(Skips):
    """How far the copying is, and in the end how it went: numbers of files, and the bytes copied."""

    copied: int = 0
    present: int = 0  # lie there already, the same
    left_out: dict[str, int] = field(default_factory=dict)  # of the refused, what was never meant to be copied, by word
    bytes: int = 0

    def refuse(self, skipped: SkippedFile) -> None:
        """See ``Skips``."""
        Skips.refuse(self, skipped)
        if skipped.reason in QUIET:
            count(self.left_out, skipped.word)

    @property
    def others(self) -> dict[SkipReason, int]:
        """Of the refused, what was meant to be copied."""
        return {reason: number for reason, number in self.refused.items() if reason not in QUIET}

    def pace(self, seconds: float) -> float:
        """Images per second."""
        return (self.copied + self.present) / seconds if seconds else 0.0

    def in_words(self, seconds: float = 0.0) -> str:
        """How far it is, and its pace after so many seconds, in one line."""
        words = [f"{self.copied:,} copied ({size(self.bytes)})", f"{self.present:,} there already"]
        words += [f"{self.pace(seconds):,.0f} images/s"] if seconds else []
        words += [f"{skipped_in_words(self.left_out)} skipped"] if self.left_out else []
        return " · ".join([*words, *(f"{number:,} skipped: {reason}" for reason, number in self.others.items())])


def ingest(
    source: Source,
    store: Store,
    municipality: str,
    *,
    tell: Callable[[IngestSummary], None],
    workers: int = COPIES,
    checksum: bool = False,
) -> IngestSummary:
    """Copy every image of ``source`` to the dataset, under its name there; ``workers`` threads copy.

    A file that lies there already is not copied again: a directory store keeps a file's size and time of writing, as
    ``rsync -t`` does, and where the file changed after it was copied the content decides, as it always does with
    ``checksum``. On S3 the ETag is compared with the file's own MD5 (where the server encrypts, that never fits, and
    the file is copied again). Nothing is ever deleted, and memory does not grow with their number.
    ``tell`` is called after every file, in the thread that called.

    Raises BadParametersError when there is nothing to copy from, StoreError naming the file when the store fails.
    """
    summary = IngestSummary()
    with crew(workers, "ingest") as pool, source.photos(store, municipality, summary.refuse) as photos:
        for outcome in ahead(
            (pool.submit(_copy, store, photo, checksum=checksum) for photo in photos), workers * AHEAD
        ):
            _count(summary, outcome.result())
            tell(summary)
    return summary


def refused(rules: Admission, name: str, path: str, size: int) -> SkippedFile | None:
    """Why a file cannot be a photograph of a dataset, by its name and size alone; ``copy`` looks at its first bytes."""
    if word := rules.why_not(name):
        reason = RULES.get(word, SkipReason.NOT_AN_IMAGE)
        why = "its name has no image's suffix" if reason is SkipReason.NOT_AN_IMAGE else f"it is {word}"
        return SkippedFile(path, reason, why, word)
    if why := keys.problem(name):
        return SkippedFile(path, SkipReason.NAME, f"{why}; rename it")
    if not size:
        return SkippedFile(path, SkipReason.EMPTY, "it has no bytes; copy it again from where it comes")
    return None


def in_place(path: Path) -> Callable[[], AbstractContextManager[Path]]:
    """What ``Photo.file`` gives where the photograph is a file already."""
    return lambda: nullcontext(path)


@contextmanager
def passing(path: Path) -> Iterator[Path]:
    """A file that is there for its copy alone: it goes when that is made."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def itself(known: StoredObject | None) -> StoredObject | None:
    """What ``Photo.known`` gives where that is known already."""
    return known


def _copy(store: Store, photo: Photo, *, checksum: bool) -> SkippedFile | int:
    """How many bytes were copied, -1 when it lay there already, or why it cannot be."""
    try:
        known = photo.present()
        if known and not checksum and (not photo.version or is_known(known, photo)):
            return THERE
        with photo.file() as path:
            if keys.is_bare(photo.key) and not _begins_like_image(path):
                return SkippedFile(photo.path, SkipReason.NOT_AN_IMAGE, "it does not begin like an image", BARE)
            if known and _is_copy(store, known, path):
                return THERE
            store.upload(path, photo.key, mimetypes.guess_type(photo.key)[0] or "")
            return path.stat().st_size
    except (KeyRefusedError, ChangedError, NotFetchedError, HarmedError, UnreadableError) as error:
        return SkippedFile(photo.path, OWN[type(error)], str(error))
    except OSError as error:
        if error.errno in FULL:  # where an archive is unpacked: the others would not fit either
            raise
        why = f"{error.strerror or error}; make it readable and copy again"
        return SkippedFile(photo.path, SkipReason.UNREADABLE, why)
    except StoreError as error:
        raise type(error)(f"{photo.path} is not copied: {error}") from error


def _begins_like_image(path: Path) -> bool:
    with path.open("rb") as file:
        return begins_like_image(file.read(HEAD))


def is_known(known: StoredObject, photo: Photo) -> bool:
    """Whether what lies at a photograph's place was copied from it as it is now, by size and times."""
    same = (known.bytes, copied(known.version)) == (photo.bytes, copied(photo.version))
    return same and changed(photo.version) <= changed(known.version)


def _is_copy(store: Store, known: StoredObject, path: Path) -> bool:
    """The same by content."""
    if known.bytes != path.stat().st_size:
        return False
    with path.open("rb") as file:
        return etag_of(file) == known_by_content(store, known).version


def _count(summary: IngestSummary, outcome: SkippedFile | int) -> None:
    if isinstance(outcome, SkippedFile):
        summary.refuse(outcome)
    elif outcome == THERE:
        summary.present += 1
    else:
        summary.copied += 1
        summary.bytes += outcome
