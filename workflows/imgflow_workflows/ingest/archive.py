"""A zip or a tar of photographs, never unpacked as a whole and never by its own paths."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import tarfile
import time
import zipfile
import zlib
from calendar import timegm
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from stat import S_IFMT, S_ISLNK, S_ISREG
from typing import IO

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.admission import ADMISSION, Admission
from imgflow_steps.store import Store, names
from imgflow_steps.store.arriving import FULL
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.ingest.names import ANY, spool
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.transfer.copying import Photo, is_known, itself, passing, refused

RATIO = 100  # times that an archive may grow when it is unpacked; photographs hardly do
ENCRYPTED = 1  # flag of a zip's member
PACKED = "it is a link, a device or a pipe, not a file; pack files themselves"
SMALL = 256 << 20  # bytes up to which it may grow as it likes
COMPRESSED = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\x1f\x9d": "compress", b"LZIP": "lzip"}
END_OF_ZIP, COMMENT = 22, 65535  # bytes of the last record of a zip, and of the comment in it at most
PADDING = 8 << 20  # bytes behind the end of a tar, in which another one is looked for
LATEST = 1 << 33  # seconds since the epoch, in the year 2242: what file systems can write down
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    UnicodeDecodeError,  # a zip says that a name is UTF-8, and it is not
)


def archive_kind(path: Path) -> str:
    """``zip`` or ``tar``, by a file's content or else its name, or "" for neither."""
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        return "zip"
    return "tar" if _is_tar(path) or ".tar" in path.name.lower() else ""


def _unread(path: Path) -> str:
    """How a file is compressed, where that is a way that nothing here unpacks; else ""."""
    with path.open("rb") as file:
        head = file.read(8)
    return next((kind for mark, kind in COMPRESSED.items() if head.startswith(mark)), "")


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except EOFError:  # compressed, and it breaks off: reading it will say so
        return True


