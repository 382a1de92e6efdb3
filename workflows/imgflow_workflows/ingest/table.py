"""A CSV or Parquet file that says where photographs lie, and what else is known of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps import keys
from imgflow_steps.contract import BadParametersError
from imgflow_steps.spelling import nearest
from imgflow_steps.store import Store
from imgflow_steps.store.versions import version_of
from imgflow_workflows.catalog.database import ROWS, database, quoted, said
from imgflow_workflows.catalog.keep import keep
from imgflow_workflows.ingest.copying import Photo, Reason, Refusal, Refuse, refused
from imgflow_workflows.ingest.files import Missing, file_of, file_status
from imgflow_workflows.ingest.web import NOWHERE, Web, is_url, named_by_url

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SUFFIXES = frozenset({".csv", ".tsv", ".parquet"})
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
NAMED = 3  # values that an error names
OURS = ("image", "municipality")  # columns that every catalog has
EXACT = ("BIGINT", "BOOLEAN")  # what a column of text becomes only where that gives the same text again

Say = Callable[[str], None]
Place = Callable[[str], tuple[str, Path]]  # a value of a column as the name and the file that it stands for


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

    @contextmanager
    def photos(self, store: Store, municipality: str, refuse: Refuse) -> Iterator[Iterator[Photo]]:
        """See ``Source``. When all are copied the catalog is written."""
        with database() as (base, folder):
            self._read(base, refuse)
            self._find(base, self._places(base), refuse)
            yield _photos(base, store, keys.images(municipality), self.web)
            keep(base, folder, _told(base), store, municipality)

    def _read(self, base: DuckDBPyConnection, refuse: Refuse) -> None:
        """The table as ``source``."""
        import duckdb  # noqa: PLC0415 - an extra

        if not self.path.is_file():
            raise BadParametersError(f"there is no file {self.path}")
        try:
            if self.path.suffix.lower() == ".parquet":
                base.execute("CREATE TABLE source AS SELECT * FROM read_parquet(?)", [escape(str(self.path))])
            else:
                self._read_csv(base, refuse)
        except duckdb.Error as error:
            raise BadParametersError(f"{self.path} cannot be read: {said(error)}; nothing was copied") from error
        if base.execute("SELECT 1 FROM source LIMIT 1").fetchone() is None:
            raise BadParametersError(f"{self.path} has no rows; nothing was copied")

    def _read_csv(self, base: DuckDBPyConnection, refuse: Refuse) -> None:
        with self.path.open("rb") as file:
            header = file.readline(1 << 20)
        delimiter = max(",;\t|", key=lambda mark: header.count(mark.encode()))
        asked = """FROM read_csv($path, delim = $delimiter, quote = '"', escape = '"', skip = 0, header = true,
            strict_mode = true, store_rejects = true, sample_size = -1"""
        given = {"path": escape(str(self.path)), "delimiter": delimiter}
        columns = [(name, kind) for name, kind, *_ in base.execute(f"DESCRIBE {asked})", given).fetchall()]
        asis = {*IDS, self.ids.casefold(), self.paths.casefold()}
        texts = {name: "VARCHAR" for name, kind in columns if name.casefold() in asis or kind == "BOOLEAN"}
        kinds, told = (", types = $texts", {"texts": texts}) if texts else ("", {})  # 007 is no 7, nor is F a false
        base.execute(f"CREATE TABLE source AS {asked}{kinds})", {**given, **told})
        faults = base.execute("SELECT DISTINCT ON (line) line, error_message FROM reject_errors ORDER BY line")
        found = faults.fetchall()
        if found and not self.lenient:
            (line, why), more = found[0], f" (and {len(found) - 1:,} more)" if found[1:] else ""
            raise BadParametersError(
                f"{self.path}, line {line} cannot be read: {said(why)}{more}; nothing was copied. "
                "--lenient leaves such lines out"
            )
        for line, why in found:
            refuse(Refusal(f"{self.path}:{line}", Reason.ROW, " ".join(why.split())))

    def _places(self, base: DuckDBPyConnection) -> tuple[str, Place]:
        """The column that says where photographs lie, and what name and place a value of it stands for."""
        columns = {name: name for name, *_ in base.execute("DESCRIBE source").fetchall()}
        for asked, flag in ((self.ids, "--id"), (self.paths, "--path")):
            if asked and asked not in columns:
                hint = nearest(asked, list(columns))
                raise BadParametersError(
                    f"{flag} {asked}: {self.path} has the columns {', '.join(columns)}{'; ' + hint if hint else ''}"
                )
        paths = self.paths or ("" if self.ids else _first(columns, PATHS))
        ids = self.ids or _first(columns, IDS)
        if not paths and not ids:
            raise BadParametersError(
                f"{self.path} has the columns {', '.join(columns)}; say which of them "
                "names the photographs with --path, or with --id, by which they are called images/<id>.jpg"
            )
        if ids:
            self._check_once(base, ids)
        if paths:
            if not self.paths:
                self.say(f"taking column {paths} for the paths of the photographs; --path or --id names another")
            return paths, self._at_path
        beside = self.path.parent / "images" if (self.path.parent / "images").is_dir() else self.path.parent
        if not self.ids:
            self.say(f"taking column {ids} for the names of photographs in {beside}; --path or --id names another")
        return ids, partial(_by_id, beside)

    def _at_path(self, value: str) -> tuple[str, Path]:
        return os.path.normpath(value).lstrip("/"), self.path.parent / value

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
        base.execute("CREATE TABLE photos (row BIGINT, image VARCHAR, place VARCHAR, bytes BIGINT, version VARCHAR)")
        rows = base.cursor().execute(f"SELECT rowid, {quoted(column)}::VARCHAR FROM source ORDER BY rowid")
        while batch := rows.fetchmany(ROWS):
            found = [one for row, value in batch if (one := self._row(row, value, place, missing, refuse))]
            if found:
                names = ("row", "image", "place", "bytes", "version")
                base.register("batch", pa.table(dict(zip(names, zip(*found, strict=True), strict=True))))
                base.execute("INSERT INTO photos SELECT * FROM batch")
                base.unregister("batch")
        missing.check(str(self.path))
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
            refuse(Refusal(f"row {row + 1}", Reason.ROW, "it names no photograph"))
            return None
        if is_url(value):
            self.web.check(value)
            name, path, size, version = named_by_url(value), value, 1, ""
        else:
            name, file = place(value)
            path = str(file)
            if not (status := file_status(path)):
                missing.add(path)
                return None
            size, version = status.st_size, version_of(status)
        if refusal := refused(name, value, size):
            refuse(refusal)
            return None
        return row, name, path, size, version


def _photos(base: DuckDBPyConnection, store: Store, prefix: str, web: Web) -> Iterator[Photo]:
    rows = base.cursor().execute("SELECT image, place, bytes, version FROM photos ORDER BY image")
    while batch := rows.fetchmany(ROWS):
        for name, place, size, version in batch:
            yield Photo(prefix + name, place, size, version, partial(store.stat, prefix + name), file_of(place, web))


def _by_id(folder: Path, value: str) -> tuple[str, Path]:
    """An id's file: the id itself where that has an image's suffix, else the first of the suffixes that is there."""
    usual = [f"{value}{suffix}" for suffix in ("", ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".JPG")]
    candidates = usual if Path(value).suffix.lower() in keys.IMAGE_SUFFIXES else usual[1:]
    name = next((name for name in candidates if file_status(str(folder / name))), candidates[0])
    return os.path.normpath(name).lstrip("/"), folder / name


def _first(columns: Mapping[str, str], names: tuple[str, ...]) -> str:
    plain = {column.casefold(): column for column in columns}
    return next((plain[name] for name in names if name in plain), "")


def _told(base: DuckDBPyConnection) -> str:
    """The query for what the table says of each photograph; what was read as text may be numbers or truths again."""
    columns = [name for name, *_ in base.execute("DESCRIBE source").fetchall()]
    named = [(name, quoted(f"source_{name}" if name.casefold() in OURS else name)) for name in columns]
    shown = [f"{_value(base, name)} AS {told}" for name, told in named]
    return f"SELECT photos.image, {', '.join(shown)} FROM photos JOIN source ON source.rowid = photos.row"


def _value(base: DuckDBPyConnection, column: str) -> str:
    name = f"source.{quoted(column)}"
    if base.execute(f"SELECT typeof({name}) FROM source LIMIT 1").fetchone() == ("VARCHAR",):
        for kind in EXACT:
            whole = f"SELECT bool_and(lower({name}) = TRY_CAST({name} AS {kind})::VARCHAR) FROM source"
            if base.execute(whole).fetchone() == (True,):
                return f"CAST({name} AS {kind})"
    return name
