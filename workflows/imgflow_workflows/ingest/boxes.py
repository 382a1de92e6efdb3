"""A CSV, Excel or Parquet table of boxes that people gave, into a municipality's store: whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import boxes, keys
from imgflow_steps.records.boxes import Head, ManualBox, Marked
from imgflow_steps.records.merge import joined
from imgflow_steps.store import Store, open_store
from imgflow_workflows.catalog.database import ROWS, database, quoted
from imgflow_workflows.ingest.places import Say
from imgflow_workflows.ingest.table import SUFFIXES, Table, number_of_row
from imgflow_workflows.submit.request import check_municipality
from imgflow_workflows.text import counted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from imgflow_workflows.ingest.kinds import Reading
    from imgflow_workflows.results.skips import SkippedFile

CORNERS, SIDES = ("x0", "y0", "x1", "y1"), ("x", "y", "w", "h")  # the latter as table findings has them
NAMED = 3  # images that an error names
Row = tuple[int, str | None, str | None, tuple[str | None, ...], tuple[float | None, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the images lie of which a table may speak: their store, and what their keys begin with."""

    store: Store
    prefix: str

    def names(self) -> Iterator[str]:
        """The keys below the prefix, in order."""
        return (found.key.removeprefix(self.prefix) for found in self.store.entries(self.prefix))


def bring(
    path: Path,
    store: Store,
    municipality: str,
    *,
    say: Say,
    source: str = "",
    ahead: bool = False,
    encoding: str = "",
    sheet: str = "",
) -> Head:
    """Put a table in the place of what a municipality had; gives how many images and boxes it has.

    The images are those of its dataset, or of a ``source``; ``ahead``: others may be named, which are yet to come.
    Raises BadParametersError, which names the row, where it cannot be taken as it is, ImgflowError where there is no
    such municipality, and StoreError.
    """
    if not source:
        check_municipality(store, municipality)
    place = Place(open_store(source), "") if source else Place(store, keys.images(municipality))
    if path.suffix.lower() not in SUFFIXES:
        raise BadParametersError(f"{path} is not a .csv, .tsv, .xlsx or .parquet table")
    table = Table(path, lenient=True, say=say, encoding=encoding, sheet=sheet)
    with database() as (base, folder):

        def refuse(line: SkippedFile) -> NoReturn:
            raise BadParametersError(f"{line.path} cannot be read: {line.message}; the boxes stay as they were")

        rows = _rows(base, table.read_source(base, folder, refuse), path)
        marked = (_marked(path, image, list(its)) for image, its in groupby(rows, lambda row: row[1] or ""))
        return boxes.write(store, municipality, marked if ahead else _there(marked, place, path), folder)


def _rows(base: DuckDBPyConnection, columns: Mapping[str, Reading], path: Path) -> Iterator[Row]:
    """Number, image, label and coordinates of every row, these as they are written and as numbers; by image."""
    plain = {name.casefold(): name for name in columns}
    numbers = next((names for names in (CORNERS, SIDES) if plain.keys() >= set(names)), None)
    if numbers is None or "image" not in plain:
        raise BadParametersError(
            f"{path} has the columns {', '.join(columns)}; a table of boxes has image, {', '.join(CORNERS)} in pixels "
            f"of the upright photograph, or image, {', '.join(SIDES)}, and may have label"
        )
    label = f"nullif(trim({quoted(plain['label'])}::VARCHAR), '')" if "label" in plain else "NULL"
    written = ", ".join(f"nullif(trim({quoted(plain[name])}::VARCHAR), '')" for name in numbers)
    read = ", ".join(f"TRY_CAST({columns[plain[name]].sql} AS DOUBLE)" for name in numbers)
    told = f"{number_of_row(base)} + 1, {quoted(plain['image'])}::VARCHAR AS image, {label}, {written}, {read}"
    rows = base.cursor().execute(f"SELECT {told} FROM source ORDER BY image NULLS FIRST, 1")
    while batch := rows.fetchmany(ROWS):
        for number, image, name, *cells in batch:
            values = tuple(cells[4:])
            if numbers is SIDES and None not in values:
                x, y, w, h = values
                values = (x, y, x + w, y + h)
            yield number, image, name, tuple(cells[:4]), values


def _marked(path: Path, image: str, rows: list[Row]) -> Marked:
    """What a table says of one image."""
    if not image:
        raise _fault(path, rows[0], "it names no image")
    found: list[ManualBox] = []
    nothing = [row for row in rows if not any(row[3])]
    if nothing and len(rows) > 1:
        raise _fault(path, nothing[0], f"it says that nothing is to be covered in {image}, and other rows speak of it")
    for row in rows if not nothing else ():
        _, _, label, written, values = row
        if None in values:
            bad: Any = next(text for text, value in zip(written, values, strict=True) if value is None)
            raise _fault(path, row, f"{bad!r} is not a number" if bad else "a coordinate is empty, and others are not")
        box = ManualBox(label or boxes.UNNAMED, *(float(value or 0) for value in values))
        if box.fault:
            raise _fault(path, row, box.fault)
        found.append(box)
    return Marked(image=image, boxes=tuple(found))


def _fault(path: Path, row: Row, what: str) -> BadParametersError:
    return BadParametersError(f"{path}, row {row[0]}: {what}; the boxes stay as they were")


def _there(table: Iterable[Marked], place: Place, path: Path) -> Iterator[Marked]:
    """The table, if every image is there: a slip in a name would leave a face visible."""
    absent, first = 0, list[str]()
    for one, name in joined(table, place.names(), lambda marked: marked.image, str, how="left"):
        assert one is not None  # noqa: S101 - narrows the type: a left join
        if name is None:
            absent += 1
            first += [one.image] if len(first) < NAMED else []
        yield one
    if absent:
        more = f" and {absent - len(first):,} more" if absent > len(first) else ""
        raise BadParametersError(
            f"{path} names {counted(absent, 'image')} not in {place.store.url.rstrip('/')}/{place.prefix}: "
            f"{', '.join(first)}{more}; the boxes stay as they were. --ahead accepts images that are yet to come"
        )


def shown(path: Path) -> Iterator[tuple[str, ManualBox | None]]:
    """Image and box of every row of a local copy; None where nothing is to be covered."""
    for marked in boxes.read(path):
        yield from ((marked.image, box) for box in marked.boxes or (None,))
