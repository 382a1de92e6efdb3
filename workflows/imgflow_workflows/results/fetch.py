"""Copy the pictures of a run into a folder. Started again, it goes on from where it was."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys, merge, selection
from imgflow_steps.records.results import MARK, for_excel, read_jsonl
from imgflow_steps.store import NotFoundError, UnreadableError, UnwritableError, names
from imgflow_steps.store.arriving import replacing
from imgflow_steps.store.directory import REFUSED
from imgflow_steps.store.leftovers import temporary
from imgflow_steps.store.threads import ahead, crew
from imgflow_workflows.catalog import verdicts
from imgflow_workflows.results.file_names import Picture, pictures, places
from imgflow_workflows.results.skips import SHOWN, SkippedFile, SkipReason, Skips
from imgflow_workflows.text import counted, size

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

FETCHES = 16  # pictures copied at the same time
AHEAD = 4  # copies waiting per thread, so that none is ever idle


@dataclass(slots=True)
class FetchProgress(Skips):
    """How far the copying is: numbers of pictures, and the bytes copied."""

    total: int = 0
    copied: int = 0
    present: int = 0  # were there already, the same
    renamed: int = 0  # have a longer name than their image's, or others could have the same
    bytes: int = 0

    def in_words(self) -> str:
        """The same in one line."""
        words = [
            f"{self.copied:,} of {counted(self.total, 'picture')} copied ({size(self.bytes)})",
            f"{self.present:,} there already",
        ]
        return " · ".join([*words, *(f"{number:,} skipped: {reason}" for reason, number in self.refused.items())])


@dataclass(slots=True)
class FetchSummary(FetchProgress):
    """How it ended, with the first longer names in words; ``table`` is what the run says."""

    table: Path = Path()
    longer: list[tuple[str, str, str]] = field(default_factory=list)  # image, path, why it is not the shorter one


def fetch(
    store: Store,
    run: Run,
    folder: Path,
    *,
    tell: Callable[[FetchProgress], None],
    workers: int = FETCHES,
    overwrite: bool = False,
    where: str = "",
) -> FetchSummary:
    """Copy every picture of a run that came to its end into ``folder``, and ``<run>.csv``.

    ``where`` leaves only the pictures of those images that it chooses, as ``verdicts.images`` does.

    The picture of ``a/x.jpg`` becomes ``a/x.<format>`` (see ``Places`` where two would). A file with the SHA-256 that
    the run wrote down is left as it is, another one too unless ``overwrite``; what comes is checked before it
    takes its place. ``tell`` is called after every picture, in the thread that called; ``workers`` threads copy.

    Raises BadParametersError when the folder cannot be one or ``where`` chooses nothing, NotFoundError when the run has
    no results yet, StoreError when the store fails, UnwritableError when the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BadParametersError(f"{folder} is a file; give a folder for the pictures")
    prefix = keys.results(run.municipality, run.digest) + "images/"
    summary = FetchSummary(table=folder / f"{run.id}.csv")
    with temporary() as scratch:
        rows = Path(scratch, "results.jsonl")
        store.download(keys.results_jsonl(run.id), rows)
        with places(pictures(read_jsonl(rows), prefix)) as placed, crew(workers) as pool:
            chosen = Path(scratch, "selection.jsonl") if where else None
            if chosen and not selection.write(chosen, verdicts.images(store, run, where)):
                raise BadParametersError(f"no image of run {run.id} fits: {where}")

            def wanted() -> Iterator[tuple[int, Picture]]:  # a picture's place is the same whichever are chosen
                found = enumerate(pictures(read_jsonl(rows), prefix))
                return merge.among(found, lambda one: one[1].image, selection.read(chosen)) if chosen else found

            summary.total = sum(1 for _ in wanted()) if chosen else placed.count
            copy = _Copier(store, folder, overwrite=overwrite)
            placings = ((picture, placed.of(number, picture)) for number, picture in wanted())
            begun = ((picture, path, pool.submit(copy, picture, path)) for picture, path in placings)
            for picture, path, outcome in ahead(begun, workers * AHEAD):
                _count(summary, picture, path, outcome.result())
                tell(summary)
    _write_table(store, run, summary.table)
    return summary


Outcome = SkippedFile | int  # bytes that were copied; 0 where the picture was there


class _RefusedError(Exception):
    """This picture is not copied; the others are."""

    def __init__(self, reason: SkipReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Copier:
    def __init__(self, store: Store, folder: Path, *, overwrite: bool) -> None:
        self._store, self._folder, self._overwrite = store, folder.absolute(), overwrite
        self._root = folder.resolve()

    def __call__(self, picture: Picture, path: str) -> Outcome:
        """How many bytes were copied: none where the picture lies there; or why it cannot be."""
        target = self._folder / path
        try:
            if not path:
                raise _RefusedError(SkipReason.NAME, f"{picture.key} can have no name of its own there")
            return self._copy(picture, target)
        except _RefusedError as error:
            return SkippedFile(path or picture.image, error.reason, str(error))
        except NotFoundError:
            return SkippedFile(path, SkipReason.GONE, f"there is nothing at {picture.key}")
        except UnreadableError as error:
            return SkippedFile(path, SkipReason.DAMAGED, str(error))
        except OSError as error:
            if error.errno in REFUSED:
                why = f"{error.strerror}; fetch into an empty folder, or rename the image"
                return SkippedFile(path, SkipReason.NAME, why)
            raise UnwritableError(
                f"cannot write {target}: {error.strerror}; free some space there, or give this user the right to write"
            ) from error

    def _copy(self, picture: Picture, target: Path) -> int:
        if not target.parent.resolve().is_relative_to(self._root):  # a link that somebody put there
            raise _RefusedError(SkipReason.NAME, f"{target.parent} leads out of {self._folder}; remove that link")
        there = _sha256(target)
        if there == picture.sha256:
            return 0
        if there and not self._overwrite:
            raise _RefusedError(SkipReason.THERE, "it stays; --overwrite replaces it, or choose another folder")
        data = self._store.read(picture.key)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            raise _RefusedError(SkipReason.DAMAGED, f"{picture.key} has another SHA-256 than the run wrote down")
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part:
            part.write_bytes(data)
        return len(data)


def for_spreadsheets(table: Path, delimiter: str) -> None:
    """Write a ``results.csv`` anew as Excel opens it by a double-click: with a byte order mark and its own signs."""
    with (
        table.open(encoding="utf-8", newline="") as cells,
        replacing(table) as fresh,
        fresh.open("w", encoding="utf-8", newline="") as written,
    ):
        written.write(MARK)
        csv.writer(written, delimiter=delimiter).writerows(
            [for_excel(cell, delimiter) for cell in row] for row in csv.reader(cells)
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _write_table(store: Store, run: Run, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    store.download(keys.results_csv(run.id), path)


def _count(summary: FetchSummary, picture: Picture, path: str, outcome: Outcome) -> None:
    if isinstance(outcome, SkippedFile):
        summary.refuse(outcome)
        return
    summary.copied += bool(outcome)
    summary.present += not outcome
    summary.bytes += outcome
    if path != picture.short:
        summary.renamed += 1
        if len(summary.longer) < SHOWN:
            why = names.unstorable(picture.short) or f"another picture or folder could be called {picture.short}"
            summary.longer.append((picture.image, path, why))
