"""Copy photographs from a directory into a municipality's dataset. Started again, it goes on from where it was."""

from __future__ import annotations

import mimetypes
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from imgflow_steps import keys
from imgflow_steps.contract import BadParametersError
from imgflow_steps.store import ChangedError, Found, KeyRefusedError, Store, StoreError, open_store
from imgflow_steps.store.versions import ETAG, etag_of

AHEAD = 4  # copies waiting per thread, so that none is ever idle
SHOWN = 100  # refusals kept with their words; beyond that they are only counted


class Reason(StrEnum):
    """Why a file was not copied."""

    NOT_AN_IMAGE = "not an image"
    NAME = "impossible name"
    EMPTY = "empty file"
    UNREADABLE = "unreadable"
    CHANGED = "changed while it was copied"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One file that was not copied; ``path`` is below the source, ``message`` says more than the reason."""

    path: str
    reason: Reason
    message: str


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


def ingest(
    source: Path, store: Store, municipality: str, *, workers: int, tell: Callable[[IngestProgress], None]
) -> IngestSummary:
    """Copy every image below ``source`` to the dataset, under its path there; ``workers`` threads copy.

    A file that lies there already is not copied again: a directory store keeps a file's size and time, as
    ``rsync -t`` does, and on S3 the ETag is compared with the file's own MD5 (where the server encrypts, that
    never fits, and the file is copied again). Nothing is ever deleted. Both sides are listed in the same order
    and walked together, so memory does not grow with their number. ``tell`` is called after every file, in the
    thread that called.

    Raises BadParametersError when there is nothing to copy from, StoreError naming the file when the store fails.
    """
    prefix = keys.images(municipality)
    skipped = _check(source, store, prefix)
    summary = IngestSummary()
    photos = _photos(source, skipped, summary)
    there = store.entries(prefix)
    with ThreadPoolExecutor(workers, thread_name_prefix="ingest") as pool:

        def copy(pair: tuple[Found, Found | None]) -> Future[Refusal | bool]:
            return pool.submit(_copy, source, store, prefix, *pair)

        try:
            for photo, outcome in _in_flight(copy, _join(photos, there, prefix), workers * AHEAD):
                _count(summary, photo, outcome)
                tell(summary)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return summary


def _check(source: Path, store: Store, prefix: str) -> str:
    """What to leave out below ``source``: the store, when it lies there (``imgflow ingest .``)."""
    if not source.is_dir():
        raise BadParametersError(f"{source} is not a directory; give the one that holds the photographs")
    if store.url.startswith("s3://"):
        return ""
    below, root = source.resolve(), Path(store.url).resolve()
    if root != below and root.is_relative_to(below):
        return f"{root.relative_to(below).as_posix()}/"
    target = root / prefix
    if target.is_relative_to(below) or below.is_relative_to(target):
        raise BadParametersError(f"{source} and the dataset {target} hold each other; give another directory")
    return ""


def _photos(source: Path, skipped: str, summary: IngestSummary) -> Iterator[Found]:
    for found in open_store(str(source.absolute())).entries():
        if skipped and found.key.startswith(skipped):
            continue
        if not keys.is_image(found.key):
            _refuse(summary, Refusal(found.key, Reason.NOT_AN_IMAGE, "its name has no image's suffix"))
        elif why := keys.problem(found.key):
            _refuse(summary, Refusal(found.key, Reason.NAME, f"{why}; rename it"))
        elif not found.bytes:
            _refuse(summary, Refusal(found.key, Reason.EMPTY, "it has no bytes; copy it again from where it comes"))
        else:
            yield found


def _join(photos: Iterable[Found], there: Iterator[Found], prefix: str) -> Iterator[tuple[Found, Found | None]]:
    """Each photograph with what lies at its place, if anything; both sorted, and all names Unicode."""
    known = next(there, None)
    for photo in photos:
        key = prefix + photo.key
        while known and known.key < key:
            known = next(there, None)
        yield photo, known if known and known.key == key else None


def _in_flight(
    copy: Callable[[tuple[Found, Found | None]], Future[Refusal | bool]],
    pairs: Iterable[tuple[Found, Found | None]],
    limit: int,
) -> Iterator[tuple[Found, Refusal | bool]]:
    waiting: deque[tuple[Found, Future[Refusal | bool]]] = deque()
    for pair in pairs:
        waiting.append((pair[0], copy(pair)))
        if len(waiting) >= limit:
            photo, future = waiting.popleft()
            yield photo, future.result()
    for photo, future in waiting:
        yield photo, future.result()


def _copy(source: Path, store: Store, prefix: str, photo: Found, known: Found | None) -> Refusal | bool:
    """Whether it was copied (or lay there already), or why it cannot be."""
    path = source / photo.key
    try:
        if known and _is_copy(known, photo, path):
            return False
        store.upload(path, prefix + photo.key, mimetypes.guess_type(photo.key)[0] or "")
    except KeyRefusedError as error:
        return Refusal(photo.key, Reason.NAME, str(error))
    except ChangedError as error:
        return Refusal(photo.key, Reason.CHANGED, str(error))
    except OSError as error:
        return Refusal(photo.key, Reason.UNREADABLE, f"{error.strerror or error}; make it readable and copy again")
    except StoreError as error:
        raise type(error)(f"{path} is not copied: {error}") from error
    return True


def _is_copy(known: Found, photo: Found, path: Path) -> bool:
    if known.bytes != photo.bytes:
        return False
    if known.version == photo.version:
        return True
    if not ETAG.fullmatch(known.version):
        return False
    with path.open("rb") as file:
        return etag_of(file) == known.version


def _count(summary: IngestSummary, photo: Found, outcome: Refusal | bool) -> None:
    if isinstance(outcome, Refusal):
        _refuse(summary, outcome)
    elif outcome:
        summary.copied += 1
        summary.bytes += photo.bytes
    else:
        summary.present += 1


def _refuse(summary: IngestSummary, refusal: Refusal) -> None:
    summary.refused[refusal.reason] += 1
    if len(summary.refusals) < SHOWN:
        summary.refusals.append(refusal)
