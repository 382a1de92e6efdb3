"""A table as text, as Excel and others write it: its encoding, delimiter and columns, and its rows as UTF-8."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.ingest.encodings import check, encoding_of
from imgflow_workflows.ingest.header import notes as header_notes
from imgflow_workflows.ingest.header import rows_above

DELIMITERS = (",", ";", "\t", "|")
RECORDS = 200  # by which delimiters are told apart
CELL = 1 << 24  # characters of one cell
SEP = re.compile(r'"?sep=(.)"?\n?', re.IGNORECASE)  # a line that Excel writes and reads
END_OF_DOS = "\x1a"  # at the end of a file
UNNAMED = re.compile(r"column_\d+")  # what a column is called that has no name
BINARY = {b"PK\3\4": "an Excel workbook or another zip", b"\xd0\xcf\x11\xe0": "an old Excel workbook"}

csv.field_size_limit(CELL)


@dataclass(frozen=True, slots=True)
class Delimited:
    """What a text turned out to be; its rows lie in a file of their own, in UTF-8 and with plain ends of lines."""

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    before: int  # lines before the first row
    notes: tuple[str, ...] = ()  # what was guessed or changed, for people
    undecoded: dict[int, str] = field(default_factory=dict)  # lines left out of the rows, with what is wrong with them


def read(path: Path, rows: Path, encoding: str = "", known: AbstractSet[str] = frozenset()) -> Delimited:
    """Find out what a table is and write its rows to ``rows``; ``known`` is as in ``rows_above``.

    Raises BadParametersError where it is no table or not in the ``encoding`` that is said to be its own.
    """
    _check_text(path)
    notes = []
    if encoding:
        name = check(encoding)
    else:
        found = encoding_of(path)
        name = found.name
        if found.why:
            notes.append(f"reading {path.name} as {name} ({found.why}); --encoding names another encoding")
    with _opened(path, name) as file:
        try:
            before, delimiter, lines = _preface(file)
            delimiter = delimiter or _delimiter(path, name, before, known)
            first = _first_records(path, name, before, delimiter)
            above = first[: rows_above(first, known)]
            records = csv.reader(_counting(lines, counter := [before]), delimiter=delimiter)
            header = next(islice(records, len(above), None), [])
            "".join(header).encode()  # or it is not in UTF-8
            undecoded = _write(lines, rows, counter[0])
        except UnicodeError as error:
            raise BadParametersError(
                f"{path} is not written in {name}: {error}; nothing was copied. --encoding names another encoding"
            ) from None
        except csv.Error as error:
            raise BadParametersError(f"{path} cannot be read: {error}; nothing was copied") from None
    columns, renamed = named(header)
    shown = {"\t": "a tab"}.get(delimiter, delimiter)
    notes += [f"{path.name} has {shown} between its columns"] if delimiter != "," and len(columns) > 1 else []
    notes += header_notes(above, path.name)
    return Delimited(name, delimiter, columns, counter[0], (*notes, *renamed), undecoded)


def named(header: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Names for columns that no two share, however they are written, and what was renamed.

    Names come composed (NFC), so that ``größe`` is one name however a keyboard writes it.
    """
    names: list[str] = []
    notes: list[str] = []
    taken = {unicodedata.normalize("NFC", name).strip().casefold() for name in header}
    seen: set[str] = set()
    for number, written in enumerate(header, 1):
        plain = unicodedata.normalize("NFC", written).strip()
        name = plain or f"column_{number}"
        if name.casefold() in seen:
            name = next(new for new in (f"{name}_{i}" for i in range(2, len(header) + 2)) if _free(new, seen, taken))
            notes.append(f"column {plain!r} is there more than once; the one at place {number} becomes {name!r}")
        seen.add(name.casefold())
        names.append(name)
    return tuple(names), notes


def _free(name: str, seen: set[str], taken: set[str]) -> bool:
    return name.casefold() not in seen | taken


def _check_text(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(4)
    if what := BINARY.get(head):
        raise BadParametersError(
            f"{path} is {what}, not a table as text; nothing was copied. Save it as 'CSV UTF-8' and ingest that"
        )


def _opened(path: Path, encoding: str) -> TextIOWrapper:
    """Lines with plain ends. Bytes that are not UTF-8 stay marked, so that their lines can be named."""
    return path.open(encoding=encoding, errors="surrogateescape" if encoding.startswith("utf-8") else "strict")


def _preface(file: Iterator[str]) -> tuple[int, str, Iterator[str]]:
    """What stands before the header: the number of these lines, and the delimiter where one of them names it.

    Gives also the lines from the header on.
    """
    delimiter = ""
    for before, line in enumerate(file):
        if match := SEP.fullmatch(line):
            delimiter = match[1]
        elif line.strip():
            return before, delimiter, chain([line], file)
    return 0, delimiter, iter(())


def _delimiter(path: Path, encoding: str, before: int, known: AbstractSet[str]) -> str:
    """The one by which the first rows have as many cells as the header, and the most of them.

    Of several by which some have, it is the one with the fewest rows above the header.
    """

    def fit(delimiter: str) -> tuple[bool, bool, int, float, int]:
        records = _first_records(path, encoding, before, delimiter)
        del records[: (above := rows_above(records, known))]
        width = len(records[0]) if records else 0
        rows = [len(record) for record in records[1:] if record]
        share = sum(row == width for row in rows) / max(1, len(rows))
        return width > 1, share > 0, -above, share, width

    return max(DELIMITERS, key=fit)


def _first_records(path: Path, encoding: str, before: int, delimiter: str) -> list[list[str]]:
    with _opened(path, encoding) as file:
        return list(islice(csv.reader(islice(file, before, None), delimiter=delimiter), RECORDS))


def _counting(lines: Iterator[str], counter: list[int]) -> Iterator[str]:
    for line in lines:
        counter[0] += 1
        yield line


def _write(lines: Iterator[str], path: Path, before: int) -> dict[int, str]:
    """The rest of the lines as UTF-8, but for those that cannot be decoded: their numbers, and why."""
    undecoded: dict[int, str] = {}
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, line in enumerate(lines, before + 1):
            try:
                file.write(line.removesuffix(END_OF_DOS))  # no other line ends without an end
            except UnicodeEncodeError as error:
                undecoded[number] = f"it is not in UTF-8 at character {error.start + 1}"
                file.write("\n")  # so that the next ones keep their numbers
    return undecoded
