"""A directory of photographs, each named by its path below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from imgflow_steps import keys
from imgflow_steps.contract import BadParametersError
from imgflow_steps.store import Found, Store, open_store
from imgflow_workflows.ingest.copying import Photo, Refuse, in_place, itself, refused


@dataclass(frozen=True, slots=True)
class Folder:
    """Every file below a directory. Both sides are listed in the same order and walked together."""

    path: Path

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``."""
        prefix = keys.images(municipality)
        skipped = self._skipped(store, prefix)
        yield self._photos(store, prefix, skipped, refuse)

    def _photos(self, store: Store, prefix: str, skipped: str, refuse: Refuse) -> Iterator[Photo]:
        for found, known in _join(self._found(skipped, refuse), store.entries(prefix), prefix):
            yield Photo(
                key=prefix + found.key,
                path=found.key,
                bytes=found.bytes,
                version=found.version,
                known=partial(itself, known),
                file=in_place(self.path / found.key),
            )

    def _skipped(self, store: Store, prefix: str) -> str:
        """What to leave out below the directory: the store, when it lies there (``imgflow ingest .``)."""
        if not self.path.is_dir():
            what = "is not a directory" if self.path.exists() else "is not there"
            raise BadParametersError(f"{self.path} {what}; give the directory that holds the photographs")
        if store.url.startswith("s3://"):
            return ""
        below, root = self.path.resolve(), Path(store.url).resolve()
        if root != below and root.is_relative_to(below):
            return f"{root.relative_to(below).as_posix()}/"
        target = root / prefix
        if target.is_relative_to(below) or below.is_relative_to(target):
            raise BadParametersError(f"{self.path} and the dataset {target} hold each other; give another directory")
        return ""

    def _found(self, skipped: str, refuse: Refuse) -> Iterator[Found]:
        for found in open_store(str(self.path.absolute())).entries():
            if skipped and found.key.startswith(skipped):
                continue
            if refusal := refused(found.key, found.key, found.bytes):
                refuse(refusal)
            else:
                yield found


def _join(photos: Iterable[Found], there: Iterator[Found], prefix: str) -> Iterator[tuple[Found, Found | None]]:
    """Each photograph with what lies at its place, if anything; both sorted, and all names Unicode."""
    known = next(there, None)
    for photo in photos:
        key = prefix + photo.key
        while known and known.key < key:
            known = next(there, None)
        yield photo, known if known and known.key == key else None
