"""A directory of photographs, each named by its path below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.admission import ADMISSION, Admission
from imgflow_steps.records.candidates import found_in, with_ignore_file
from imgflow_steps.records.merge import joined
from imgflow_steps.store import Store, StoredObject, open_store
from imgflow_steps.store.walk import LINK, SPECIAL, UNREADABLE, Watch
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.transfer.copying import RULES, Photo, in_place, itself, refused

WORDS = {
    LINK: (
        SkipReason.LINK,
        "it is a link that leads out of the folder, or nowhere; --follow-links copies what it leads to",
    ),
    SPECIAL: (SkipReason.SPECIAL, "it is a device, a pipe or a socket, not a file"),
    UNREADABLE: (SkipReason.UNREADABLE, "it may not be read; make it readable and copy again"),
}


@dataclass(frozen=True, slots=True)
class Folder:
    """Every file below a directory. Both sides are listed in the same order and walked together."""

    path: Path
    rules: Admission = ADMISSION
    follow: bool = False  # links that lead out of it, too

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``."""
        prefix = keys.images(municipality)
        skipped = self._skipped(store, prefix)
        yield self._photos(store, prefix, skipped, refuse)

    def _photos(self, store: Store, prefix: str, skipped: str, refuse: Refuse) -> Iterator[Photo]:
        def below(known: StoredObject) -> str:
            return known.key.removeprefix(prefix)

        found_here = self._objects(skipped, refuse)
        for found, known in joined(found_here, store.entries(prefix), attrgetter("key"), below, how="left"):
            assert found is not None  # noqa: S101 - narrows the type: a left join
            yield Photo(
                key=prefix + found.key,
                path=found.key,
                bytes=found.bytes,
                version=found.version,
                present=partial(itself, known),
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
            raise BadParametersError(
                f"{self.path} and the dataset {target} overlap: one contains the other; give another directory"
            )
        return ""

    def _objects(self, skipped: str, refuse: Refuse) -> Iterator[StoredObject]:
        store = open_store(str(self.path.absolute()))
        rules = with_ignore_file(self.rules, store, "")
        passed = Passed(rules, skipped, refuse)
        for found in found_in(store, "", Watch(passed.tell, self.follow)):
            if skipped and found.key.startswith(skipped):
                continue
            if refusal := refused(rules, found.key, found.key, found.bytes):
                refuse(refusal)
            else:
                yield found


@dataclass(frozen=True, slots=True)
class Passed:
    """Refuses what is not even a file, or may not be read."""

    rules: Admission
    skipped: str
    refuse: Refuse

    def tell(self, key: str, word: str) -> None:
        """See ``Watch``."""
        name = key.rstrip("/")
        if self.skipped and key.startswith(self.skipped):
            return
        if rule := Admission(ignore=self.rules.ignore).forbids(name):
            self.refuse(SkippedFile(name, RULES[rule], f"it is {rule}", rule))
        else:
            self.refuse(SkippedFile(name, *WORDS[word]))
