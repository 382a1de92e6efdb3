"""A local file that appears whole or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from imgflow_steps.store import UnwritableError, leftovers

UNFINISHED = ".imgflow-"  # what unfinished files begin with
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # EFBIG: of `ulimit -f`, or of the file system


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new path to write to, which takes the place of ``path`` at the end, or is gone after an error.

    It lies beside ``path`` and is never named after it: names may have all of their 255 bytes. A killed
    process leaves it behind, until the next one writes there, and ``path`` as it was. Raises OSError.
    """
    _sweep_once(path.parent)
    part = path.parent / f"{UNFINISHED}{leftovers.part()}.part"
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """As ``replacing``, for whoever copies from a store: raises UnwritableError when the file cannot be written."""
    try:
        with replacing(path) as part:
            yield part
    except OSError as error:
        raise _unwritable(path, error) from error


@lru_cache(maxsize=1024)
def _sweep_once(folder: Path) -> None:
    leftovers.sweep(folder, UNFINISHED)


@contextmanager
def filling(path: Path) -> Iterator[None]:
    """Where the other end of a copy may fail, too: that the disk is full is a fault of the one where ``path`` is."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UnwritableError:
    return UnwritableError(
        f"cannot write {path}: {error.strerror}; free some space there, or give this user the right to write"
    )
