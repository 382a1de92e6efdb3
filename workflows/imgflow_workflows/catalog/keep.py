"""A municipality's catalog in the store: one Parquet file, a row per image, sorted by image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError
from imgflow_workflows.catalog.database import quoted
from imgflow_workflows.catalog.together import reconcile
from imgflow_workflows.errors import ExitCode, ImgflowError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from imgflow_steps.store import Store


def keep(base: DuckDBPyConnection, folder: Path, store: Store, municipality: str) -> None:
    """Put the table ``told``, a row per image with a column ``image``, into a municipality's catalog.

    It changes the columns that it has of the images that it has; what else is known stays. A column that one side
    lacks is empty there, and one in which the two sides have nothing in common becomes text. The new catalog takes the
    old one's place at once; of two that are made in the same moment only the later one stays. Raises StoreError.
    """
    before, after = folder / "before.parquet", folder / "catalog.parquet"
    try:
        download(store, municipality, before)
    except NotFoundError:
        whole = "SELECT * FROM told"
    else:
        base.execute("CREATE TABLE before AS SELECT * FROM read_parquet(?)", [str(before)])
        reconcile(base, "told", "before", "image")
        whole = _merged(base)
    base.sql(f"SELECT * FROM ({whole}) ORDER BY image").write_parquet(str(after))
    store.upload(after, keys.catalog(municipality), "application/vnd.apache.parquet")


def download(store: Store, municipality: str, path: Path) -> None:
    """A local copy of a municipality's catalog. Raises StoreError, and ImgflowError where it is damaged."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
    from pyarrow.lib import ArrowException  # noqa: PLC0415 - likewise

    store.download(key := keys.catalog(municipality), path)
    try:
        pq.read_metadata(path)
    except (ArrowException, OSError) as error:
        raise ImgflowError(
            f"{key} in {store.url} is damaged: {str(error).strip()}",
            f"restore it from a backup, or delete it and ingest the tables of {municipality} again",
            ExitCode.FAILED,
        ) from error


def _merged(base: DuckDBPyConnection) -> str:
    """The query for the new catalog."""
    told, before = (_columns(base, table) for table in ("told", "before"))
    kept = "".join(f", before.{column}" for name, column in before.items() if name not in told)
    return (
        f"SELECT told.*{kept} FROM told LEFT JOIN before USING (image)"
        " UNION ALL BY NAME SELECT * FROM before ANTI JOIN told USING (image)"
    )


def _columns(base: DuckDBPyConnection, table: str) -> dict[str, str]:
    """A table's columns as SQL writes them, by their names in lower case."""
    return {name.casefold(): quoted(name) for name, *_ in base.execute(f"DESCRIBE {table}").fetchall()}
