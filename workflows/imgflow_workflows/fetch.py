"""Copy the pictures of a run into a folder. Started again, it goes on from where it was."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from imgflow_steps import keys, selection
from imgflow_steps.collect.results import read_jsonl
from imgflow_steps.contract import BadParametersError
from imgflow_steps.store import NotFoundError, UnavailableError
from imgflow_steps.store.directory import REFUSED
from imgflow_workflows.catalog import verdicts
from imgflow_workflows.crew import ahead, crew
from imgflow_workflows.placement import Picture, pictures, places

if TYPE_CHECKING:
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store

FETCHES = 16  # pictures copied at the same time
AHEAD = 4  # copies waiting per thread, so that none is ever idle
SHOWN = 100  # refusals and long names kept with their words; beyond that they are only counted


class Reason(StrEnum):
    """Why a picture was not copied."""

    NAME = "impossible name"
    THERE = "another file is there"
    GONE = "no longer in the store"
    CHANGED = "not what the run made"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One picture that was not copied; ``path`` is below the folder, or the image where it has none."""

    path: str
    reason: Reason
    message: str


@dataclass(slots=True)
class FetchProgress:
    """How far the copying is: numbers of pictures, and the bytes copied."""

    total: int = 0
    copied: int = 0
    present: int = 0  # were there already, the same
    renamed: int = 0  # have a longer name than their image's, or others could have the same
    refused: Counter[Reason] = field(default_factory=Counter)
    bytes: int = 0


@dataclass(slots=True)
class FetchSummary(FetchProgress):
    """How it ended, with the first refusals and the first longer names in words; ``table`` is what the run says."""

    table: Path = Path()
    refusals: list[Refusal] = field(default_factory=list)
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
    no results yet, StoreError when the store fails, UnavailableError when the folder cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BadParametersError(f"{folder} is a file; give a folder for the pictures")
    prefix = keys.results(run.municipality, run.digest) + "images/"
    summary = FetchSummary(table=folder / f"{run.id}.csv")
    with TemporaryDirectory(prefix="imgflow-fetch-") as scratch:
        rows = Path(scratch, "results.jsonl")
        store.download(keys.results_jsonl(run.id), rows)
        with places(pictures(read_jsonl(rows), prefix)) as placed, crew(workers) as pool:
            chosen = Path(scratch, "selection.jsonl") if where else None
            if chosen and not selection.write(chosen, verdicts.images(store, run, where)):
                raise BadParametersError(f"no image of run {run.id} fits: {where}")

            def wanted() -> Iterator[tuple[int, Picture]]:  # a picture's place is the same whichever are chosen
                found = enumerate(pictures(read_jsonl(rows), prefix))
                return selection.among(found, lambda one: one[1].image, selection.read(chosen)) if chosen else found

            summary.total = sum(1 for _ in wanted()) if chosen else placed.count
            copy = _Copier(store, folder, overwrite=overwrite)
            placings = ((picture, placed.of(number, picture)) for number, picture in wanted())
            begun = ((picture, path, pool.submit(copy, picture, path)) for picture, path in placings)
            for picture, path, outcome in ahead(begun, workers * AHEAD):
                _count(summary, picture, path, outcome.result())
                tell(summary)
    _write_table(store, run, summary.table)
    return summary


Outcome = Refusal | int  # bytes that were copied; 0 where the picture was there


class _RefusedError(Exception):
    """This picture is not copied; the others are."""

    def __init__(self, reason: Reason, message: str) -> None:
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
                raise _RefusedError(Reason.NAME, f"{picture.key} can have no name of its own there")
            return self._copy(picture, target)
        except _RefusedError as error:
            return Refusal(path or picture.image, error.reason, str(error))
        except NotFoundError:
            return Refusal(path, Reason.GONE, f"{picture.key} was pruned or deleted; submit again and fetch again")
        except OSError as error:
            if error.errno in REFUSED:
                return Refusal(path, Reason.NAME, f"{error.strerror}; fetch into an empty folder, or rename the image")
            raise UnavailableError(
                f"cannot write {target}: {error.strerror}; free some space there, or give this user the right to write"
            ) from error

    def _copy(self, picture: Picture, target: Path) -> int:
        if not target.parent.resolve().is_relative_to(self._root):  # a link that somebody put there
            raise _RefusedError(Reason.NAME, f"{target.parent} leads out of {self._folder}; remove that link")
        there = _sha256(target)
        if there == picture.sha256:
            return 0
        if there and not self._overwrite:
            raise _RefusedError(Reason.THERE, "it stays; --overwrite replaces it, or choose another folder")
        data = self._store.read(picture.key)
        if hashlib.sha256(data).hexdigest() != picture.sha256:
            why = f"{picture.key} has another SHA-256 than the run wrote down; delete it there and submit again"
            raise _RefusedError(Reason.CHANGED, why)
        _place(data, target)
        return len(data)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def _place(data: bytes, path: Path) -> None:
    """Write a file that appears whole; what a killed process leaves beside it, the next one takes over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{keys.local_name(path.name)}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write_table(store: Store, run: Run, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    store.download(keys.results_csv(run.id), path)


def _count(summary: FetchSummary, picture: Picture, path: str, outcome: Outcome) -> None:
    if isinstance(outcome, Refusal):
        summary.refused[outcome.reason] += 1
        if len(summary.refusals) < SHOWN:
            summary.refusals.append(outcome)
        return
    summary.copied += bool(outcome)
    summary.present += not outcome
    summary.bytes += outcome
    if path != picture.short:
        summary.renamed += 1
        if len(summary.longer) < SHOWN:
            why = keys.unstorable(picture.short) or f"another picture or folder could be called {picture.short}"
            summary.longer.append((picture.image, path, why))