@dataclass(frozen=True, slots=True)
class Zip:
    """The members of a zip, by their names."""

    path: Path
    rules: Admission = ADMISSION

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``."""
        with _readable(self.path):
            archive = zipfile.ZipFile(self.path)
        with archive, _folder() as folder:
            members = [one for one in archive.infolist() if not one.filename.endswith(("/", "\\"))]
            self._check(members)
            yield self._photos(archive, members, folder, store, keys.images(municipality), refuse)

    def _check(self, members: list[zipfile.ZipInfo]) -> None:
        if _follows_another(self.path, min((member.header_offset for member in members), default=0)):
            raise BadParametersError(
                f"{self.path} holds a zip behind another one; take them apart and ingest each; nothing was copied"
            )
        limit, seen = Limit(self.path), set[str]()
        for member in members:
            name = _slashed_name(member)
            _check_name(self.path, name)
            limit.add(member.file_size)
            if member.flag_bits & ENCRYPTED:
                raise BadParametersError(f"{self.path} is encrypted ({name}); unpack it first")
            if _plain(name) in seen:
                raise BadParametersError(f"{self.path} holds {name} twice; nothing was copied")
            seen.add(_plain(name))

    def _photos(
        self,
        archive: zipfile.ZipFile,
        members: list[zipfile.ZipInfo],
        folder: Path,
        store: Store,
        prefix: str,
        refuse: Refuse,
    ) -> Iterator[Photo]:
        for number, member in enumerate(members):
            name, size = _plain(_slashed_name(member)), member.file_size
            if refusal := refused(self.rules, name, name, size):
                refuse(refusal)
                continue
            if not S_ISREG(mode := member.external_attr >> 16) and S_IFMT(mode):
                refuse(SkippedFile(name, SkipReason.LINK if S_ISLNK(mode) else SkipReason.SPECIAL, PACKED))
                continue
            stamp = _zip_time(member)
            opened = partial(archive.open, member)
            yield Photo(
                key=prefix + name,
                path=f"{self.path}: {name}",
                bytes=size,
                version=_version(self.path, size, stamp),
                present=partial(store.stat, prefix + name),
                file=partial(_unpacked, folder / str(number), opened, stamp),
            )


@dataclass(frozen=True, slots=True)
class Tar:
    """The members of a tar, compressed or not: read twice from its beginning to its end."""

    path: Path
    rules: Admission = ADMISSION
    checksum: bool = False  # all of it is compared with what was copied

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``."""
        with _readable(self.path):
            if kind := _unread(self.path):
                raise BadParametersError(
                    f"{self.path} is compressed with {kind}; pack it as .tar.gz, or unpack it first"
                )
            self._check()
            archive = tarfile.open(self.path)  # noqa: SIM115 - it is closed below
        with archive, _folder() as folder:
            yield self._photos(archive, folder, store, keys.images(municipality), refuse)

    def _check(self) -> None:
        limit = Limit(self.path)
        with tarfile.open(self.path) as archive, spool() as kept:
            for member in _members(archive):
                _check_name(self.path, member.name)
                limit.add(member.size)
                kept.add(_plain(member.name), f"{member.name} at byte {member.offset}", member.size, "")

    def _photos(
        self, archive: tarfile.TarFile, folder: Path, store: Store, prefix: str, refuse: Refuse
    ) -> Iterator[Photo]:
        """Members are unpacked here, not where they are copied: a tar has no other order than its own."""
        for number, member in enumerate(_members(archive)):
            name = _plain(member.name)
            if not member.isreg() and not self.rules.why_not(name):
                refuse(SkippedFile(name, SkipReason.LINK, _why(member)) if _is_link(member) else _special(name))
                continue
            if refusal := refused(self.rules, name, name, member.size):
                refuse(refusal)
                continue
            stamp = _tar_time(member)
            version = _version(self.path, member.size, stamp)
            path, known = folder / str(number), store.stat(prefix + name)
            photo = Photo(
                key=prefix + name,
                path=f"{self.path}: {name}",
                bytes=member.size,
                version=version,
                present=partial(itself, known),
                file=partial(passing, path),
            )
            if self.checksum or not known or not is_known(known, photo):
                _unpack(path, partial(_opened, archive, member), stamp)
            yield photo


@dataclass(slots=True)
class Limit:
    """How much an archive may hold, by its own size."""

    path: Path
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count a member. Raises BadParametersError when all of them are too much."""
        self.bytes += size
        if self.bytes > max(SMALL, RATIO * self.path.stat().st_size):
            raise BadParametersError(
                f"{self.path} would grow to over {RATIO} times its size, as no photographs do (a zip bomb?); "
                "nothing was copied. Unpack it yourself if it is right, and ingest the folder"
            )


@contextmanager
def _folder() -> Iterator[Path]:
    with temporary() as name:  # Ctrl-C leaves threads
        yield Path(name)


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """All but its folders one after the other; those passed are forgotten, or memory would grow with their number."""
    while member := archive.next() or _of_another(archive):
        if not member.isdir():
            yield member
        archive.members = []  # type: ignore[attr-defined]  # what TarFile keeps of every member it has seen


def _of_another(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The first member of a tar that follows the end of this one, as ``cat`` lays them; None where none does.

    Raises ReadError where this one has not come to its end: what TarFile cannot read of it is an end to it, too.
    """
    end = archive.offset
    if any(last := _block(archive, end)) or len(last) % tarfile.BLOCKSIZE:
        raise tarfile.ReadError(f"there is no member of it at byte {end:,}, and it does not end there")
    for place in range(end, end + PADDING, tarfile.BLOCKSIZE):
        try:
            block = _block(archive, place)
        except gzip.BadGzipFile as error:
            if "Not a gzipped file" in str(error):  # but something that somebody has put behind one
                return None
            raise  # it is compared with its checksum when it is read to its end
        if not block:
            return None
        if any(block):
            try:
                tarfile.TarInfo.frombuf(block, tarfile.ENCODING, ANY)
            except tarfile.HeaderError:  # it is no tar: some programs fill up with anything
                return None
            archive.offset = place
            return archive.next()
    return None


