"""The report of a run on this machine while it goes on: its first page in the store, from a thread, now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from imgflow_steps.collect.so_far import SoFar
from imgflow_steps.records import keys
from imgflow_steps.report import report
from imgflow_steps.store import ChangedError, StoreError
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

EVERY = 60.0  # seconds between two pages…
REST = 50  # …and at least so many times as long as the last one took, so that pages cost 2 % of one core at most


class Reporter:
    """Writes pages of a run that goes on, as long as nobody else writes its report."""

    def __init__(self, store: Store, run: Run) -> None:
        self._store, self._prefix = store, keys.report(run.id)
        self._so_far = SoFar(store, run)
        there = store.stat(self._prefix + report.FIRST)
        self._version = there.version if there else ""  # an earlier attempt's, and then our own

    def write(self) -> None:
        """Put a page in place of the one before. Raises ChangedError when somebody else has done so; StoreError."""
        with temporary() as folder:
            if not self._so_far.write(folder):
                return
            try:
                self._put(folder)
            except (StoreError, OSError):
                self._so_far.forget_thumbs()
                raise

    def _put(self, folder: Path) -> None:
        """The page itself last, when all that it points to is there."""
        beside = {self._prefix + path.relative_to(folder).as_posix(): path for path in _files(folder)}
        for key, path in beside.items():
            self._store.upload(path, key, report.MEDIA[path.suffix])
        first, page = self._prefix + report.FIRST, (folder / report.FIRST).read_bytes()
        try:
            self._version = self._store.replace(first, page, self._version, report.MEDIA[".html"]).version
        except ChangedError:
            self._store.delete(key for key in beside if key.startswith(f"{self._prefix}thumbs/"))
            raise


def _files(folder: Path) -> Iterator[Path]:
    """What a first page needs beside it."""
    return (path for path in folder.rglob("*") if path.is_file() and path.name != report.FIRST)


@contextmanager
def reporting(store: Store, run: Run) -> Iterator[None]:
    """Show the run's report in the store for as long as the body lasts.

    Nothing that goes wrong with it is of any consequence for the run, whose own report replaces the last page.
    """
    over = threading.Event()
    thread = threading.Thread(target=_report, args=[store, run, over], name="report", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _report(store: Store, run: Run, over: threading.Event) -> None:
    try:
        reporter = Reporter(store, run)
    except StoreError:
        return  # the run itself will say that the store is away
    pause = EVERY
    while not over.wait(pause):
        began = time.monotonic()
        try:
            reporter.write()
        except ChangedError:
            return
        except (StoreError, OSError, ValidationError):
            pass  # perhaps the next one
        pause = max(EVERY, REST * (time.monotonic() - began))
