"""Tables as Parquet files: a folder for each table, in it one for each municipality, read as one table by DuckDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_steps.records import keys
from imgflow_workflows.catalog.database import ROWS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def share_of(folder: Path, municipality: str) -> Path:
    """The folder of one municipality's share of a table, made anew."""
    share = folder / _named(municipality)
    share.mkdir()
    return share


def _named(municipality: str) -> str:
    return f"municipality={keys.encode(municipality)}"


class Part:
    """A municipality's share of a table, as Parquet files of ``ROWS`` lines each; columns of ``kinds``, and others."""

    def __init__(self, folder: Path, kinds: Mapping[str, str]) -> None:
        self._folder, self._schema, self._number = folder, _schema(kinds), 0
        self._waiting: list[dict[str, Any]] = []

    def add(self, lines: Iterable[dict[str, Any]]) -> None:
        """Keep lines until there are enough for a file."""
        self._waiting += lines
        if len(self._waiting) >= ROWS:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

        base, batch = self._schema, self._waiting
        more = sorted(set().union(*batch) - set(base.names))
        table = pa.Table.from_struct_array(pa.array(batch, pa.struct(list(base))))
        for column in more:
            table = table.append_column(column, _array([line.get(column) for line in batch]))
        if batch:
            pq.write_table(table, self._folder / f"{self._number:06d}.parquet")
        self._number, self._waiting = self._number + 1, []


def fill(folder: Path, municipality: str, column: str, values: Iterable[tuple[str, str]]) -> None:
    """Put these texts into a column of a municipality's share, each by its image; both are in the order of the images.

    Only files with one of these images are written anew.
    """
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    ahead = iter(values)
    image, text = next(ahead, ("", ""))
    for path in sorted((folder / _named(municipality)).glob("*.parquet")):
        if not image:
            return
        table, told = pq.read_table(path), {}
        names = table["image"].to_pylist()
        there = set(names)
        while image in there:
            told[image] = text
            image, text = next(ahead, ("", ""))
        if told:
            place = table.schema.get_field_index(column)
            cells = pa.array([told.get(name) for name in names], table.schema.field(column).type)
            pq.write_table(table.set_column(place, table.schema.field(column), cells), path)


def register(base: DuckDBPyConnection, folder: Path, columns: Mapping[str, str], name: str) -> None:
    """All Parquet files below a folder as a table; nothing is read yet."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.dataset as ds  # noqa: PLC0415 - likewise
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    kinds = {column: _kind(kind) for column, kind in columns.items()}
    for path in sorted(folder.glob("*/*.parquet")):
        for field in pq.read_schema(path):
            kinds[field.name] = _both(kinds.get(field.name, field.type), field.type)
    where = pa.schema([("municipality", pa.string())])
    schema = pa.schema([*where, *kinds.items()])
    parts = ds.partitioning(where, flavor="hive")
    base.register(name, ds.dataset(folder, schema=schema, format="parquet", partitioning=parts))


def _array(values: list[Any]) -> Any:
    """A column of what models said: numbers where all are, else text."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if value is None else str(value) for value in values])


def _schema(kinds: Mapping[str, str]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.schema([(name, _kind(kind)) for name, kind in kinds.items()])


def _kind(name: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    return pa.list_(pa.float32()) if name == "list<float>" else pa.type_for_alias(name)


def _both(one: Any, other: Any) -> Any:
    """A type for the values of both: text where they have nothing else in common."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    try:
        fields = [pa.schema([("value", kind)]) for kind in (one, other)]
        return pa.unify_schemas(fields, promote_options="permissive").field("value").type
    except pa.ArrowException:
        return pa.string()
