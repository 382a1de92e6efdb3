"""SQL over the catalogs, results and findings of all municipalities, which can read nothing else and write nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys, selection
from imgflow_steps.records.duplicates import duplicates
from imgflow_steps.records.results import COLUMNS, OUTPUT_COLUMNS, marked, read_jsonl, scalars, spool
from imgflow_steps.records.rows import merged
from imgflow_steps.store import NotFoundError
from imgflow_workflows.catalog import exif, findings
from imgflow_workflows.catalog.database import ROWS, database, said
from imgflow_workflows.catalog.keep import download
from imgflow_workflows.catalog.together import put_together
from imgflow_workflows.runs.history import records

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow import RecordBatchReader

    from imgflow_steps.records.row import Published, Row
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.history import Record

READS = 16  # files downloaded at the same time
TABLES = ("catalog", "results", "findings", "vectors")
MADE = TABLES[1:]  # of what runs made
NUMBERS = ("bytes", "width", "height", "outputs", "output_width", "output_height")
FRACTIONS = ("ms", "ended")
TEXTS = (
    "image",
    "status",
    "code",
    "message",
    "format",
    "run",
    "dhash",
    "duplicate_of",
    "digest",
    "piece",
    "output_key",
    "output_sha256",
    "thumb_before",
    "thumb_after",
)
KINDS = {  # columns that a table always has
    "results": dict.fromkeys(TEXTS, "string")
    | dict.fromkeys(NUMBERS, "int64")
    | dict.fromkeys(FRACTIONS, "double")
    | FIELDS,
    "findings": findings.FINDINGS,
    "vectors": findings.VECTORS,
}


@contextmanager
def answering(
    store: Store, sql: str, municipality: str = "", chosen: Path | None = None, run: Run | None = None
) -> Iterator[DuckDBPyConnection]:
    """A locked database with the tables that ``sql`` names, of one municipality when it is named.

    ``catalog`` has the columns of all catalogs, ``results`` a row per picture, or per image that gave none, of the
    newest run's pipeline, or with ``run`` the verdicts of that one; ``findings`` a row per thing that its models found,
    ``vectors`` one per vector that they gave; all a column ``municipality``. Where ``exif`` or one of its fields is
    named, ``catalog`` has it, and ``photographs`` has its fields as columns, too, see ``catalog.exif``. ``chosen`` are
    the images of a selection, if there is one. Only copies of the row files and catalogs are read.
    """
    with database() as (base, folder):
        folded, plain = sql.casefold(), "catalog"
        names = [municipality] if municipality else [keys.decode(name) for name in store.folders("datasets/")]
        for table in TABLES:
            (folder / table).mkdir()
        if "catalog" in folded or "photographs" in folded:
            _fetch_catalogs(store, names, folder / "catalog")
            if exif.named(sql):
                plain = "plain"
                _write_exif(store, names, folder)
        if made := [table for table in MADE if table in folded]:
            _write_made(store, municipality, folder, run, made)
        for table in TABLES:
            put_together(base, folder / table)
        _register(base, folder / "catalog", {"image": "string"}, plain)
        for table in MADE:
            _register(base, folder / table, KINDS[table], table)
        if plain != "catalog":
            _register(base, folder / "exif", exif.KINDS, "exif")
            exif.join(base)
        if "judged" in folded:
            exif.judge(base)
        if chosen:
            _register_chosen(base, chosen)
        base.execute("SET enable_external_access = false")
        base.execute("SET lock_configuration = true")
        yield base


@contextmanager
def select(
    store: Store, sql: str, municipality: str = "", chosen: Path | None = None, run: Run | None = None
) -> Iterator[RecordBatchReader]:
    """The answer to one SELECT, as batches that are computed while they are read, inside of the context.

    Raises BadParametersError saying what is wrong with it and which names are near.
    """
    with answering(store, sql, municipality, chosen, run) as base:
        import duckdb  # noqa: PLC0415 - an extra
        from pyarrow import ArrowException  # noqa: PLC0415 - likewise

        try:
            kinds = [statement.type.name for statement in base.extract_statements(sql)]
            if kinds != ["SELECT"]:
                raise BadParametersError(
                    f"one SELECT is answered, nothing else; this is {', '.join(kinds) or 'nothing'}"
                )
            yield base.sql(sql).to_arrow_reader(ROWS)
        except (duckdb.InterruptException, RuntimeError) as error:
            if "interrupted" not in str(error).casefold():
                raise
            raise KeyboardInterrupt from None  # that it took for itself
        except (duckdb.Error, ArrowException) as error:
            raise BadParametersError(f"the SQL cannot be answered: {said(error)}") from error


def _fetch_catalogs(store: Store, names: Iterable[str], folder: Path) -> None:
    def fetch(name: str) -> None:
        path = _part(folder, name) / "catalog.parquet"
        try:
            download(store, name, path)
        except NotFoundError:
            path.parent.rmdir()

    with ThreadPoolExecutor(READS) as pool:
        list(pool.map(fetch, names))


def _write_exif(store: Store, names: Iterable[str], folder: Path) -> None:
    (folder / "exif").mkdir()
    for name in names:
        part = _Part(_part(folder / "exif", name), exif.KINDS)
        for line in exif.lines(store, name):
            part.add([line])
        part.write()


def _part(folder: Path, municipality: str) -> Path:
    part = folder / f"municipality={keys.encode(municipality)}"
    part.mkdir()
    return part


def newest(store: Store, municipality: str = "") -> dict[str, Record]:
    """The newest run of each municipality, or of one, that has listed anything."""
    found: dict[str, Record] = {}
    for _, one in records(store):
        if one is None or isinstance(one, ValidationError) or one.listing is None:
            continue
        name = one.run.municipality
        if municipality in {"", name} and (name not in found or found[name].run.created < one.run.created):
            found[name] = one
    return found


def _write_made(store: Store, municipality: str, folder: Path, run: Run | None, tables: Sequence[str]) -> None:
    """The tables of what runs made, from one pass over their rows."""
    if run:
        verdicts = folder / "results.jsonl"
        store.download(keys.results_jsonl(run.id), verdicts)
        _write_rows(read_jsonl(verdicts), run, run.digest, folder, tables)
        return
    for name, record in newest(store, municipality).items():
        with merged(store, keys.rows(name, record.digest)) as rows:
            if "results" in tables:  # which look for near-duplicates first
                spooled = folder / "rows.jsonl"
                found = duplicates(spool(spooled, rows), record.run.collect.near)
                rows = marked(spooled, found)  # noqa: PLW2901 - the same rows, marked
            _write_rows(rows, record.run, record.digest, folder, tables)


def _write_rows(rows: Iterable[Row], run: Run, digest: str, folder: Path, tables: Sequence[str]) -> None:
    parts = {table: _Part(_part(folder / table, run.municipality), KINDS[table]) for table in tables}
    for row in rows:
        for table, part in parts.items():
            match table:
                case "results":
                    part.add(_lines(row, digest))
                case "findings":
                    part.add(findings.things(row, run.pipeline))
                case _:
                    part.add(findings.vectors(row, run.pipeline))
    for part in parts.values():
        part.write()


class _Part:
    """A municipality's share of a table, as Parquet files of ``ROWS`` lines each; columns of ``kinds``, and others."""

    def __init__(self, folder: Path, kinds: Mapping[str, str]) -> None:
        self._folder, self._schema, self._number = folder, _schema(kinds), 0
        self._waiting: list[dict[str, Any]] = []

    def add(self, lines: Iterable[dict[str, Any]]) -> None:
        self._waiting += lines
        if len(self._waiting) >= ROWS:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        import pyarrow as pa  # noqa: PLC0415 - an extra
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

        base, batch = self._schema, self._waiting
        more = sorted({name for line in batch for name in line} - set(base.names))
        table = pa.table({**{n: [line.get(n) for line in batch] for n in base.names}}, schema=base)
        for column in more:
            table = table.append_column(column, _array([line.get(column) for line in batch]))
        if batch:
            pq.write_table(table, self._folder / f"{self._number:06d}.parquet")
        self._number, self._waiting = self._number + 1, []


