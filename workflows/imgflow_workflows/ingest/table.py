"""A CSV, Excel or Parquet file that says where photographs lie, and what else is known of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.records import keys
from imgflow_steps.records.admission import ADMISSION, Admission
from imgflow_steps.store import Store
from imgflow_steps.store.versions import version_of
from imgflow_steps.store.web import NOWHERE, Web, is_url, named_by_url
from imgflow_workflows.catalog.database import ROWS, database, quoted, said
from imgflow_workflows.catalog.keep import keep
from imgflow_workflows.ingest import workbook
from imgflow_workflows.ingest.delimited import UNNAMED, Delimited, named, read
from imgflow_workflows.ingest.files import Missing, file_of
from imgflow_workflows.ingest.kinds import WORDS, Reading, readings
from imgflow_workflows.ingest.paths import Files, below
from imgflow_workflows.results.skips import Refuse, SkippedFile, SkipReason
from imgflow_workflows.text import counted
from imgflow_workflows.transfer.copying import Photo, refused

if TYPE_CHECKING:
    import os

    from duckdb import DuckDBPyConnection

SUFFIXES = frozenset({".csv", ".tsv", ".parquet"}) | workbook.SUFFIXES
PATHS = (
    "path",
    "file",
    "filename",
    "file_name",
    "image",
    "image_path",
    "image_file",
    "url",
    "link",
)  # what people call the column
IDS = ("id", "image_id")
SHORT = "MISSING COLUMNS"  # as DuckDB calls a row that ends early
NAMED = 3  # values that an error names
OURS = ("image", "municipality")  # columns that every catalog has

Say = Callable[[str], None]
LocatedPhotograph = tuple[
    str, str, "os.stat_result | None"
]  # a photograph's name, where it lies, and its status if it is there
Place = Callable[[str], LocatedPhotograph]  # of a value of a column


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
    say: Say = print
    web: Web = NOWHERE
    encoding: str = ""  # of a table as text; "" finds out
    sheet: str = ""  # of a workbook; "" is the first one with rows
    rules: Admission = ADMISSION
    learned: Learned = field(default_factory=Learned)  # filled when the catalog is written

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``. The table is understood before anything is copied; when all is, the catalog is written."""
        with database() as (base, folder):
            told = _query(self.read_source(base, folder, refuse))
            self._find(base, self._places(base), refuse)
            base.execute(f"CREATE TABLE told AS {told}")
            yield _photos(base, store, keys.images(municipality), self.web)
            keep(base, folder, store, municipality)
            self.learned.rows = base.execute("SELECT count(*) FROM told").fetchall()[0][0]
            self.learned.columns.update(
                (name, WORDS.get(kind, kind.lower())) for name, kind, *_ in base.execute("DESCRIBE told").fetchall()[1:]
            )

    def read_source(self, base: DuckDBPyConnection, folder: Path, refuse: Refuse) -> Mapping[str, Reading]:
        """The table as ``source``, without empty rows and columns; gives how its columns are read."""
        import duckdb  # noqa: PLC0415 - an extra

        if not self.path.is_file():
            raise BadParametersError(f"there is no file {self.path}")
        try:
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
                if one.note and name.casefold() not in {*IDS, *PATHS, self.ids.casefold(), self.paths.casefold()}:
                    self.say(one.note)  # that ids are text is nothing to be told
            return dict(zip(columns, found, strict=True))
        except duckdb.Error as error:
            raise BadParametersError(f"{self.path} cannot be read: {said(error)}; nothing was copied") from error

    @property
    def _is_workbook(self) -> bool:
        return self.path.suffix.lower() in workbook.SUFFIXES

    def _read_parquet(self, base: DuckDBPyConnection) -> str:
        if self.encoding:
            raise BadParametersError(f"--encoding is for text, and {self.path} is Parquet; omit it")
        rows = base.sql("SELECT * FROM read_parquet($path)", params={"path": escape(str(self.path))})
        names, renamed = named(rows.columns)
        for note in renamed:
            self.say(note)
        shown = ", ".join(f"{quoted(old)} AS {quoted(new)}" for old, new in zip(rows.columns, names, strict=True))
        base.execute(f"CREATE TABLE source AS SELECT {shown} FROM read_parquet(?)", [escape(str(self.path))])
        return ""

    def _read_text(self, base: DuckDBPyConnection, rows: Path, refuse: Refuse) -> str:
        """All columns as text; gives the delimiter."""
        if self._is_workbook:
            if self.encoding:
                raise BadParametersError(f"--encoding is for text, and {self.path} is a workbook; omit it")
            table = workbook.read(self.path, rows, self.sheet)
        else:
            table = read(self.path, rows, self.encoding)
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

    def _places(self, base: DuckDBPyConnection) -> tuple[str, Place]:
        """The column that says where photographs lie, and what name and place a value of it stands for."""
        columns = {name: name for name, *_ in base.execute("DESCRIBE source").fetchall()}
        for asked, flag in ((self.ids, "--id"), (self.paths, "--path")):
            if asked and unicodedata.normalize("NFC", asked) not in columns:
                hint = nearest(asked, list(columns))
                raise BadParametersError(
                    f"{flag} {asked}: {self.path} has the columns {', '.join(columns)}{'; ' + hint if hint else ''}"
                )
        paths = unicodedata.normalize("NFC", self.paths) or ("" if self.ids else _first(columns, PATHS))
        ids = unicodedata.normalize("NFC", self.ids) or _first(columns, IDS)
        if not paths and not ids:
            paths = _by_values(base, list(columns))
        if not paths and not ids:
            raise BadParametersError(
                f"{self.path} has the columns {', '.join(columns)}. Which of them names the photographs? "
                "--path COLUMN: it holds their paths; --id COLUMN: it holds the ID in images/ID.jpg"
            )
        if ids:
            self._check_once(base, ids)
        if paths:
            if not self.paths:
                self.say(f"taking column {paths} for the paths of the photographs; --path or --id names another")
            return paths, partial(_by_path, Files(self.path.parent), self.path.parent)
        beside = self.path.parent / "images" if (self.path.parent / "images").is_dir() else self.path.parent
        if not self.ids:
            self.say(f"taking column {ids} for the names of photographs in {beside}; --path or --id names another")
        return ids, partial(_by_id, Files(beside), beside)

    def _check_once(self, base: DuckDBPyConnection, column: str) -> None:
        name = quoted(column)
        twice = base.execute(
            f"SELECT {name} FROM source WHERE {name} IS NOT NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
        ).fetchmany(NAMED + 1)
        if twice:
            shown = ", ".join(str(value) for (value,) in twice[:NAMED]) + (" and more" if twice[NAMED:] else "")
            raise BadParametersError(
                f"{self.path}: {column} {shown} is in several rows; nothing was copied. Every photograph has one row"
            )

    def _find(self, base: DuckDBPyConnection, by: tuple[str, Place], refuse: Refuse) -> None:
        """Every row's photograph as ``photos``."""
        import pyarrow as pa  # noqa: PLC0415 - an extra

        column, place = by
        missing = Missing(self.lenient, refuse)
        refusals: list[SkippedFile] = []

        def note(refusal: SkippedFile) -> None:
            refusals[1:] = [refusal]
            refuse(refusal)

        base.execute("CREATE TABLE photos (row BIGINT, image VARCHAR, place VARCHAR, bytes BIGINT, version VARCHAR)")
        rows = base.cursor().execute(f"SELECT rowid, {_plain(base, column)} FROM source ORDER BY rowid")
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
            raise BadParametersError(
                f"{self.path}: several rows are about {twice[0]} ({twice[1]}, {twice[2]}); nothing was copied"
            )

    def _row(
        self, row: int, value: str | None, place: Place, missing: Missing, refuse: Refuse
    ) -> tuple[int, str, str, int, str] | None:
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
        return row, name, path, size, version


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
        for name, place, size, version in batch:
            yield Photo(prefix + name, place, size, version, partial(store.stat, prefix + name), file_of(place, web))


