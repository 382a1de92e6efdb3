"""A CSV, Excel or Parquet file that says where photographs lie, and what else is known of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.admission import ADMISSION, Admission
from imgflow_steps.store import Store
from imgflow_steps.store.versions import version_of
from imgflow_steps.store.web import NOWHERE, Web, is_url, named_by_url
from imgflow_workflows.catalog.database import ROWS, database, quoted, said
from imgflow_workflows.catalog.keep import keep
from imgflow_workflows.ingest import places, workbook
from imgflow_workflows.ingest.delimited import UNNAMED, Delimited, named, read
from imgflow_workflows.ingest.files import Missing, file_of
from imgflow_workflows.ingest.kinds import WORDS, Reading, readings
from imgflow_workflows.ingest.names import ANY
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.text import counted
from imgflow_workflows.transfer.copying import Photo, refused

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SUFFIXES = frozenset({".csv", ".tsv", ".parquet"}) | workbook.SUFFIXES
SHORT = "MISSING COLUMNS"  # as DuckDB calls a row that ends early
OURS = ("image", "municipality")  # columns that every catalog has


@dataclass(slots=True)
class Learned:
    """What a table told: how many rows, and of which kind its columns are."""

    rows: int = 0
    columns: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """In words."""
        columns = ", ".join(f"{name} ({kind})" for name, kind in self.columns.items())
        return f"{counted(self.rows, 'row')} in the catalog, with {columns}"


@dataclass(frozen=True, slots=True)
class Table:
    """A row per photograph; every column goes to the municipality's catalog.

    ``paths`` names the column with paths, relative to the table's folder; without one ``ids`` names the column by
    which ``images/<id>.jpg``, or another suffix, lies beside the table. ``say`` is told what was guessed.
    """

    path: Path
    ids: str = ""
    paths: str = ""
    lenient: bool = False  # leave out rows that cannot be read and files that are not there
    say: places.Say = print
    web: Web = NOWHERE
    encoding: str = ""  # of a table as text; "" finds out
    sheet: str = ""  # of a workbook; "" is the first one with rows
    rules: Admission = ADMISSION
    learned: Learned = field(default_factory=Learned)  # filled when the catalog is written

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``. The table is understood before anything is copied; when all is, the catalog is written."""
        with database() as (base, folder):
            columns = self.read_source(base, folder, refuse)
            names, renamed = _names(list(columns))
            for note in renamed:
                self.say(note)
            told = _query(names, list(columns.values()), number_of_row(base))
            with self._readable():
                self._find(base, places.of_table(base, self.path, self._asked, self.say), refuse)
                base.execute(f"CREATE TABLE told AS {told}")
            yield _photos(base, store, keys.images(municipality), self.web)
            keep(base, folder, store, municipality)
            self.learned.rows = base.execute("SELECT count(*) FROM told").fetchall()[0][0]
            self.learned.columns.update(
                (name, WORDS.get(kind, kind.lower())) for name, kind, *_ in base.execute("DESCRIBE told").fetchall()[1:]
            )

    def read_source(self, base: DuckDBPyConnection, folder: Path, refuse: Refuse) -> Mapping[str, Reading]:
        """The table as ``source``, without empty rows and columns; gives how its columns are read."""
        if not self.path.is_file():
            raise BadParametersError(f"there is no file {self.path}")
        with self._readable():
            if self.path.suffix.lower() == ".parquet":
                delimiter = self._read_parquet(base)
            else:
                delimiter = self._read_text(base, folder / "rows.csv", refuse)
            columns = [name for name, *_ in base.execute("DESCRIBE source").fetchall()]
            if base.execute("SELECT 1 FROM source LIMIT 1").fetchone() is None:
                raise BadParametersError(f"{self.path} has no rows; nothing was copied")
            if not delimiter:
                return {name: Reading(quoted(name)) for name in columns}
            found = readings(base, columns, delimiter, cells=self._is_workbook)
            for name, one in zip(columns, found, strict=True):
                if one.note and name.casefold() not in self._asked.named():
                    self.say(one.note)  # that ids are text is nothing to be told
            return dict(zip(columns, found, strict=True))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Raises BadParametersError where DuckDB cannot read what the table holds."""
        import duckdb  # noqa: PLC0415 - an extra

        try:
            yield
        except duckdb.Error as error:
            raise BadParametersError(f"{self.path} cannot be read: {said(error)}; nothing was copied") from error

    @property
    def _asked(self) -> places.Columns:
        return places.Columns(self.ids, self.paths)

    @property
    def _is_workbook(self) -> bool:
        return self.path.suffix.lower() in workbook.SUFFIXES

    def _read_parquet(self, base: DuckDBPyConnection) -> str:
        if self.encoding:
            raise BadParametersError(f"--encoding is for text, and {self.path} is Parquet; omit it")
        if b"\\udc" in str(self.path).encode(errors="backslashreplace"):
            raise BadParametersError(
                f"{self.path}: its path is not UTF-8, as that of Parquet must be; copy it elsewhere"
            )
        import pyarrow.parquet as pq  # noqa: PLC0415 - an extra
        from pyarrow import ArrowException  # noqa: PLC0415 - likewise

        read = "read_parquet($path, hive_partitioning = false)"  # no column by the names of folders
        rows = base.sql(f"FROM {read}", params={"path": escape(str(self.path))})
        try:
            names, renamed = named(pq.read_schema(self.path).names)  # DuckDB names apart what it takes for the same
        except ArrowException as error:
            raise BadParametersError(f"{self.path} cannot be read: {error}; nothing was copied") from error
        for note in renamed:
            self.say(note)
        shown = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in zip(rows.columns, names, strict=True))
        base.execute(f"CREATE TABLE source AS SELECT {shown} FROM {read}", {"path": escape(str(self.path))})
        return ""

    def _read_text(self, base: DuckDBPyConnection, rows: Path, refuse: Refuse) -> str:
        """All columns as text; gives the delimiter."""
        if self._is_workbook:
            if self.encoding:
                raise BadParametersError(f"--encoding is for text, and {self.path} is a workbook; omit it")
            table = workbook.read(self.path, rows, self.sheet, self._asked.named())
        else:
            table = read(self.path, rows, self.encoding, self._asked.named())
        for note in table.notes:
            self.say(note)
        if not table.columns:
            raise BadParametersError(f"{self.path} has no rows; nothing was copied")
        faults = _fill(base, rows, table)
        short = sum(1 for kind, _, _ in faults if kind == SHORT)
        if short:
            faults = _fill(base, rows, table, padded=True)
            self.say(f"{counted(short, 'row')} of {self.path.name} end early, as Excel writes them: the rest is empty")
        told = {line + table.before: said(why) for _, line, why in faults}
        self._check_lines(told | table.undecoded, refuse)
        _drop_margins(base, table.columns)
        return table.delimiter

    def _check_lines(self, faults: Mapping[int, str], refuse: Refuse) -> None:
        """Raises BadParametersError for lines that cannot be read, or refuses them one by one."""
        if faults and not self.lenient:
            line, more = min(faults), f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
            raise BadParametersError(
                f"{self.path}, line {line} cannot be read: {faults[line]}{more}; nothing was copied. "
                "--lenient skips such lines"
            )
        for line, why in sorted(faults.items()):
            refuse(SkippedFile(f"{self.path}:{line}", SkipReason.ROW, why))

    def _find(self, base: DuckDBPyConnection, by: tuple[str, places.Place], refuse: Refuse) -> None:
        """Every row's photograph as ``photos``."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        column, place = by
        missing = Missing(self.lenient, refuse)
        refusals: list[SkippedFile] = []

        def note(refusal: SkippedFile) -> None:
            refusals[1:] = [refusal]
            refuse(refusal)

        base.execute("CREATE TABLE photos (row BIGINT, image VARCHAR, place BLOB, bytes BIGINT, version VARCHAR)")
        rows = base.cursor().execute(
            f"SELECT {number_of_row(base)} AS number, {_plain(base, column)} FROM source ORDER BY 1"
        )
        while batch := rows.fetchmany(ROWS):
            found = [one for row, value in batch if (one := self._row(row, value, place, missing, note))]
            if found:
                names = ("row", "image", "place", "bytes", "version")
                base.register("batch", pa.table(dict(zip(names, zip(*found, strict=True), strict=True))))
                base.execute("INSERT INTO photos SELECT * FROM batch")
                base.unregister("batch")
        missing.check(str(self.path))
        if base.execute("SELECT 1 FROM photos LIMIT 1").fetchone() is None:
            first = f"; the first one: {refusals[0].path}: {refusals[0].message}" if refusals else ""
            raise BadParametersError(f"no row of {self.path} names a photograph that can be copied{first}")
        twice = base.execute(
            "SELECT image, min(place), max(place) FROM photos GROUP BY 1 HAVING count(*) > 1"
        ).fetchone()
        if twice:
            image, *raw = twice
            places = [place.decode(errors=ANY) for place in dict.fromkeys(raw)]
            where = f" ({', '.join(places)})" if len(places) > 1 else ""
            raise BadParametersError(
                f"{self.path}: several rows are about {image}{where}; nothing was copied. Every photograph has one row"
            )

    def _row(
        self, row: int, value: str | None, place: places.Place, missing: Missing, refuse: Refuse
    ) -> tuple[int, str, bytes, int, str] | None:
        if not value:
            refuse(SkippedFile(f"row {row + 1}", SkipReason.ROW, "it names no photograph"))
            return None
        if is_url(value):
            self.web.check(value)
            name, path, size, version = named_by_url(value), value, 1, ""
        else:
            name, path, status = place(value)
            if not status:
                missing.add(path)
                return None
            size, version = status.st_size, version_of(status)
        if refusal := refused(self.rules, name, value, size):
            refuse(refusal)
            return None
        return row, name, path.encode(errors=ANY), size, version  # the folder above may have any name


