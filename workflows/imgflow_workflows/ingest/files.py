"""A list of files, one a line, such as ``find`` prints it."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.admission import ADMISSION, Admission
from imgflow_steps.store import Store
from imgflow_steps.store.versions import version_of
from imgflow_steps.store.web import NOWHERE, Web, fetched, is_url, named_by_url
from imgflow_workflows.ingest.names import Spool, spool
from imgflow_workflows.ingest.paths import below, file_status
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.text import counted
from imgflow_workflows.transfer.copying import Photo, in_place, refused

NAMED = 3  # missing files that an error names


@dataclass(frozen=True, slots=True)
class FileList:
    """Files by their paths; a photograph's name is its path below the current folder, else below ``/``."""

    lines: Iterable[str]
    lenient: bool = False  # leave out what is not there
    web: Web = NOWHERE
    rules: Admission = ADMISSION

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``. The list is read to its end first."""
        prefix, missing = keys.images(municipality), Missing(self.lenient, refuse)
        with spool() as kept:
            for path in filter(None, (line.rstrip("\r\n") for line in _without_mark(self.lines))):
                if is_url(path):
                    self.web.check(path)
                    self._add(kept, named_by_url(path), path, 1, "", refuse)
                    continue
                slashed = path if file_status(path) else path.replace("\\", "/")  # as Windows writes it
                if not (status := file_status(slashed)):
                    missing.add(path)
                    continue
                place = os.path.normpath(Path.cwd() / slashed)
                self._add(kept, named(slashed), place, status.st_size, version_of(status), refuse)
            missing.check("the list")
            yield (
                Photo(prefix + name, path, size, version, partial(store.stat, prefix + name), file_of(path, self.web))
                for name, path, size, version in kept
            )

    def _add(self, kept: Spool, name: str, place: str, size: int, version: str, refuse: Refuse) -> None:
        if refusal := refused(self.rules, name, place, size):
            refuse(refusal)
        else:
            kept.add(name, place, size, version)


def lines_of(file: IO[bytes]) -> Iterator[str]:
    """The lines of a list: names of any bytes, or UTF-16 where it begins with its mark, as PowerShell writes it."""
    first = file.readline()
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from (first + file.read()).decode("utf-16", "replace").split("\n")
        return
    yield os.fsdecode(first)
    yield from map(os.fsdecode, file)


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    """The lines without the byte order mark that Windows writes before the first one."""
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def file_of(place: str, web: Web) -> Callable[[], AbstractContextManager[Path]]:
    """What ``Photo.file`` gives for a path or a URL."""
    return partial(fetched, web, place) if is_url(place) else in_place(Path(place))


@dataclass(slots=True)
class Missing:
    """Files that a source names and nobody has: refused one by one, or all in one error."""

    lenient: bool
    refuse: Refuse
    count: int = 0
    first: tuple[str, ...] = ()

    def add(self, path: str) -> None:
        """Note one."""
        self.count += 1
        if self.lenient:
            self.refuse(SkippedFile(path, SkipReason.MISSING, "there is no such file"))
        elif len(self.first) < NAMED:
            self.first += (path,)

    def check(self, what: str) -> None:
        """Raises BadParametersError when there are some and that matters."""
        if self.count and not self.lenient:
            more = f" and {self.count - len(self.first):,} more" if self.count > len(self.first) else ""
            raise BadParametersError(
                f"{counted(self.count, 'file')} of {what} cannot be found: {', '.join(self.first)}{more}; "
                "nothing was copied. --lenient skips missing files"
            )


def named(path: str) -> str:
    """A photograph's name by its path: relative to the current folder where it lies below it."""
    plain = os.path.normpath(path)
    return below(plain.removeprefix(f"{Path.cwd()}/"))
