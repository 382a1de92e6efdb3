"""What one run made, as rows that SQL chooses: its verdicts beside what is told of the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from imgflow_workflows.catalog.ask import select

if TYPE_CHECKING:
    from pyarrow import RecordBatchReader

    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

ALL = ("results.* EXCLUDE (municipality)",)


def verdicts(
    store: Store, run: Run, columns: Sequence[str] = (), where: str = "", limit: int = 0
) -> AbstractContextManager[RecordBatchReader]:
    """The rows of a run that has ended, a row per picture, sorted by image; computed while they are read.

    ``columns`` is what SQL selects, ``where`` a condition, both over the columns of ``results`` and of the
    municipality's ``catalog``; ``limit`` is how many rows at most, 0 all. Memory does not grow with their number.
    Raises BadParametersError where this cannot be answered.
    """
    sql = f"{_rows(columns or ALL, where)} ORDER BY results.image, results.piece"
    return select(store, sql + _at_most(limit), run.municipality, run=run)


def made(
    store: Store, run: Run, columns: Sequence[str] = (), where: str = "", limit: int = 0
) -> AbstractContextManager[RecordBatchReader]:
    """The rows of pictures that a run made, as ``verdicts`` chooses them, with the key of each before all columns."""
    there = "output_key != ''" + (f" AND (\n{where}\n)" if where else "")
    return verdicts(store, run, ["results.output_key", *(columns or ALL)], there, limit)


def pictures(store: Store, run: Run, where: str = "", limit: int = 0) -> Iterator[tuple[str, str, str]]:
    """Image, piece and key of every picture that a run made, as ``verdicts`` chooses them."""
    with made(store, run, ["results.image", "results.piece"], where, limit) as rows:
        for batch in rows:
            keys, images, pieces = (column.to_pylist() for column in batch.columns)
            yield from zip(images, pieces, keys, strict=True)


def images(store: Store, run: Run, where: str = "", limit: int = 0) -> Iterator[str]:
    """Every image that a run listed, as ``verdicts`` chooses them; each once, however many pictures came of it."""
    sql = f"SELECT DISTINCT image FROM ({_rows(['results.image'], where)}) ORDER BY image"
    with select(store, sql + _at_most(limit), run.municipality, run=run) as rows:
        for batch in rows:
            yield from batch.column("image").to_pylist()


def _rows(columns: Sequence[str], where: str) -> str:
    told = columns is not ALL or where  # or the catalog is fetched for nothing
    joined = " LEFT JOIN catalog USING (municipality, image)" if told else ""
    return f"SELECT {', '.join(columns)} FROM {'judged AS results' if told else 'results'}{joined}" + (
        f" WHERE (\n{where}\n)" if where else ""
    )


def _at_most(limit: int) -> str:
    return f" LIMIT {limit:d}" if limit else ""
