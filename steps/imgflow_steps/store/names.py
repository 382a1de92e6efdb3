"""Names that every store can hold, and a name on disk for each key."""

from __future__ import annotations

import hashlib
import re

SEGMENT_BYTES = 255  # the longest file name on common file systems


KEY_BYTES = 1024  # the longest object key of S3


def unstorable(key: str) -> str:
    """Why some store could not hold a key, or "" when all can."""
    try:
        raw = key.encode()
    except UnicodeEncodeError:
        return "its name is not valid UTF-8"
    if len(raw) > KEY_BYTES:
        return f"its name has {len(raw)} bytes; keys end at {KEY_BYTES}"
    segments = raw.split(b"/")
    if any(s in {b"", b".", b".."} for s in segments):
        return "its name has an empty, '.' or '..' part, which a directory cannot hold"
    if any(len(s) > SEGMENT_BYTES for s in segments):
        return f"a part of its name has more than {SEGMENT_BYTES} bytes, which a directory cannot hold"
    if "\0" in key:
        return "its name holds a NUL character"
    return ""


def local_name(key: str) -> str:
    """A file name for a key's copy on local disk: safe, unique, with the key's suffix."""
    suffix = re.search(r"\.[A-Za-z0-9]{1,8}$", key)
    return hashlib.sha256(key.encode()).hexdigest()[:32] + (suffix.group() if suffix else "")
