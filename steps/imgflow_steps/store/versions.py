"""What tells one content of a key from another, and what a local file's would be."""

from __future__ import annotations

import hashlib
import os
import re
from typing import BinaryIO

PART = 16 << 20  # bytes sent to S3 at once, and held in memory per upload; larger files go up in several parts
ETAG = re.compile(r"[0-9a-f]{32}(-\d+)?")


def version_of(status: os.stat_result) -> str:
    """The version of a file in a directory: a change of content changes its size or its time."""
    return f"{status.st_size}-{status.st_mtime_ns}"


def etag_of(file: BinaryIO) -> str:
    """The version that the rest of a file has on S3 after an upload from here, unless the server encrypts."""
    parts = []
    while data := file.read(PART):
        parts.append(hashlib.md5(data, usedforsecurity=False))
    if len(parts) > 1:
        whole = hashlib.md5(b"".join(part.digest() for part in parts), usedforsecurity=False)
        return f"{whole.hexdigest()}-{len(parts)}"
    return parts[0].hexdigest() if parts else hashlib.md5(b"", usedforsecurity=False).hexdigest()