def _fill(
    base: DuckDBPyConnection, rows: Path, table: Delimited, *, padded: bool = False
) -> list[tuple[str, int, str]]:
    """Table ``source``, all text; gives what is wrong with lines: its kind, the line and the words.

    ``padded`` fills up rows that have fewer cells than there are columns.
    """
    faults = "faults_of_padded" if padded else "faults"
    base.execute(
        f"""CREATE OR REPLACE TABLE source AS FROM read_csv($path, columns = $columns, delim = $delimiter, quote = '"',
        escape = '"', header = false, auto_detect = false, strict_mode = true, store_rejects = true,
        rejects_table = '{faults}', rejects_scan = '{faults}_scan',
        null_padding = {padded}, parallel = {not padded})""",
        {"path": str(rows), "columns": dict.fromkeys(table.columns, "VARCHAR"), "delimiter": table.delimiter},
    )
    each = f"SELECT DISTINCT ON (line) error_type, line, error_message FROM {faults}"
    return base.execute(f"{each} ORDER BY line, error_message").fetchall()


def _drop_margins(base: DuckDBPyConnection, columns: Sequence[str]) -> None:
    """Remove a spreadsheet's empty rows, and its empty columns that have no name."""
    counts = base.execute(f"SELECT {', '.join(f'count({quoted(name)})' for name in columns)} FROM source").fetchall()
    for name, count in zip(columns, counts[0], strict=True):
        if not count and UNNAMED.fullmatch(name):
            base.execute(f"ALTER TABLE source DROP {quoted(name)}")
    left = base.sql("FROM source").columns
    base.execute(f"DELETE FROM source WHERE coalesce({', '.join(map(quoted, left))}) IS NULL")


