"""What tells one content of a key from another, and what a local file's would be."""

from __future__ import annotations

import hashlib
import os
import re
from typing import Protocol

PART = 16 << 20  # bytes sent to S3 at once, and held in memory per upload; larger files go up in several parts
ETAG = re.compile(r"[0-9a-f]{32}(-\d+)?")


class Readable(Protocol):
    """An open file, or what is read like one."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


def version_of(status: os.stat_result) -> str:
    """The version of a file in a directory: its size, when it was written and changed (ns), and its inode.

    Programs set the time of writing as they like, and nobody the time of change; another file has another inode.
    """
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def same(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether an open file has the bytes that it had. A name that it gains or loses is a change, but not of a byte.

    So whoever reads a file that is replaced meanwhile has read the old one, whole.
    """
    if before.st_nlink != after.st_nlink:
        return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return version_of(before) == version_of(after)


def copied(version: str) -> str:
    """What a copy in a directory shares with its file: size and time of writing. A version of S3 is as it is."""
    return version if ETAG.fullmatch(version) else "-".join(version.split("-")[:2])


def written(version: str) -> int:
    """When a file in a directory was written, in ns."""
    return int(version.split("-")[1])


def changed(version: str) -> int:
    """When a file in a directory was changed, in ns; 0 where its version does not say so."""
    parts = version.split("-")
    return int(parts[2]) if len(parts) > 2 else 0  # noqa: PLR2004 - the third of ``version_of``


def etag_of(file: Readable) -> str:
    """The version that the rest of a file has on S3 after an upload from here, unless the server encrypts."""
    parts = []
    while data := file.read(PART):
        parts.append(hashlib.md5(data, usedforsecurity=False))
    if len(parts) > 1:
        whole = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
        return f"{whole.hexdigest()}-{len(parts)}"
    return parts[0].hexdigest() if parts else hashlib.md5(b"", usedforsecurity=False).hexdigest()