def _by_path(files: Files, folder: Path, value: str) -> LocatedPhotograph:
    found = files.find(value)
    path, status = found or (value, None)
    return below(path.removeprefix(f"{folder.absolute()}/")), str(folder / path), status


def _by_id(files: Files, folder: Path, value: str) -> LocatedPhotograph:
    """An id's file: the id itself where that has an image's suffix, else the first of the suffixes that is there."""
    usual = [f"{value.strip()}{suffix}" for suffix in ("", ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")]
    candidates = usual if Path(value).suffix.lower() in keys.IMAGE_SUFFIXES else usual[1:]
    found = next(filter(None, map(files.find, candidates)), None)
    path, status = found or (candidates[0], None)
    return below(path), str(folder / path), status


def _plain(base: DuckDBPyConnection, column: str) -> str:
    """SQL for the text of a column that names photographs: pandas makes 7.0 of a 7 that has a gap below it."""
    name = quoted(column)
    kind = base.sql(f"SELECT {name} FROM source").types[0]
    if str(kind) == "BLOB":
        return f"decode({name})"
    whole = f"SELECT bool_and({name} = trunc({name})) FROM source"
    if str(kind) in {"DOUBLE", "FLOAT"} and base.execute(whole).fetchall() == [(True,)]:
        return f"{name}::HUGEINT::VARCHAR"
    return f"{name}::VARCHAR"


def _first(columns: Mapping[str, str], names: tuple[str, ...]) -> str:
    plain = {column.casefold(): column for column in columns}
    return next((plain[name] for name in names if name in plain), "")


def _by_values(base: DuckDBPyConnection, columns: Sequence[str]) -> str:
    """The only column whose values all end as the names of images do; "" where none or several are so."""
    ends = "|".join(suffix.removeprefix(".") for suffix in sorted(keys.IMAGE_SUFFIXES))
    each = ", ".join(f"bool_and(regexp_matches({quoted(name)}::VARCHAR, '[.]({ends})$', 'i'))" for name in columns)
    found = base.execute(f"SELECT {each} FROM source").fetchone() or ()
    named = [name for name, every in zip(columns, found, strict=True) if every]
    return named[0] if len(named) == 1 else ""


def _query(columns: Mapping[str, Reading]) -> str:
    """The query for what the table says of each photograph."""
    named = {name: quoted(f"source_{name}" if name.casefold() in OURS else name) for name in columns}
    shown = ", ".join(f"{how.sql} AS {named[name]}" for name, how in columns.items())
    return (
        f"SELECT image, source.* EXCLUDE (number) FROM photos "
        f"JOIN (SELECT rowid AS number, {shown} FROM source) AS source ON number = photos.row"
    )
