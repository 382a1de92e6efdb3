"""SQL over the catalogs and results of all municipalities, which can read nothing else and write nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from imgflow_steps import keys, selection
from imgflow_steps.collect.account import scalars
from imgflow_steps.collect.results import COLUMNS, OUTPUT_COLUMNS, marked, read_jsonl, spool
from imgflow_steps.contract import BadParametersError
from imgflow_steps.duplicates import duplicates
from imgflow_steps.history import records
from imgflow_steps.rows import merged
from imgflow_steps.store import NotFoundError
from imgflow_workflows.catalog.database import ROWS, database, said

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pyarrow import RecordBatchReader

    from imgflow_steps.contract import Output, Row
    from imgflow_steps.history import Record
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store

READS = 16  # files downloaded at the same time
TABLES = ("catalog", "results")
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
)


@contextmanager
def answering(
    store: Store, sql: str, municipality: str = "", chosen: Path | None = None, run: Run | None = None
) -> Iterator[DuckDBPyConnection]:
    """A locked database with the tables that ``sql`` names, of one municipality when it is named.

    ``catalog`` has the columns of all catalogs, ``results`` a row per picture, or per image that gave none, of the
    newest run's pipeline, or with ``run`` the verdicts of that one; both a column ``municipality``. ``chosen`` are the
    images of a selection, if there is one.
    Only copies of the row files and catalogs are read.
    """
    with database() as (base, folder):
        names = [municipality] if municipality else [keys.decode(name) for name in store.folders("datasets/")]
        for table in TABLES:
            (folder / table).mkdir()
        if "catalog" in sql.casefold():
            _fetch_catalogs(store, names, folder / "catalog")
        if "results" in sql.casefold():
            _write_results(store, municipality, folder / "results", run)
        _register(base, folder / "catalog", {"image": "string"})
        _register(base, folder / "results", _kinds())
        if chosen:
            _register_chosen(base, chosen)
        base.execute("SET enable_external_access = false")
        base.execute("SET lock_configuration = true")
        yield base


@contextmanager
def asked(
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
            store.download(keys.catalog(name), path)
        except NotFoundError:
            path.parent.rmdir()

    with ThreadPoolExecutor(READS) as pool:
        list(pool.map(fetch, names))


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


def _write_results(store: Store, municipality: str, folder: Path, run: Run | None) -> None:
    if run:
        verdicts = folder.with_suffix(".jsonl")
        store.download(keys.results_jsonl(run.id), verdicts)
        _write_rows(read_jsonl(verdicts), run.digest, _part(folder, run.municipality))
        return
    for name, record in newest(store, municipality).items():
        with merged(store, keys.rows(name, record.digest)) as rows:
            spooled = folder.with_name("rows.jsonl")
            found = duplicates(spool(spooled, rows), record.run.collect.near)
            _write_rows(marked(spooled, found), record.digest, _part(folder, name))


def _write_rows(rows: Iterable[Row], digest: str, part: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    base = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _kinds().items()])
    lines = (line for row in rows for line in _lines(row, digest))
    for number, batch in enumerate(iter(lambda: list(islice(lines, ROWS)), [])):
        more = sorted({name for line in batch for name in line} - set(base.names))
        table = pa.table({**{n: [line.get(n) for line in batch] for n in base.names}}, schema=base)
        for column in more:
            table = table.append_column(column, _array([line.get(column) for line in batch]))
        pq.write_table(table, part / f"{number:06d}.parquet")


def _lines(row: Row, digest: str) -> Iterator[dict[str, Any]]:
    image = {name: get(row) for name, get in COLUMNS.items()} | {"digest": digest, "ended": row.ended}
    outputs: list[Output] | list[None] = row.outputs or [None]
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


def _kinds() -> dict[str, str]:
    return dict.fromkeys(TEXTS, "string") | dict.fromkeys(NUMBERS, "int64") | dict.fromkeys(FRACTIONS, "double")


def _register(base: DuckDBPyConnection, folder: Path, columns: Mapping[str, str]) -> None:
    """All Parquet files below a folder as a table that is named after it; nothing is read yet."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    import pyarrow.dataset as ds  # noqa: PLC0415 - likewise
    import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

    kinds = {name: pa.type_for_alias(kind) for name, kind in columns.items()}
    for path in sorted(folder.glob("*/*.parquet")):
        for field in pq.read_schema(path):
            kinds[field.name] = _both(kinds.get(field.name, field.type), field.type)
    where = pa.schema([("municipality", pa.string())])
    schema = pa.schema([*where, *kinds.items()])
    parts = ds.partitioning(where, flavor="hive")
    base.register(folder.name, ds.dataset(folder, schema=schema, format="parquet", partitioning=parts))


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
