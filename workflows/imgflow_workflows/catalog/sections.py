"""A column of the catalog for the report's sections, as a file of the run: no container reads a catalog."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys, sections
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store


def check(store: Store, run: Run) -> None:
    """Raises BadParametersError where a run's sections need a catalog and there is none."""
    column = sections.column(run.collect.sections)
    if not column:
        return
    if run.source:
        raise BadParametersError(
            f"collect.sections={column}: photographs of a --source have no catalog; ingest them, or choose folder"
        )
    if store.stat(keys.catalog(run.municipality)) is None:
        raise BadParametersError(
            f"collect.sections={column}: {run.municipality} has no catalog; `imgflow ingest` of a table makes one"
        )


def upload(store: Store, run: Run) -> None:
    """Write what the catalog tells now of the column by which the report has sections.

    Raises BadParametersError where it has no such column.
    """
    column = sections.column(run.collect.sections)
    if not column:
        return
    with temporary() as folder:
        path = Path(folder, "sections.jsonl")
        try:
            sections.write(path, _values(store, run.municipality, column))
        except BadParametersError as error:
            raise BadParametersError(f"collect.sections={column}: {error}") from None
        store.upload(path, keys.sections(run.id), "application/jsonl")


def _values(store: Store, municipality: str, column: str) -> Iterator[tuple[str, str]]:
    named = quoted(column)
    sql = f"SELECT image, CAST({named} AS VARCHAR) AS value FROM catalog WHERE {named} IS NOT NULL ORDER BY image"
    with select(store, sql, municipality) as answer:
        for batch in answer:
            yield from zip(batch.column("image").to_pylist(), batch.column("value").to_pylist(), strict=True)
