"""All files below a directory in the order in which S3 lists keys, with memory that does not grow with them."""

from __future__ import annotations

import errno
import heapq
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from tempfile import TemporaryFile
from typing import IO

HIDDEN = ".tmp/"  # unfinished files, right below the root
LINK, SPECIAL, UNREADABLE = "links", "devices or pipes", "unreadable"  # words of ``Watch``
DAMAGED = {  # faults of one place of a disk, or of one file that a network or a cloud does not give back
    getattr(errno, name)
    for name in ("EIO", "EBADMSG", "EUCLEAN", "EREMOTEIO", "ENODATA", "ESTALE", "ELOOP", "ENXIO")
    if hasattr(errno, name)
}
PASSED = {errno.EACCES, errno.EPERM, *DAMAGED}  # with a ``Watch``
NAMES = 50_000  # names of one folder held in memory; more are sorted in runs on disk

Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Level:
    base: str  # "" or a folder's key with "/"
    identity: Identity
    names: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Watch:
    """How somebody's own folder is walked: what is not a file, may not be read or leads out of it is told, and passed.

    ``tell`` gets its key and one of ``LINK``, ``SPECIAL`` and ``UNREADABLE``. ``follow``: links may lead anywhere.
    """

    tell: Callable[[str, str], None]
    follow: bool = False


def files(root: str, prefix: str, watch: Watch | None = None) -> Iterator[tuple[str, os.stat_result]]:
    """Keys (relative, with "/") and status of all regular files whose key begins with ``prefix``.

    Sorted by the bytes of the whole key: a folder counts as its name with "/". Names that are not UTF-8
    come as ``os.fsdecode`` gives them. Links to files and folders are followed; a link back to a folder
    that the path already goes through is not, nor is one that leads nowhere. What vanishes meanwhile is
    left out. Raises OSError where a folder may not be read: an incomplete listing would lose images. With
    ``watch`` only the root has to be readable.
    """
    parts = prefix.split("/")[:-1]
    above = [_identity("/".join([root, *parts[:depth]])) for depth in range(len(parts))]
    top = "".join(f"{part}/" for part in parts)
    levels = [level] if (level := _enter(root, top, above)) else []
    while levels:
        level = levels[-1]
        name = next(level.names, None)
        if name is None:
            levels.pop()
            continue
        key = level.base + os.fsdecode(name)
        if not key.startswith(prefix) or key == HIDDEN:
            continue
        what = _looked(root, key, above, levels, watch)
        if isinstance(what, _Level):
            levels.append(what)
        elif what:
            yield key, what


def _looked(
    root: str, key: str, above: Sequence[Identity | None], levels: Sequence[_Level], watch: Watch | None
) -> _Level | os.stat_result | None:
    """The folder or file at a key; None where there is neither, which is told."""
    try:
        if watch and not watch.follow and _leads_out(f"{root}/{key}", root):
            watch.tell(key, LINK)
            return None
        if key.endswith("/"):
            deeper = _enter(root, key, [*above, *(one.identity for one in levels)])
            if watch and not deeper and _is_link(f"{root}/{key}"):  # back to a folder that the path goes through
                watch.tell(key, LINK)
            return deeper
        status = _status(f"{root}/{key}")
    except OSError as error:
        if not watch or error.errno not in PASSED:
            raise
        watch.tell(key, UNREADABLE)
        return None
    if status and stat.S_ISREG(status.st_mode):
        return status
    if watch:
        watch.tell(key, SPECIAL if status else LINK)
    return None


def _leads_out(path: str, root: str) -> bool:
    """Whether a path is a link to what does not lie below ``root``."""
    return _is_link(path) and not f"{os.path.realpath(path)}/".startswith(f"{os.path.realpath(root)}/")


def _is_link(path: str) -> bool:
    return os.path.islink(path.rstrip("/"))  # noqa: PTH114 - a Path each for millions of files is slow


def folders(root: str, base: str) -> Iterator[str]:
    """Names of the folders right below ``base`` ("" or ending with "/"), sorted as ``files`` sorts."""
    if level := _enter(root, base, []):
        for name in level.names:
            if name.endswith(b"/") and base + os.fsdecode(name) != HIDDEN:
                yield os.fsdecode(name[:-1])


def _enter(root: str, base: str, above: Sequence[Identity | None]) -> _Level | None:
    path = f"{root}/{base}"
    identity = _identity(path)
    if identity is None or identity in above:
        return None
    try:
        return _Level(base, identity, _sorted(_names(path)))
    except (FileNotFoundError, NotADirectoryError):
        return None


def _names(path: str) -> Iterator[bytes]:
    with os.scandir(os.fsencode(path)) as found:
        for entry in found:
            yield entry.name + b"/" if _is_folder(entry) else entry.name


def _sorted(names: Iterator[bytes]) -> Iterator[bytes]:
    """All names are read at once, so that no folder stays open; those beyond the first many wait on disk."""
    first = sorted(islice(names, NAMES))
    if len(first) < NAMES:
        return iter(first)
    runs = [_spill(first)]
    while run := sorted(islice(names, NAMES)):
        runs.append(_spill(run))
    return heapq.merge(*map(_read_back, runs))


def _spill(names: list[bytes]) -> IO[bytes]:
    file = TemporaryFile(prefix="imgflow-")  # noqa: SIM115 - _read_back closes it
    for name in names:
        file.write(len(name).to_bytes(2, "big") + name)
    return file


def _read_back(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while head := file.read(2):
            yield file.read(int.from_bytes(head, "big"))


def _is_folder(entry: os.DirEntry[bytes]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - a Path each for millions of files is slow
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            return None
        raise


def _identity(path: str) -> Identity | None:
    status = _status(path)
    return (status.st_dev, status.st_ino) if status else None
