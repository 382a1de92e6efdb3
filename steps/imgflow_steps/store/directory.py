"""A directory as a store: the same tree, the same order, the same faults as on S3."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from imgflow_steps.store import (
    ChangedError,
    DeniedError,
    KeyRefusedError,
    NotFoundError,
    StoredObject,
    StoreError,
    UnavailableError,
    UnreadableError,
    UnwritableError,
    leftovers,
    walk,
)
from imgflow_steps.store.arriving import FULL, arriving, filling
from imgflow_steps.store.names import unstorable
from imgflow_steps.store.versions import ETAG, etag_of, same, version_of

STALE = 24 * 3600  # seconds after which an unfinished file of another machine was left by a killed process
RACES = 50  # times that others may remove a folder between its making and its first file

LINKLESS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}  # of a file system that has no hard links
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
REFUSED = {errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EILSEQ}


class Directory:
    """See ``Store``. A write is atomic also when the process is killed; against power loss it is not flushed.

    Unfinished files lie in ``.tmp`` below the root, which no key can name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.url, self.server = os.fspath(self._root), ""
        self._swept = False

    def entries(self, prefix: str = "") -> Iterator[StoredObject]:
        """See ``Store``."""
        self._check_prefix(prefix)
        with self._faults(prefix):
            for key, status in walk.files(self.url, prefix):
                yield _object(key, status)

    def found(self, watch: walk.Watch) -> Iterator[StoredObject]:
        """All files, as ``entries`` gives them, of a folder that is somebody's own and may hold anything."""
        with self._faults(""):
            for key, status in walk.files(self.url, "", watch):
                yield _object(key, status)

    def folders(self, prefix: str = "") -> Iterator[str]:
        """See ``Store``; a folder without any file below it is none."""
        self._check_prefix(prefix)
        with self._faults(prefix):
            for name in walk.folders(self.url, prefix):
                if any(walk.files(self.url, f"{prefix}{name}/")):
                    yield name

    def stat(self, key: str) -> StoredObject | None:
        """See ``Store``."""
        path = self._path(key)
        with self._faults(key):
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _object(key, status) if stat.S_ISREG(status.st_mode) else None

    def read(self, key: str, version: str = "", size: int = -1) -> bytes:
        """See ``Store``."""
        with self._faults(key), self._opened(key, version) as file:
            data = file.read()
        if 0 <= size != len(data):
            raise ChangedError(f"{key!r} in {self.url} has {len(data)} bytes, not the {size} of its listing")
        return data

    def read_range(self, key: str, start: int, length: int, version: str = "") -> bytes:
        """See ``Store``."""
        with self._faults(key), self._opened(key, version) as file:
            file.seek(start)
            return file.read(length)

    def write(self, key: str, data: bytes, content_type: str = "") -> None:  # noqa: ARG002 - a file has no media type
        """See ``Store``."""
        with self._faults(key), self._placing(key) as part:
            part.write_bytes(data)

    def replace(
        self,
        key: str,
        data: bytes,
        version: str = "",
        content_type: str = "",  # noqa: ARG002 - as for write
    ) -> StoredObject:
        """See ``Store``. Where a file system knows no locks, only the first of several is told for certain."""
        path = self._path(key)
        with self._faults(key), self._part() as part, _alone(part.parent):
            part.write_bytes(data)
            there = self.stat(key)
            if (there.version if there else "") != version:
                raise ChangedError(f"{key!r} in {self.url} was replaced by somebody else; read it again")
            if there:
                part.replace(path)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    _place_first(part, path)
                except FileExistsError:
                    raise ChangedError(f"{key!r} in {self.url} was put there by somebody else; read it again") from None
            return _object(key, path.stat())

    def download(self, key: str, path: Path) -> None:
        """See ``Store``."""
        with (
            arriving(path) as part,
            self._faults(key),
            self._opened(key) as file,
            filling(path),
            part.open("xb") as copy,
        ):
            shutil.copyfileobj(file, copy, 1 << 20)

    def upload(self, path: Path, key: str, content_type: str = "") -> None:  # noqa: ARG002 - as for write
        """See ``Store``. The copy keeps the file's time of writing, by which it is known again."""
        with path.open("rb") as file, self._faults(key), self._placing(key) as part:
            status = os.fstat(file.fileno())
            with part.open("xb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            if not same(status, os.fstat(file.fileno())):
                raise ChangedError(f"{path} changed while it was copied to {key!r} in {self.url}; copy it again")
            os.utime(part, ns=(status.st_atime_ns, status.st_mtime_ns))

    def delete(self, keys: Iterable[str]) -> None:
        """See ``Store``. Folders that this leaves empty go as well."""
        for key in keys:
            path = self._path(key)
            with self._faults(key), suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
            with suppress(OSError):  # not empty, or not ours: it stays
                for folder in path.parents[: key.count("/")]:
                    folder.rmdir()

    def sweep(self, ended: str = "") -> None:
        """See ``Store``."""
        leftovers.sweep(self._root / walk.HIDDEN, ended=ended)

    def doubt(self) -> None:
        """See ``Store``; a file system is never asked twice."""

    def _path(self, key: str) -> Path:
        if why := unstorable(key):
            raise KeyRefusedError(f"{self.url} cannot hold {key!r}: {why}; rename it")
        if f"{key}/".startswith(walk.HIDDEN):
            raise KeyRefusedError(f"{self.url} cannot hold {key!r}: {walk.HIDDEN} is for unfinished files; rename it")
        return self._root / key

    def _check_prefix(self, prefix: str) -> None:
        if prefix:
            self._path(prefix.removesuffix("/"))

    @contextmanager
    def _opened(self, key: str, version: str = "") -> Iterator[IO[bytes]]:
        """The file at a key. Raises ChangedError when it is not that version, or not the same at the end."""
        path = self._path(key)
        try:
            file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - Path.open has no opener
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFoundError(f"there is no {key!r} in {self.url}") from None
        with file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotFoundError(f"{key!r} in {self.url} is a device or a pipe, not a file")
            if version and (now := _version_as(version, file, status)) != version:
                raise ChangedError(f"{key!r} in {self.url} is version {now}, no longer {version}")
            yield file
            if not same(status, os.fstat(file.fileno())):
                raise ChangedError(f"{key!r} in {self.url} changed while it was read; read it again")

    @contextmanager
    def _placing(self, key: str) -> Iterator[Path]:
        """A path to write to, which takes its place at the end."""
        path = self._path(key)
        with self._part() as part:
            yield part
            self._place(part, path)

    @contextmanager
    def _part(self) -> Iterator[Path]:
        """A path for what is not finished."""
        unfinished = self._root / walk.HIDDEN
        unfinished.mkdir(parents=True, exist_ok=True)
        self._sweep(unfinished)
        part = unfinished / leftovers.part()  # never the key's name, which may have all of its 255 bytes
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)

    def _place(self, part: Path, path: Path) -> None:
        raced: OSError
        for _ in range(RACES):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                part.replace(path)
            except (FileNotFoundError, FileExistsError) as error:  # a delete removed a folder that was just empty
                raced = error
            else:
                return
        raise raced

    def _sweep(self, unfinished: Path) -> None:
        """Once per store, remove what killed processes left behind."""
        if self._swept:
            return
        self._swept = True
        self.sweep()
        for part in unfinished.iterdir():
            with suppress(OSError):
                # a copy on its way has the time of its photograph, which may be years ago
                if not leftovers.of_this_machine(part.name) and part.stat().st_mtime < time.time() - STALE:
                    part.unlink()

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._fault(error, key) from error

    def _fault(self, error: OSError, key: str) -> StoreError:
        where = f" ({error.filename})" if error.filename else ""
        what = f"{self.url}: {key!r}: {error.strerror}{where}"
        if error.errno in DENIED:
            return DeniedError(f"{what}; give this user the right to do that")
        if error.errno in REFUSED:
            return KeyRefusedError(f"{what}; a name is too long, or is a file here and a folder there; rename it")
        if error.errno in FULL:
            return UnwritableError(f"{what}; free some space there, or raise the quota or `ulimit -f`")
        kind = UnreadableError if error.errno in walk.DAMAGED else UnavailableError
        return kind(f"{what}; check the disk")


def _object(key: str, status: os.stat_result) -> StoredObject:
    return StoredObject(
        key, version_of(status), status.st_size, placed=status.st_ctime
    )  # an upload keeps the file's mtime


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else is in here with the same folder, on this machine and, where the file system has locks, on others."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a network's file system may have none
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _place_first(part: Path, path: Path) -> None:
    """Where nothing lies, with a lock or without. Raises FileExistsError for all but the first of several."""
    try:
        path.hardlink_to(part)
    except OSError as error:
        if error.errno not in LINKLESS:
            raise
        path.touch(exist_ok=False)
        part.replace(path)
    else:
        part.unlink()


def _version_as(version: str, file: IO[bytes], status: os.stat_result) -> str:
    """What an open file's version is now, told in the same way as ``version``: by its status or its content."""
    if not ETAG.fullmatch(version):
        return version_of(status)
    now = etag_of(file)
    file.seek(0)
    return now


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # or opening a named pipe waits for a writer
