"""One verdict per listed image, and the files of them that programs read."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.metadata import FIELDS
from imgflow_steps.contract.redaction import redacted
from imgflow_steps.records import documents
from imgflow_steps.records.duplicates import Hashes
from imgflow_steps.records.row import WITH_RESULT, Entry, Published, Row, Status

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.records.duplicates import Duplicates

NUMBER = re.compile(r"-?[0-9]+[.][0-9]+([eE][+-]?[0-9]+)?")  # with decimals
LOST = "shard-lost"
MARK = "\ufeff"  # by which Excel knows UTF-8
NAMES = 1000  # of images with near-duplicates, remembered while these are read: as a rule they follow each other
ZONE = re.compile(r"[+-]\d\d:\d\d")  # of a photograph's time; a number with a sign is no formula, either
FORMULA = tuple(
    "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


def _exif(name: str, row: Row) -> str | float | None:
    return row.exif.get(name)


# A verdict is the image's row, its status the final one: here, and only here, it may be cached.
COLUMNS: dict[str, Callable[[Row], object]] = {
    "image": lambda row: row.image,
    "status": lambda row: row.status.value,
    "code": lambda row: row.code,
    "message": lambda row: redacted(row.message),
    "bytes": lambda row: row.bytes,
    "width": lambda row: row.width or None,
    "height": lambda row: row.height or None,
    "format": lambda row: row.format,
    "ms": lambda row: round(sum(row.ms.values()), 3) if row.ms else None,
    "run": lambda row: row.run,
    "dhash": lambda row: row.dhash or None,
    "duplicate_of": lambda row: row.duplicate_of or None,
    "outputs": lambda row: len(row.outputs),
    **{name: partial(_exif, name) for name in FIELDS},
}
# Of one picture that came of it; empty where none did.
OUTPUT_COLUMNS: dict[str, Callable[[Published], object]] = {
    "piece": lambda output: output.piece,
    "output_key": lambda output: output.key,
    "output_sha256": lambda output: output.sha256,
    "output_width": lambda output: output.width,
    "output_height": lambda output: output.height,
}


def verdict(entry: Entry, row: Row | None, run: str, cause: str = "") -> Row:
    """How a listed image ended, from the row of this very version of it; without one its shard was lost.

    ``cause`` is why the shard was given up, where that is known.
    """
    if row is None:
        why = f": {cause}" if cause else ""
        return Row(
            image=entry.image,
            version=entry.version,
            bytes=entry.bytes,
            status=Status.FAILED,
            code=LOST,
            run=run,
            message=f"its shard ended before this image had its turn{why}; "
            f"`imgflow retry {run}` computes what is missing",
        )
    if row.status is Status.PROCESSED and row.run != run:
        row.status = Status.CACHED
    return row


def spool(path: Path, verdicts: Iterable[Row]) -> Hashes:
    """Write verdicts to a file, a line each; gives the hashes of those with results, by the places of their lines."""
    hashes, place = Hashes(), 0
    with path.open("wb") as file:
        for row in verdicts:
            if row.status in WITH_RESULT:
                hashes.add(place, row.dhash)
            place += file.write(_line(row))
    return hashes


def read_at(path: Path, place: int) -> Row:
    """The verdict whose line begins at this many bytes."""
    with path.open("rb") as file:
        file.seek(place)
        return Row.model_validate_json(file.readline())


def marked(path: Path, found: Duplicates) -> Iterator[Row]:
    """The verdicts of a spool again, streaming, each near-duplicate with the name of the image that it looks like."""
    name = lru_cache(NAMES)(lambda place: read_at(path, place).image)
    ahead = zip(map(int, found.places), map(int, found.firsts), strict=True)
    duplicate, first = next(ahead, (-1, 0))
    place = 0
    with path.open("rb") as file:
        for line in file:
            row = Row.model_validate_json(line)
            if place == duplicate:
                row.duplicate_of = name(first)
                duplicate, first = next(ahead, (-1, 0))
            place += len(line)
            yield row


def write(jsonl: Path, table: Path, verdicts: Iterable[Row], findings: Iterable[str]) -> None:
    """``results.jsonl``: every verdict whole, one a line; ``results.csv``: the same as a flat table.

    The table has a line per image, or per picture where several came of it, and findings as ``found_<name>``. Text
    that a spreadsheet would run as a formula is preceded by an apostrophe; numbers stay numbers.
    """
    names = list(findings)
    with jsonl.open("wb") as lines, table.open("w", encoding="utf-8", newline="") as cells:
        writer = csv.writer(cells)
        writer.writerow([*COLUMNS, *OUTPUT_COLUMNS, *(harmless(f"found_{name}") for name in names)])
        for row in verdicts:
            lines.write(_line(row))
            writer.writerows(_cells(row, names))


def _line(row: Row) -> bytes:
    return row.model_dump_json().encode() + b"\n"


def _cells(row: Row, names: Sequence[str]) -> Iterator[list[object]]:
    image = [get(row) for get in COLUMNS.values()]
    outputs: list[Published] | list[None] = row.outputs or [None]
    for output in outputs:
        made = [get(output) if output else None for get in OUTPUT_COLUMNS.values()]
        found = dict(scalars(output.found)) if output else {}
        yield [harmless(cell) for cell in (*image, *made, *(found.get(name) for name in names))]


def read_jsonl(path: Path) -> Iterator[Row]:
    """The verdicts of ``results.jsonl`` again, streaming. Raises ValidationError where a line is damaged."""
    with path.open("rb") as file:
        yield from documents.each(Row, file, "results.jsonl")


def for_excel(cell: object, delimiter: str) -> object:
    """A number as an Excel reads it whose list separator is this: where that is a semicolon, decimals have a comma."""
    point = delimiter == ";" and NUMBER.fullmatch(str(cell))
    return str(cell).replace(".", ",") if point else cell


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    runs = isinstance(cell, str) and cell.startswith(FORMULA) and not ZONE.fullmatch(cell)
    return f"'{cell}" if runs else cell


Scalar = str | int | float


def scalars(found: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """What a model said, flat: names joined by dots; lists and vectors are left to results.jsonl."""
    for key, value in found.items():
        if isinstance(value, dict):
            yield from scalars(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float) and not (key == "vector" and prefix):
            yield f"{prefix}{key}", value