def _photos(base: DuckDBPyConnection, store: Store, prefix: str, web: Web) -> Iterator[Photo]:
    rows = base.cursor().execute("SELECT image, place, bytes, version FROM photos ORDER BY image")
    while batch := rows.fetchmany(ROWS):
        for name, raw, size, version in batch:
            place = raw.decode(errors=ANY)
            yield Photo(prefix + name, place, size, version, partial(store.stat, prefix + name), file_of(place, web))


def _plain(base: DuckDBPyConnection, column: str) -> str:
    """SQL for the text of a column that names photographs: pandas makes 7.0 of a 7 that has a gap below it."""
    name = quoted(column)
    kind = base.sql(f"SELECT {name} FROM source").types[0]
    if str(kind) == "BLOB":
        return f"decode({name})"
    if str(kind) not in {"DOUBLE", "FLOAT"}:
        return f"{name}::VARCHAR"
    whole = base.execute(f"SELECT bool_and({name} = trunc({name})) FROM source WHERE isfinite({name})").fetchall()
    return f"CASE WHEN isfinite({name}) THEN {name}{'::HUGEINT' if whole == [(True,)] else ''}::VARCHAR END"


def number_of_row(base: DuckDBPyConnection) -> str:
    """SQL for the number of a row of ``source``, from 0, which a column called ``rowid`` hides."""
    hidden = "rowid" in map(str.casefold, base.sql("FROM source").columns)
    return "(row_number() OVER () - 1)" if hidden else "rowid"


def _names(columns: Sequence[str]) -> tuple[list[str], list[str]]:
    """What columns are called in the catalog, which has some of its own, and which are called otherwise there."""
    taken = {column.casefold() for column in columns}
    names, notes = list(columns), []
    for place, column in enumerate(columns):
        if column.casefold() in OURS:
            free = (name for i in itertools.count(1) if (name := f"source_{column}{'' if i == 1 else f'_{i}'}"))
            names[place] = next(name for name in free if name.casefold() not in taken)
            taken.add(names[place].casefold())
            notes.append(
                f"the catalog has a column {column.casefold()} of its own: that of the table becomes {names[place]!r}"
            )
    return names, notes


def _query(names: Sequence[str], readings: Sequence[Reading], number: str) -> str:
    """The query for what the table says of each photograph, its columns called by these names."""
    shown = "".join(f", {how.sql} AS {quoted(name)}" for name, how in zip(names, readings, strict=True))
    told = "".join(f", source.{quoted(name)}" for name in names)
    alias = next(name for i in itertools.count(1) if (name := f"number_{i}") not in map(str.casefold, names))
    rows = f"SELECT {number} AS {alias}{shown} FROM source"
    return f"SELECT image{told} FROM photos JOIN ({rows}) AS source ON source.{alias} = photos.row"
