"""Which column of a table says where its photographs lie, and what file a value of it stands for."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.notation import nearest
from imgflow_steps.records import keys
from imgflow_workflows.catalog.database import quoted
from imgflow_workflows.ingest.paths import Files, below

if TYPE_CHECKING:
    import os

    from duckdb import DuckDBPyConnection

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

Say = Callable[[str], None]
LocatedPhotograph = tuple[
    str, str, "os.stat_result | None"
]  # a photograph's name, where it lies, and its status if it is there
Place = Callable[[str], LocatedPhotograph]  # of a value of a column


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that somebody has named: that of the paths, or that of the ids; "" where none was."""

    ids: str = ""
    paths: str = ""

    def named(self) -> set[str]:
        """Every name, in lower case, that a column of photographs may have."""
        return {*IDS, *PATHS, self.ids.casefold(), self.paths.casefold()}


def of_table(base: DuckDBPyConnection, path: Path, asked_for: Columns, say: Say) -> tuple[str, Place]:
    """The column of ``source`` that names photographs, and what name and place a value of it stands for.

    ``path`` is the table's own. Raises BadParametersError where no column is clearly meant.
    """
    columns = {name: name for name, *_ in base.execute("DESCRIBE source").fetchall()}
    for asked, flag in ((asked_for.ids, "--id"), (asked_for.paths, "--path")):
        if asked and unicodedata.normalize("NFC", asked) not in columns:
            hint = nearest(asked, list(columns))
            raise BadParametersError(
                f"{flag} {asked}: {path} has the columns {', '.join(columns)}{'; ' + hint if hint else ''}"
            )
    paths = unicodedata.normalize("NFC", asked_for.paths) or ("" if asked_for.ids else _first(columns, PATHS))
    ids = unicodedata.normalize("NFC", asked_for.ids) or _first(columns, IDS)
    if not paths and not ids:
        paths = _by_values(base, list(columns))
        if names_image(paths):
            raise BadParametersError(
                f"{path}: its first row names a photograph, {paths}, and the names of columns are missing; "
                "put a row with column names, such as path, above it"
            )
    if not paths and not ids:
        raise BadParametersError(
            f"{path} has the columns {', '.join(columns)}. Which of them names the photographs? "
            "--path COLUMN: it holds their paths; --id COLUMN: it holds the ID in images/ID.jpg"
        )
    if ids:
        _check_once(base, path, ids)
    if paths:
        if not asked_for.paths:
            say(f"taking column {paths} for the paths of the photographs; --path or --id names another")
        return paths, partial(_by_path, Files(path.parent), path.parent)
    beside = path.parent / "images" if (path.parent / "images").is_dir() else path.parent
    if not asked_for.ids:
        say(f"taking column {ids} for the names of photographs in {beside}; --path or --id names another")
    return ids, partial(_by_id, Files(beside), beside)


def _check_once(base: DuckDBPyConnection, path: Path, column: str) -> None:
    name = quoted(column)
    told = f"{name} IS NOT NULL AND {name}::VARCHAR != 'nan'"
    twice = base.execute(f"SELECT {name} FROM source WHERE {told} GROUP BY 1 HAVING count(*) > 1 ORDER BY 1").fetchmany(
        NAMED + 1
    )
    if twice:
        shown = ", ".join(str(value) for (value,) in twice[:NAMED]) + (" and more" if twice[NAMED:] else "")
        raise BadParametersError(
            f"{path}: {column} {shown} is in several rows; nothing was copied. Every photograph has one row"
        )


def _by_path(files: Files, folder: Path, value: str) -> LocatedPhotograph:
    found = files.find(value)
    path, status = found or (value, None)
    return below(path.removeprefix(f"{folder.absolute()}/")), str(folder / path), status


def _by_id(files: Files, folder: Path, value: str) -> LocatedPhotograph:
    """An id's file: the id itself where that has an image's suffix, else the first of the suffixes that is there."""
    suffixes = ("", ".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
    plain = value.strip()
    usual = [f"{one}{suffix}" for one in dict.fromkeys((plain, plain.removesuffix(".0"))) for suffix in suffixes]
    candidates = usual if names_image(value) else [one for one in usual if names_image(one)]
    found = next(filter(None, map(files.find, candidates)), None)
    path, status = found or (candidates[0], None)
    return below(path), str(folder / path), status


def names_image(text: str) -> bool:
    """Whether a text ends as the name of an image does."""
    return Path(text.strip()).suffix.lower() in keys.IMAGE_SUFFIXES


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
