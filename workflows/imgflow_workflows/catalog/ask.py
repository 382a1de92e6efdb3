"""SQL over the catalogs, results and findings of all municipalities, which can read nothing else and write nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys, selection
from imgflow_steps.records.results import COLUMNS, OUTPUT_COLUMNS, read_jsonl, scalars
from imgflow_steps.records.rows import merged
from imgflow_steps.store import NotFoundError
from imgflow_workflows.catalog import exif, findings
from imgflow_workflows.catalog.database import ROWS, database, said
from imgflow_workflows.catalog.hashes import NamedHashes
from imgflow_workflows.catalog.keep import download
from imgflow_workflows.catalog.parquet import Part, fill, register, share_of
from imgflow_workflows.catalog.together import put_together
from imgflow_workflows.runs.history import newest

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
VERDICT = {name: get for name, get in COLUMNS.items() if name not in FIELDS}  # those have a way of their own
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
    store: Store,
    sql: str,
    municipality: str = "",
    chosen: Path | None = None,
    run: Run | None = None,
    *,
    used: Callable[[Record], object] = lambda _: None,
    newest_runs: Mapping[str, Record] | None = None,
) -> Iterator[DuckDBPyConnection]:
    """A locked database with the tables that ``sql`` names, of one municipality when it is named.

    ``catalog`` has the columns of all catalogs, ``results`` a row per picture, or per image that gave none, of the
    newest run's pipeline, or with ``run`` the verdicts of that one; ``findings`` a row per thing that its models found,
    ``vectors`` one per vector that they gave; all a column ``municipality``. Where ``exif`` or one of its fields is
    named, ``catalog`` has it, and ``photographs`` has its fields as columns, too, see ``catalog.exif``. ``chosen`` are
    the images of a selection, if there is one. ``used`` is told each newest run that is read, and
    ``newest_runs`` are these where they are known already. Only copies of the row
    files and catalogs are read.
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
            runs = {} if run else newest_runs or newest(store, municipality)
            _write_made(store, folder, run, runs, made, used)
        for table in TABLES:
            put_together(base, folder / table)
        register(base, folder / "catalog", {"image": "string"}, plain)
        for table in MADE:
            register(base, folder / table, KINDS[table], table)
        if plain != "catalog":
            register(base, folder / "exif", exif.KINDS, "exif")
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
    """The answer to one SELECT over what ``answering`` gives, see ``answer``."""
    with answering(store, sql, municipality, chosen, run) as base, answer(base, sql) as found:
        yield found


@contextmanager
def answer(base: DuckDBPyConnection, sql: str) -> Iterator[RecordBatchReader]:
    """The answer to one SELECT, as batches that are computed while they are read, inside of the context.

    Raises BadParametersError saying what is wrong with it and which names are near.
    """
    import duckdb  # noqa: PLC0415 - an extra
    from pyarrow import ArrowException  # noqa: PLC0415 - likewise

    try:
        kinds = [statement.type.name for statement in base.extract_statements(sql)]
        if kinds != ["SELECT"]:
            raise BadParametersError(f"one SELECT is answered, nothing else; this is {', '.join(kinds) or 'nothing'}")
        yield base.sql(sql).to_arrow_reader(ROWS)
    except (duckdb.InterruptException, RuntimeError) as error:
        if "interrupted" not in str(error).casefold():
            raise
        raise KeyboardInterrupt from None  # that it took for itself
    except (duckdb.Error, ArrowException) as error:
        raise BadParametersError(f"the SQL cannot be answered: {said(error)}") from error


def _fetch_catalogs(store: Store, names: Iterable[str], folder: Path) -> None:
    def fetch(name: str) -> None:
        path = share_of(folder, name) / "catalog.parquet"
        try:
            download(store, name, path)
        except NotFoundError:
            path.parent.rmdir()

    with ThreadPoolExecutor(READS) as pool:
        list(pool.map(fetch, names))


def _write_exif(store: Store, names: Iterable[str], folder: Path) -> None:
    (folder / "exif").mkdir()
    for name in names:
        part = Part(share_of(folder / "exif", name), exif.KINDS)
        for line in exif.lines(store, name):
            part.add([line])
        part.write()


def _write_made(
    store: Store,
    folder: Path,
    run: Run | None,
    newest_runs: Mapping[str, Record],
    tables: Sequence[str],
    used: Callable[[Record], object],
) -> None:
    """The tables of what runs made, from one pass over their rows."""
    if run:
        verdicts = folder / "results.jsonl"
        store.download(keys.results_jsonl(run.id), verdicts)
        _write_rows(read_jsonl(verdicts), run, run.digest, folder, tables)
        return
    for name, record in newest_runs.items():
        used(record)
        with merged(store, keys.rows(name, record.digest)) as rows:
            if "results" not in tables:  # which alone name near-duplicates
                _write_rows(rows, record.run, record.digest, folder, tables)
                continue
            with NamedHashes(folder / "names.jsonl") as hashes:
                _write_rows(map(hashes.seen, rows), record.run, record.digest, folder, tables)
                fill(folder / "results", name, "duplicate_of", hashes.duplicates(record.run.collect.near))


def _write_rows(rows: Iterable[Row], run: Run, digest: str, folder: Path, tables: Sequence[str]) -> None:
    parts = {table: Part(share_of(folder / table, run.municipality), KINDS[table]) for table in tables}
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


def _lines(row: Row, digest: str) -> Iterator[dict[str, Any]]:
    image = {name: get(row) for name, get in VERDICT.items()} | {"digest": digest, "ended": row.ended}
    image |= {f"thumb_{side}": key or None for side, key in zip(("before", "after"), row.thumbs, strict=False)}
    image |= exif.columns(row)
    outputs: list[Published] | list[None] = row.outputs or [None]
    for output in outputs:
        made = {name: get(output) for name, get in OUTPUT_COLUMNS.items()} if output else {}
        found = {f"found_{name}": value for name, value in scalars(output.found)} if output else {}
        yield {**image, **made, **found}


def _register_chosen(base: DuckDBPyConnection, path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    images = selection.read(path)
    schema = pa.schema([("image", pa.string())])
    parts = iter(lambda: list(islice(images, ROWS)), [])
    batches = (pa.record_batch([pa.array(part, pa.string())], schema=schema) for part in parts)
    base.register("given", pa.RecordBatchReader.from_batches(schema, batches))
    base.execute("CREATE TABLE chosen AS SELECT * FROM given")
    base.unregister("given")