def _block(archive: tarfile.TarFile, place: int) -> bytes:
    assert archive.fileobj  # noqa: S101 - narrows the type: it is open
    archive.fileobj.seek(place)
    return archive.fileobj.read(tarfile.BLOCKSIZE)


def _is_link(member: tarfile.TarInfo) -> bool:
    return member.issym() or member.islnk()


def _why(member: tarfile.TarInfo) -> str:
    return f"it is a link to {member.linkname}; pack files themselves (tar --dereference --hard-dereference)"


def _special(name: str) -> SkippedFile:
    return SkippedFile(name, SkipReason.SPECIAL, PACKED)


def _follows_another(path: Path, start: int) -> bool:
    """Whether a zip that begins at this byte of a file lies right behind the end of another one.

    Of a damaged zip the beginning may be told to lie in front of its file.
    """
    if start <= 0:
        return False
    with path.open("rb") as file:
        file.seek(max(0, start - END_OF_ZIP - COMMENT))
        before = file.read(min(start, END_OF_ZIP + COMMENT))
    end = before[before.rfind(b"PK\5\6") :]
    return before.count(b"PK\5\6") > 0 and len(end) == END_OF_ZIP + int.from_bytes(end[20:22], "little")


def _zip_time(member: zipfile.ZipInfo) -> int:
    """When a member was changed, as a file's time (ns); 0 where it says none, and zeros for month and day."""
    try:
        return timegm((*member.date_time, 0, 0, 0)) * 10**9
    except ValueError:
        return 0


def _tar_time(member: tarfile.TarInfo) -> int:
    """The same; 0 for what is no time: a header may say ``nan``, ``inf`` or any number."""
    return int(member.mtime) * 10**9 if abs(member.mtime) < LATEST else 0


def _version(path: Path, size: int, stamp: int) -> str:
    """A member's, as ``version_of`` gives a file's: it changed when its archive did."""
    return f"{size}-{stamp}-{path.stat().st_ctime_ns}"


def _plain(name: str) -> str:
    """A member's name as that of a file below a folder: some programs write ``./a``, ``a//b`` or ``a/./b``."""
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _slashed_name(member: zipfile.ZipInfo) -> str:
    """A member's name; some programs of Windows write it with backslashes, which the format does not know."""
    return member.filename.replace("\\", "/")


def _check_name(path: Path, name: str) -> None:
    if name.startswith("/") or ".." in name.split("/") or "\\" in name:
        raise BadParametersError(
            f"{path} holds {name!r}, which is outside of it; the archive may be malicious, and nothing was copied"
        )
    if (why := names.unstorable(_plain(name))) and "UTF-8" in why:
        raise BadParametersError(f"{path} holds {name!r}: {why}; pack it again with names in UTF-8")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGED as error:
        if _full(error):
            raise
        first = str(error).partition("\n")[0].rstrip(":")  # tarfile tells all ways in which it did not work
        raise BadParametersError(f"{path} is damaged: {first}; copy it again from where it comes") from error


def _full(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in FULL


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = archive.extractfile(member)
    if not file:
        raise tarfile.ReadError(f"{member.name} has no content")
    return file


def _unpack(path: Path, opened: partial[IO[bytes]], stamp: int) -> None:
    """Write a member to ``path`` with its own time (ns), so that its copy is known again."""
    with opened() as member, path.open("xb") as file:
        shutil.copyfileobj(member, file, 1 << 20)
    os.utime(path, ns=(time.time_ns(), stamp))


@contextmanager
def _unpacked(path: Path, opened: partial[IO[bytes]], stamp: int) -> Iterator[Path]:
    """A member as a file. Raises OSError where it is damaged, its own fault alone, or the disk is full."""
    try:
        try:
            _unpack(path, opened, stamp)
        except DAMAGED as error:
            if _full(error):
                raise
            raise OSError(f"it is damaged inside of the archive ({error})") from error
        yield path
    finally:
        path.unlink(missing_ok=True)
