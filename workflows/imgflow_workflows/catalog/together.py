"""Several tables as one: a column has one name, however it is written, and one type that loses nothing of any."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

TEXT = "VARCHAR"
WIDER = frozenset({"HUGEINT", "UHUGEINT"})  # what a Parquet file would make a fraction of
FAMILIES = (  # types of which one can hold the values of others
    re.compile(r"U?(TINYINT|SMALLINT|INTEGER|BIGINT)|FLOAT|DOUBLE|DECIMAL\(.*\)"),
    re.compile(r"DATE|TIMESTAMP.*"),
    re.compile(r"[A-Z]+\[\]"),  # lists
)
Columns = dict[str, tuple[str, str]]  # folded name -> name and type; the type is "" where there is no value


def put_together(base: DuckDBPyConnection, folder: Path) -> None:
    """Give the columns of all Parquet files right below folders of ``folder`` the same names and types.

    The first file decides how a name is written; types are as ``common`` says. Only files that differ are written anew.
    """
    paths = sorted(folder.glob("*/*.parquet"))
    if not _differ(paths):
        return
    names: dict[str, str] = {}
    kinds: dict[str, str] = {}
    written = [(path, _columns(base, path)) for path in paths]
    for _, columns in written:
        for folded, (name, kind) in columns.items():
            names.setdefault(folded, name)
            kinds[folded] = common(base, kinds.get(folded, ""), kind)
    for path, columns in written:
        for folded, (name, kind) in columns.items():
            if not _keeps(_read(base, path), name, kind, kinds[folded]):
                kinds[folded] = TEXT
    for path, columns in written:
        _rewrite(base, path, {folded: (names[folded], kinds[folded] or TEXT) for folded in columns})


def common(base: DuckDBPyConnection, one: str, other: str) -> str:
    """A type for the values of both, and text where there is none; ``_keeps`` says whether it changes any of them.

    "" is the type of no value.
    """
    import duckdb  # noqa: PLC0415 - an extra

    if not (one and other) or one == other:
        return one or other
    if not any(family.fullmatch(one) and family.fullmatch(other) for family in FAMILIES):
        return TEXT
    both = f"SELECT NULL::{one} AS value UNION ALL SELECT NULL::{other}"
    try:
        kind = str(base.sql(f"SELECT value FROM ({both})").types[0])
    except duckdb.Error:
        return TEXT
    return TEXT if kind in WIDER else kind


def _keeps(rows: DuckDBPyRelation, name: str, kind: str, wider: str) -> bool:
    """Whether a type holds each value of a column so that it can be taken back: not a far day in nanoseconds, say."""
    if not (kind and wider) or wider in {TEXT, kind}:
        return True
    column = quoted(name)
    return (
        not rows.filter(f"TRY_CAST(TRY_CAST({column} AS {wider}) AS {kind}) IS DISTINCT FROM {column}")
        .limit(1)
        .fetchall()
    )


def _read(base: DuckDBPyConnection, path: Path) -> DuckDBPyRelation:
    return base.sql("FROM read_parquet($path, hive_partitioning = false)", params={"path": str(path)})


def _differ(paths: list[Path]) -> bool:
    """Whether any column is written in two ways, or has two types."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - an extra

    known: dict[str, tuple[str, str]] = {}
    fields = ((field.name, str(field.type)) for path in paths for field in pq.read_schema(path))
    return any(known.setdefault(name.casefold(), (name, kind)) != (name, kind) for name, kind in fields)


def _columns(base: DuckDBPyConnection, path: Path) -> Columns:
    rows = _read(base, path)
    counts = rows.aggregate(", ".join(f"count({quoted(name)})" for name in rows.columns)).fetchall()[0]
    found = zip(rows.columns, rows.types, counts, strict=True)
    columns: Columns = {}
    for name, kind, count in found:
        folded = name.casefold()
        columns[name if folded in columns else folded] = (name, str(kind) if count else "")
    return columns


def _rewrite(base: DuckDBPyConnection, path: Path, columns: Columns) -> None:
    rows = _read(base, path)
    before = list(zip(rows.columns, map(str, rows.types), strict=True))
    if before == list(columns.values()):
        return
    shown = ", ".join(_cast(old, *new) for (old, _), new in zip(before, columns.values(), strict=True))
    new = path.with_suffix(".new")
    rows.project(shown).write_parquet(str(new))
    new.replace(path)


def _cast(old: str, name: str, kind: str) -> str:
    return f"{quoted(old)}::{kind} AS {quoted(name)}"


def reconcile(base: DuckDBPyConnection, one: str, other: str, key: str) -> None:
    """Give columns that two tables share, but for their ``key``, one type in both, and the name that ``one`` has."""
    for mine, theirs in list(_shared(base, one, other)):
        if mine.casefold() == key:
            continue
        for old, new in ((theirs, f"{theirs} "), (f"{theirs} ", mine)):  # DuckDB takes only A and a for the same
            base.execute(f"ALTER TABLE {other} RENAME {quoted(old)} TO {quoted(new)}")
        both = ((one, mine), (other, mine))
        known = [_kind(base, table, column) for table, column in both]
        kind = common(base, *known) or TEXT
        if not all(
            _keeps(base.table(table), column, was, kind) for (table, column), was in zip(both, known, strict=True)
        ):
            kind = TEXT
        for table, column in both:
            base.execute(f"ALTER TABLE {table} ALTER {quoted(column)} TYPE {kind}")


def _shared(base: DuckDBPyConnection, one: str, other: str) -> Iterator[tuple[str, str]]:
    theirs = {name.casefold(): name for name in base.table(other).columns}
    yield from ((name, theirs[name.casefold()]) for name in base.table(one).columns if name.casefold() in theirs)


def _kind(base: DuckDBPyConnection, table: str, column: str) -> str:
    """A column's type; "" where it has no values."""
    name = quoted(column)
    if base.execute(f"SELECT 1 FROM {table} WHERE {name} IS NOT NULL LIMIT 1").fetchall():
        return str(base.sql(f"SELECT {name} FROM {table}").types[0])
    return ""
