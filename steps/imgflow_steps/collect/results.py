"""One verdict per listed image, and the files of them that programs read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from imgflow_steps.collect.account import scalars
from imgflow_steps.contract import Entry, Output, Row, Status
from imgflow_steps.duplicates import Hashes

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.duplicates import Duplicates

LOST = "shard-lost"
NAMES = 1000  # of images with near-duplicates, remembered while these are read: as a rule they follow each other
FORMULA = tuple(
    "=+-@\t\r\n\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)

# A verdict is the image's row, its status the final one: here, and only here, it may be cached.
COLUMNS: dict[str, Callable[[Row], object]] = {
    "image": lambda row: row.image,
    "status": lambda row: row.status.value,
    "code": lambda row: row.code,
    "message": lambda row: row.message,
    "bytes": lambda row: row.bytes,
    "width": lambda row: row.width or None,
    "height": lambda row: row.height or None,
    "format": lambda row: row.format,
    "ms": lambda row: round(sum(row.ms.values()), 3) if row.ms else None,
    "run": lambda row: row.run,
    "dhash": lambda row: row.dhash or None,
    "duplicate_of": lambda row: row.duplicate_of or None,
    "outputs": lambda row: len(row.outputs),
}
# Of one picture that came of it; empty where none did.
OUTPUT_COLUMNS: dict[str, Callable[[Output], object]] = {
    "piece": lambda output: output.piece,
    "output_key": lambda output: output.key,
    "output_sha256": lambda output: output.sha256,
    "output_width": lambda output: output.width,
    "output_height": lambda output: output.height,
}


def verdict(entry: Entry, row: Row | None, run: str) -> Row:
    """How a listed image ended, from the row of this very version of it; without one its shard was lost."""
    if row is None:
        return Row(
            image=entry.image,
            version=entry.version,
            bytes=entry.bytes,
            status=Status.FAILED,
            code=LOST,
            run=run,
            message=f"its shard ended before this image had its turn; `imgflow retry {run}` computes what is missing",
        )
    if row.status is Status.PROCESSED and row.run != run:
        row.status = Status.CACHED
    return row


def spool(path: Path, verdicts: Iterable[Row]) -> Hashes:
    """Write verdicts to a file, a line each; gives the hashes of those with results, by the places of their lines."""
    hashes, place = Hashes(), 0
    with path.open("wb") as file:
        for row in verdicts:
            if row.status in {Status.PROCESSED, Status.CACHED}:
                hashes.add(place, row.dhash)
            place += file.write(_line(row))
    return hashes


def read_at(path: Path, place: int) -> Row:
    """The verdict whose line begins at so many bytes."""
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
    outputs: list[Output] | list[None] = row.outputs or [None]
    for output in outputs:
        made = [get(output) if output else None for get in OUTPUT_COLUMNS.values()]
        found = dict(scalars(output.found)) if output else {}
        yield [harmless(cell) for cell in (*image, *made, *(found.get(name) for name in names))]


def read_jsonl(path: Path) -> Iterator[Row]:
    """The verdicts of ``results.jsonl`` again, streaming."""
    with path.open("rb") as file:
        for line in file:
            yield Row.model_validate_json(line)


def harmless(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
