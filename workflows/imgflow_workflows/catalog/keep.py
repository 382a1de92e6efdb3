"""A municipality's catalog in the store: one Parquet file, a row per image, sorted by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps import keys
from imgflow_steps.store import NotFoundError
from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from imgflow_steps.store import Store


def keep(base: DuckDBPyConnection, folder: Path, told: str, store: Store, municipality: str) -> None:
    """Put the query ``told``, a row per image with a column ``image``, into a municipality's catalog.

    Rows of other images stay; a column that one side lacks is empty there, and one in which the two sides have nothing
    in common becomes text. The new catalog takes the old one's place at once; of two that are made in the same moment
    only the later one stays. Raises StoreError.
    """
    before, after = folder / "before.parquet", folder / "catalog.parquet"
    base.execute(f"CREATE TABLE told AS {told}")
    try:
        store.download(keys.catalog(municipality), before)
    except NotFoundError:
        whole = "SELECT * FROM told"
    else:
        base.execute("CREATE TABLE before AS SELECT * FROM read_parquet(?)", [str(before)])
        for column in _strange(base):
            for table in ("told", "before"):
                base.execute(f"ALTER TABLE {table} ALTER {column} TYPE VARCHAR")
        whole = "SELECT * FROM told UNION ALL BY NAME SELECT * FROM before ANTI JOIN told USING (image)"
    base.sql(f"SELECT * FROM ({whole}) ORDER BY image").write_parquet(str(after))
    store.upload(after, keys.catalog(municipality), "application/vnd.apache.parquet")


def _strange(base: DuckDBPyConnection) -> list[str]:
    """Columns that ``told`` and ``before`` share and cannot have together, such as lists and numbers; quoted."""
    import duckdb  # noqa: PLC0415 - an extra

    columns = [
        {name.casefold(): quoted(name) for name, *_ in base.execute(f"DESCRIBE {table}").fetchall()}
        for table in ("told", "before")
    ]
    found = []
    for column in (columns[0][name] for name in columns[0] if name in columns[1]):
        try:
            both = f"SELECT {column} FROM told UNION ALL SELECT {column} FROM before"
            base.execute(f"SELECT count({column}) FROM ({both})").fetchall()
        except duckdb.Error:
            found.append(column)
    return found