def _lines(row: Row, digest: str) -> Iterator[dict[str, Any]]:
    image = {name: get(row) for name, get in COLUMNS.items()} | {"digest": digest, "ended": row.ended}
    image |= {f"thumb_{side}": key or None for side, key in zip(("before", "after"), row.thumbs, strict=False)}
    image |= exif.columns(row)
    outputs: list[Published] | list[None] = row.outputs or [None]
    for output in outputs:
        made = {name: get(output) for name, get in OUTPUT_COLUMNS.items()} if output else {}
        found = {f"found_{name}": value for name, value in scalars(output.found)} if output else {}
        yield {**image, **made, **found}


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


def _register(base: DuckDBPyConnection, folder: Path, columns: Mapping[str, str], name: str) -> None:
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


def _register_chosen(base: DuckDBPyConnection, path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    images = selection.read(path)
    schema = pa.schema([("image", pa.string())])
    parts = iter(lambda: list(islice(images, ROWS)), [])
    batches = (pa.record_batch([pa.array(part, pa.string())], schema=schema) for part in parts)
    base.register("given", pa.RecordBatchReader.from_batches(schema, batches))
    base.execute("CREATE TABLE chosen AS SELECT * FROM given")
    base.unregister("given")


def _both(one: Any, other: Any) -> Any:
    """A type for the values of both: text where they have nothing else in common."""
    import pyarrow as pa  # noqa: PLC0415 - an extra

    try:
        fields = [pa.schema([("value", kind)]) for kind in (one, other)]
        return pa.unify_schemas(fields, promote_options="permissive").field("value").type
    except pa.ArrowException:
        return pa.string()
