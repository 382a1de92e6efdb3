"""Put an object only where nothing, or the known version, lies: of several who try one succeeds.

S3, MinIO since 2024 and most others heed ``If-None-Match`` and ``If-Match`` of a PUT. A server that ignores them takes
every write, so there the last one within ``SETTLE`` seconds succeeds, and all others find that out by reading.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from imgflow_steps.store import ChangedError, DeniedError, NotFoundError, StoredObject, UnavailableError

if TYPE_CHECKING:
    from imgflow_steps.store import Store

SETTLE = 3.0  # seconds within which a write of somebody who asked at the same time has arrived

Headers = dict[str, str | list[str] | tuple[str]]
NEW: Headers = {"If-None-Match": "*"}


def understood(put: Callable[[bytes, Headers], str], remove: Callable[[], None]) -> bool:
    """Whether a server refuses to put an object twice that is to be new; tried with one of no other use."""
    try:
        put(b"", NEW)
        put(b"", NEW)
    except ChangedError:
        return True
    except (DeniedError, UnavailableError) as error:
        if "NotImplemented" not in str(error):
            raise
    finally:
        remove()
    return False


def replace(store: Store, put: Callable[[bytes, Headers], str], key: str, data: bytes, version: str) -> StoredObject:
    """On a server that heeds conditions."""
    try:
        return StoredObject(key, put(data, {"If-Match": f'"{version}"'} if version else NEW), len(data))
    except (ChangedError, NotFoundError):  # or it is there since the first of two tries, whose answer was lost
        there = store.stat(key)
        if there and there.version != version and _holds(store, there, data):
            return there
        raise _changed(store, key) from None


def replace_and_look(store: Store, key: str, data: bytes, version: str, content_type: str) -> StoredObject:
    """On a server that ignores conditions."""
    there = store.stat(key)
    if (there.version if there else "") != version:
        raise _changed(store, key)
    store.write(key, data, content_type)
    time.sleep(SETTLE)
    there = store.stat(key)
    if there is None or not _holds(store, there, data):
        raise _changed(store, key)
    return there


def _holds(store: Store, found: StoredObject, data: bytes) -> bool:
    try:
        return store.read(found.key, found.version) == data
    except (ChangedError, NotFoundError):
        return False


def _changed(store: Store, key: str) -> ChangedError:
    return ChangedError(f"{key!r} in {store.url} was replaced by somebody else; read it again")
