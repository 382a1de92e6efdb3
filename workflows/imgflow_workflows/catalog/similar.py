"""Images of a municipality that are like one of them: by a model's vectors where there are some, else by dhash.

Two passes over the rows of the newest run's pipeline, or over the results of a run that is named; what is kept are the
nearest ones alone.
"""

from __future__ import annotations

import heapq
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.findings import vectors
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.rows import merged
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.runs.history import newest_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from imgflow_steps.records.row import Row
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.history import Record

By = Literal["auto", "vector", "dhash"]
BITS = 128  # of a dhash
DIGITS = 4  # of a likeness


@dataclass(frozen=True, slots=True)
class Near:
    """One image and how like it is: the cosine of two vectors, or the share of bits that two hashes have in common."""

    image: str
    alike: float
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Similar:
    """The nearest images, the nearest first; ``by`` is vector or dhash, ``name`` which of its vectors."""

    image: str
    record: Record  # of the run
    by: str
    name: str
    near: list[Near]


def similar(
    store: Store, municipality: str, image: str, *, by: By = "auto", limit: int = 10, of: Record | None = None
) -> Similar:
    """Images that are like one that the newest run has processed, or the run ``of``, which has its results.

    Of several vectors of an image, such as of its pieces, the nearest counts. Raises BadParametersError where nothing
    is known that could be compared.
    """
    record = of or newest_of(store, municipality)
    with temporary() as folder:
        results = Path(folder, "results.jsonl")
        if of:
            store.download(keys.results_jsonl(of.run.id), results)

        def rows() -> AbstractContextManager[Iterator[Row]]:
            return nullcontext(read_jsonl(results)) if of else merged(store, keys.rows(municipality, record.digest))

        with rows() as every:
            mine = next((row for row in every if row.image == image), None)
        name, measure = _measure(mine, record.run.id, image, by)
        with rows() as every:
            near = heapq.nsmallest(limit, _measured(every, image, measure), key=lambda one: (-one.alike, one.image))
    return Similar(image, record, "vector" if name else "dhash", name, near)


def _measure(mine: Row | None, run: str, image: str, by: By) -> tuple[str, Callable[[Row], float | None]]:
    """The name of the vectors that are compared, "" for hashes, and how like the image another one is."""
    if not mine or not mine.outputs:
        raise BadParametersError(f"run {run} has no result of {image}; `imgflow why` shows what became of it")
    given = _vectors(mine)
    if by == "vector" and not given:
        raise BadParametersError(f"no model gave a vector for {image} in run {run}; an infer with read: vector does")
    name = next(iter(given), "") if by != "dhash" else ""
    if not name and not mine.dhash:
        raise BadParametersError(f"{image} is blank, or nearly so, and cannot be compared; give another image")
    return name, _by_vector(name, given[name]) if name else _by_dhash(mine.dhash)


def _vectors(row: Row) -> dict[str, NDArray[np.float32]]:
    """All vectors of an image by name, a row each, of length 1; one of zeros has no direction, and is none."""
    given: dict[str, list[NDArray[np.float32]]] = {}
    for output in row.outputs:
        for name, vector in vectors(output.found).items():
            if length := float(np.linalg.norm(vector)):
                given.setdefault(name, []).append(vector / np.float32(length))
    return {name: np.stack(several) for name, several in given.items() if len({one.size for one in several}) == 1}


def _by_vector(name: str, mine: NDArray[np.float32]) -> Callable[[Row], float | None]:
    def measure(row: Row) -> float | None:
        theirs = _vectors(row).get(name)
        if theirs is None or theirs.shape[1] != mine.shape[1]:
            return None
        return float((mine @ theirs.T).max())

    return measure


def _by_dhash(mine: str) -> Callable[[Row], float | None]:
    bits = int(mine, 16)
    return lambda row: 1 - (bits ^ int(row.dhash, 16)).bit_count() / BITS if row.dhash and row.outputs else None


def _measured(rows: Iterable[Row], image: str, measure: Callable[[Row], float | None]) -> Iterator[Near]:
    for row in rows:
        if row.image != image and (alike := measure(row)) is not None:
            yield Near(row.image, round(alike, DIGITS), row.width, row.height)
