"""A DuckDB of this process's own, with a temporary folder: what is larger than memory goes there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store.arriving import filling
from imgflow_steps.store.leftovers import temporary

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "1GB"  # beyond that tables, sorts and joins wait on disk
ROWS = 10_000  # rows that are in Python at the same time


@contextmanager
def database() -> Iterator[tuple[DuckDBPyConnection, Path]]:
    """An empty database and a folder, both gone at the end.

    Raises BadParametersError where the extra is not installed.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra
        import pyarrow as _  # noqa: F401, ICN001, PLC0415 - the other half of it
    except ImportError:
        raise BadParametersError(
            "tables and SQL need DuckDB and pyarrow, which are not installed; pip install 'imgflow[query]'"
        ) from None
    with temporary() as name:
        folder = Path(name)
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "temp_directory": str(folder / "spilled"),
            "autoinstall_known_extensions": False,
            "python_enable_replacements": False,  # a table is what was registered, never a variable of this program
        }
        with duckdb.connect(":memory:", config=config) as base, filling(folder):
            base.execute("SET TimeZone = 'UTC'")  # a time with a zone is the same everywhere, and so is its text
            yield base, folder


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def said(error: Exception | str) -> str:
    """What DuckDB says, in one line and without its own prefix and excerpt of the SQL."""
    text = re.split(r"\n\nLINE |\n\nPossible |\nThe search space used was", str(error))[0]
    return " ".join(text.split("Error: ", 1)[-1].split()).removesuffix(".")
