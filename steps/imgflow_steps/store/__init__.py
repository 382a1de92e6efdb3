"""One small interface over a directory and over S3: keys in, bytes out, every fault by its name.

Whatever opens a store gets the same behaviour from both. Importing this module loads neither minio nor urllib3.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from imgflow_steps.contract.redaction import has_user, redacted
from imgflow_steps.contract.step import BadParametersError

PATIENCE = "IMGFLOW_STORE_PATIENCE"  # seconds for which a pod waits for a server that is away; nobody else does


class StoreError(Exception):
    """The platform failed, never an image; the message says which store and key, and what to do."""


class NotFoundError(StoreError):
    """Nothing lies at this key."""


class ChangedError(StoreError):
    """What lies at this key is another version than the one asked for."""


class DeniedError(StoreError):
    """The store is there and refuses: rights, credentials, or a bucket that does not exist. Trying again is no use."""


class UnavailableError(StoreError):
    """The store does not answer, or not properly, after all retries. Later it may."""


class SilentError(UnavailableError):
    """The store cannot be reached, or says nothing; whatever else is asked of it now would wait as long."""


class UnwritableError(UnavailableError):
    """A disk or a server is full, or a file of this machine cannot be written: asking again is no use."""


class UnreadableError(UnavailableError):
    """What lies at this key cannot be read; the rest of the store may be well: a disk with a damaged place."""


class DamagedError(StoreError):
    """The store answers, and what it holds at some key is damaged or of another version: asking again is no use."""


class KeyRefusedError(StoreError):
    """This store cannot hold such a key."""


# What may keep a store from giving or taking one object, and not others.
OF_ONE = (NotFoundError, ChangedError, DeniedError, UnreadableError, KeyRefusedError)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object of a listing; ``version`` changes whenever its content does."""

    key: str
    version: str  # the ETag on S3, size and time of change in a directory
    bytes: int
    placed: float = field(
        default=0.0, compare=False
    )  # when it came here, by the store's clock: seconds since the epoch


class Store(Protocol):
    """Objects by key. Safe to use from any number of threads; every other process opens its own.

    Every method raises StoreError's subclasses. A key is refused that not every store could hold
    (see ``keys.unstorable``), so what works in a directory works on S3.
    """

    url: str  # opens the same store again; never holds a secret
    server: str  # whose bucket it is; "" for a directory

    def entries(self, prefix: str = "") -> Iterator[StoredObject]:
        """All objects whose key begins with ``prefix``, sorted by the UTF-8 bytes of the key, streaming."""

    def folders(self, prefix: str = "") -> Iterator[str]:
        """What follows ``prefix`` ("" or ending with "/") up to the next "/", each once, sorted as ``entries``."""

    def stat(self, key: str) -> StoredObject | None:
        """The object at a key, or None."""

    def read(self, key: str, version: str = "", size: int = -1) -> bytes:
        """The whole object, in one request; with a version, exactly that one or ChangedError.

        What comes is compared with the store's own checksum of it, where there is one, and with ``size``, its bytes in
        a listing. Raises UnreadableError when it never fits.
        """

    def read_range(self, key: str, start: int, length: int, version: str = "") -> bytes:
        """Up to ``length`` bytes from ``start``, which lies inside the object; fewer at its end. Else as ``read``."""

    def write(self, key: str, data: bytes, content_type: str = "") -> None:
        """Put an object. Readers see the old one or the new one, never a part."""

    def replace(self, key: str, data: bytes, version: str = "", content_type: str = "") -> StoredObject:
        """Put an object in place of that version, or where nothing lies yet; of several who try one succeeds.

        Raises ChangedError when something else lies there.
        """

    def download(self, key: str, path: Path) -> None:
        """Copy an object to a local file, which appears whole or not at all; memory stays flat."""

    def upload(self, path: Path, key: str, content_type: str = "") -> None:
        """Copy a local file to an object, as ``write`` does; memory stays flat.

        Raises OSError when the file cannot be read, ChangedError when it changes meanwhile.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are fine."""

    def doubt(self) -> None:
        """Another process has found it silent: until it answers, ask once and briefly, unless nobody waits."""

    def sweep(self, ended: str = "") -> None:
        """Remove what processes of this machine, or of the container that has ``ended``, left when they were killed."""


def open_store(url: str) -> Store:
    """The store at ``./dir``, ``/dir``, ``file:///dir`` or ``s3://bucket[/prefix]``; its keys are relative to it.

    A directory is made when it is first written to. For S3 the environment says where and who; ``docs/store.md`` lists
    the means. Nothing is asked of the server yet.
    Raises BadParametersError when the address or these settings cannot be.
    """
    return _open(url, source=False)


def open_source(url: str) -> Store:
    """The same for photographs that a run reads where they are, which may be at a server of their own."""
    return _open(url, source=True)


def _open(url: str, *, source: bool) -> Store:
    if has_user(url):
        raise BadParametersError(
            f"{redacted(url)!r}: the address of a store holds no user and no password; "
            "give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    if url.startswith("s3://"):
        from imgflow_steps.store import lean  # noqa: PLC0415 - what only S3 needs

        with lean.without_admin():
            from imgflow_steps.store.s3 import S3  # noqa: PLC0415 - loads minio
            from imgflow_steps.store.settings import S3Settings  # noqa: PLC0415 - likewise

        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        return S3(bucket, prefix, S3Settings.from_environment(os.environ, source=source))
    from imgflow_steps.store.directory import Directory  # noqa: PLC0415 - it needs the names above

    return Directory(_local(url))


def inside(store: Store, outer: Store) -> str | None:
    """What a store's keys begin with in an outer one that holds it: "" where both are the same; None elsewhere."""
    if store.server != outer.server:
        return None
    mine, theirs = (f"{s.url if s.url.startswith('s3://') else Path(s.url).resolve()}/" for s in (store, outer))
    return mine.removeprefix(theirs) if mine.startswith(theirs) else None


def _local(url: str) -> Path:
    kinds = "./dir, /dir, file:///dir or s3://bucket/prefix"
    if not url:
        raise BadParametersError(f"no store is given; set IMGFLOW_STORE to one of {kinds}")
    if "\0" in url:
        raise BadParametersError("a store's address holds no NUL character")
    if url.startswith("file:"):
        parts = urlsplit(url)
        if parts.netloc not in {"", "localhost"} or not url.startswith("file:/") or parts.query or parts.fragment:
            raise BadParametersError(f"{url!r} names no directory of this machine; write file:///dir")
        return Path(unquote(parts.path))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
        scheme = url.partition(":")[0]
        raise BadParametersError(f"{scheme}: addresses no kind of store that imgflow knows; a store is {kinds}")
    return expanded(url)


def expanded(path: str) -> Path:
    """A path of this machine whose ~ is a home directory. Raises BadParametersError where there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadParametersError(f"{path}: there is no such home directory; write the path without ~") from None
