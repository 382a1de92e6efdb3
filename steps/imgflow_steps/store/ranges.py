"""An object of a store read from its beginning to its end, as an open file is, without a copy of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgflow_steps.store.versions import ETAG, etag_of

if TYPE_CHECKING:
    from imgflow_steps.store import Store, StoredObject


@dataclass(slots=True)
class Ranges:
    """See ``Readable``. Raises what ``Store.read_range`` does, ChangedError too: all of it is one version."""

    store: Store
    found: StoredObject
    place: int = 0

    def read(self, size: int, /) -> bytes:
        """The next bytes, in one request."""
        size = min(size, self.found.bytes - self.place)
        if size <= 0:
            return b""
        data = self.store.read_range(self.found.key, self.place, size, self.found.version)
        self.place += len(data)
        return data


def known_by_content(store: Store, found: StoredObject) -> StoredObject:
    """The same with the version that its content says, as S3 makes it. Raises as ``Ranges``."""
    return found if ETAG.fullmatch(found.version) else replace(found, version=etag_of(Ranges(store, found)))
