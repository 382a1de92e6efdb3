"""A table in a workbook of Excel: the rows of one sheet, as the text that a CSV of it would hold in any language."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.ingest.delimited import Delimited, named
from imgflow_workflows.ingest.header import ROWS, rows_above
from imgflow_workflows.ingest.header import notes as header_notes
from imgflow_workflows.text import counted, size

SUFFIXES = frozenset({".xlsx", ".xlsm"})
UNCOMPUTED = re.compile(  # a formula as programs other than Excel write it; one that gives an empty text has t="str"
    rb'<c\b(?![^>]*\bt="str")[^>]*>\s*<f\b[^>]*(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>'
)
SHEET = re.compile(rb'<(?:\w+:)?sheet\b[^>]*\b\w+:id="([^"]*)"')  # in the order in which a workbook has them
RELATED = re.compile(rb"<(?:\w+:)?Relationship\b[^>]*>")
UNPACKED = 1 << 30  # bytes of all parts of a workbook, which are read as a whole


def read(path: Path, rows: Path, sheet: str = "", known: AbstractSet[str] = frozenset()) -> Delimited:
    """Write the rows below the header of ``sheet``, or else of the first sheet that has rows, to ``rows`` as a CSV.

    Dates become ISO 8601, whole numbers have no point, and cells with an error of Excel are empty.
    Raises BadParametersError where it is not a workbook, is locked by a password, or has no such sheet.
    """
    from python_calamine import CalamineError, PasswordError, SheetVisibleEnum, load_workbook  # noqa: PLC0415 - an extra

    _check_size(path)
    try:
        with load_workbook(path) as book:
            order = [one.name for one in book.sheets_metadata]
            seen = sorted(book.sheets_metadata, key=lambda one: one.visible != SheetVisibleEnum.Visible)
            sheets = {one.name: book.get_sheet_by_name(one.name) for one in seen}
            name, cells, others = _chosen(path, sheets, sheet)
            place = order.index(name) if cells else 0
            merged = sheets[name].merged_cell_ranges if cells else None
    except PasswordError:
        raise BadParametersError(f"{path} is locked by a password; nothing was copied. Save it without one") from None
    except CalamineError as error:
        raise BadParametersError(f"{path} cannot be read as a workbook: {error}; nothing was copied") from None
    above = rows_above([list(map(_text, row)) for row in cells[:ROWS]], known)
    header, *body = cells[above:] or [[]]
    columns, renamed = named([_text(cell) for cell in header])
    timed = {place for row in body for place, cell in enumerate(row) if isinstance(cell, datetime)}
    with rows.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(
            [_text(_at_midnight(cell) if place in timed else cell) for place, cell in enumerate(row)] for row in body
        )
    more = f"; the others are {', '.join(others)}; --sheet names another one" if others else ""
    skipped = header_notes([list(map(_text, row)) for row in cells[:above]], path.name)
    notes = (f"reading sheet {name} of {path.name}{more}", *skipped, *renamed, *_doubts(path, merged or (), place))
    return Delimited("utf-8", ",", columns, 1, notes)


def _doubts(path: Path, merged: Sequence[tuple[tuple[int, int], tuple[int, int]]], place: int) -> Iterator[str]:
    """What a reader of the cells of a sheet, by its place, does not see as whoever looks at them in Excel does."""
    tall = sum(first[0] < last[0] for first, last in merged)
    if tall:
        yield f"{counted(tall, 'merged cell')} of {path.name} over several rows: only the first of these has the value"
    with ZipFile(path) as parts:
        empty = sum(len(UNCOMPUTED.findall(parts.read(one))) for one in _parts_of(parts, place))
    if empty:
        yield f"{counted(empty, 'formula')} of {path.name} without a value, read as empty: open it in Excel and save it"


def _parts_of(book: ZipFile, place: int) -> list[str]:
    """The part that holds the cells of a sheet, by its place; those of all sheets where a workbook does not say so."""
    every = [one for one in book.namelist() if one.startswith("xl/worksheets/")]
    try:
        ids = SHEET.findall(book.read("xl/workbook.xml"))
        related = RELATED.findall(book.read("xl/_rels/workbook.xml.rels"))
    except KeyError:
        return every
    wanted = next((tag for tag in related if place < len(ids) and b'Id="%b"' % ids[place] in tag), b"")
    target = re.search(rb'\bTarget="/?(?:xl/)?([^"]*)"', wanted)
    named = [one for one in every if target and one == f"xl/{target[1].decode(errors='replace')}"]
    return named or every


def _check_size(path: Path) -> None:
    try:
        with ZipFile(path) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
    except (BadZipFile, OSError) as error:
        raise BadParametersError(
            f"{path} cannot be read as a workbook: {error}; nothing was copied. Save it as .xlsx or as 'CSV UTF-8'"
        ) from None
    if unpacked > UNPACKED:
        raise BadParametersError(
            f"{path} unpacks to {size(unpacked)}, more than {size(UNPACKED)}; nothing was copied. Save it as CSV"
        )


def _chosen(path: Path, sheets: Mapping[str, object], wanted: str) -> tuple[str, Sequence[Sequence[object]], list[str]]:
    """Name and rows of a sheet, and the names of the others that have rows."""
    filled = {name: cells for name, sheet in sheets.items() if any(map(any, cells := list(_rows(sheet))))}
    if wanted and wanted not in sheets:
        raise BadParametersError(f"--sheet {wanted}: {path} has the sheets {', '.join(sheets)}; nothing was copied")
    if not filled or (wanted and wanted not in filled):
        return wanted or next(iter(sheets), ""), [], []
    name = wanted or next(iter(filled))
    return name, filled[name], [] if wanted else [other for other in filled if other != name]


def _rows(sheet: object) -> Iterator[list[object]]:
    """Rows from the first one that is not empty."""
    cells = iter(sheet.to_python())  # type: ignore[attr-defined]  # CalamineSheet
    for row in cells:
        if any(cell != "" for cell in row):
            yield row
            break
    yield from cells


def _at_midnight(cell: object) -> object:
    """A day as the time at which it begins: in a column of times, Excel has no other number for that."""
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return datetime.combine(cell, time())
    return cell


def _duration(cell: timedelta) -> str:
    """Hours, which may be more than a day has, minutes and seconds, as Excel shows them, and what is below a second."""
    milliseconds = round(cell / timedelta(milliseconds=1))
    seconds, rest = divmod(abs(milliseconds), 1000)
    sign, fraction = "-" if milliseconds < 0 else "", f".{rest:03d}" if rest else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def _text(cell: object) -> str:
    match cell:
        case bool():
            return str(cell).lower()
        case float() if cell.is_integer() and abs(cell) < 1 << 53:
            return str(int(cell))
        case datetime() | time():
            return cell.isoformat(*([" "] if isinstance(cell, datetime) else []))
        case date():
            return cell.isoformat()
        case timedelta():
            return _duration(cell)
    return str(cell).replace("\r\n", "\n").replace("\r", "\n")  # as a CSV is read, whose rows end in one way
