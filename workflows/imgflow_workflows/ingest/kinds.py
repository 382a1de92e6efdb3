"""What a column of text holds: numbers, dates and truths where every single value is one, else text as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

WORDS = {  # DuckDB's types as people call them
    "BIGINT": "integer",
    "INTEGER": "integer",
    "DOUBLE": "number",
    "FLOAT": "number",
    "VARCHAR": "text",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP": "timestamp",
    "TIMESTAMP WITH TIME ZONE": "timestamp in UTC",
}
INTEGER = "0|-?[1-9][0-9]*"  # 007 is an id, and +49 is a phone's
EXPONENT = "[eE][+-][0-9]+"  # 12e3 may be anything
POINT = f"-?(0|[1-9][0-9]*)([.][0-9]+({EXPONENT})?|{EXPONENT})?"
SPACES = "\xa0\u202f"  # what French and Polish put between thousands
GROUP = f"[.{SPACES}'\u2019]"
COMMA = f"-?(0|[1-9][0-9]*|[1-9][0-9]{{0,2}}({GROUP}[0-9]{{3}})+)(,[0-9]+({EXPONENT})?|{EXPONENT})?"
GROUPED = "-?[1-9][0-9]{0,2}([.][0-9]{3})+"  # 1.234 is one and a bit, or a thousand
THOUSANDS = "-?[1-9][0-9]{0,2}(,[0-9]{3})+"  # 1,234 in a cell is one and a bit, or a thousand
DIGITS = 17  # that a double holds; an integer with more than INTEGER_DIGITS loses some
INTEGER_DIGITS = 15
TRUTHS = (("true", "false"), ("wahr", "falsch"), ("vrai", "faux"), ("prawda", "fałsz"), ("waar", "onwaar"))
TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
TIME = "[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?( ?[AaPp][Mm])?"
ZONE = "(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
DATES = {  # as they are written, and the numbers' order; of a day and a month only the value tells which is which
    "[0-9]{4}-[0-9]{2}-[0-9]{2}": ("%Y-%m-%d",),
    "[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}": ("%Y/%m/%d",),
    "[0-9]{4}:[0-9]{2}:[0-9]{2}": ("%Y:%m:%d",),  # as in EXIF
    "[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}": ("%d.%m.%Y",),
    "[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}": ("%d/%m/%Y", "%m/%d/%Y"),
    "[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}": ("%d-%m-%Y", "%m-%d-%Y"),
}
DOUBT = 0.5  # share of values of a kind from which it is worth a word that the column is none of it


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to read a text: SQL for its value, NULL where it is none; ``said`` is told where a column is read so."""

    word: str
    sql: str
    said: str = ""
    first: str = ""  # of a date: ``day`` or ``month``, where it is written in an order that others write otherwise


@dataclass(frozen=True, slots=True)
class Reading:
    """How a column is read: SQL for its values, and what there is to say of that."""

    sql: str
    note: str = ""


def readings(base: DuckDBPyConnection, columns: Sequence[str], delimiter: str, *, cells: bool = False) -> list[Reading]:
    """How each column of table ``source``, all text, is read.

    Whether commas are decimals is known by the delimiter; in ``cells`` of a workbook, which have none, by the values.
    """
    own = [
        (delimiter != "," or (cells and _has_decimals(base, _text(column)))) and _has_commas(base, _text(column))
        for column in columns
    ]
    return [
        _reading(base, column, list(_kinds(_text(column), commas=commas, elsewhere=any(own))), delimiter)
        for column, commas in zip(columns, own, strict=True)
    ]


def _reading(base: DuckDBPyConnection, column: str, kinds: Sequence[Kind], delimiter: str) -> Reading:
    text, asis = _text(column), quoted(column)
    total, *found = _row(base, f"SELECT count({text}), {', '.join(f'count({kind.sql})' for kind in kinds)} FROM source")
    whole = [kind for kind, count in zip(kinds, found, strict=True) if count == total]
    if not total:
        return Reading(asis)
    if {"day", "month"} <= {kind.first for kind in whole} and delimiter == ",":
        return Reading(asis, f"column {column} is text: its dates may begin with the day or with the month")
    if whole:
        said = whole[0].said or (_thousands(base, text) if delimiter != "," and whole[0].word == "numbers" else "")
        return Reading(whole[0].sql, f"column {column}: {said}" if said else "")
    count, nearest = max(zip(found, kinds, strict=True), key=lambda pair: pair[0])
    if count < total * DOUBT:
        grouped = delimiter != "," and _row(base, f"SELECT bool_and({_whole(text, GROUPED)}) FROM source") == (True,)
        doubt = f"column {column} is text: its points may be decimals or between thousands"
        return Reading(asis, doubt if grouped else "")
    (other,) = _row(base, f"SELECT min({text}) FROM source WHERE {nearest.sql} IS NULL")
    return Reading(asis, f"column {column} is text: {count:,} of {total:,} values are {nearest.word}, {other!r} is not")


def _thousands(base: DuckDBPyConnection, text: str) -> str:
    """What there is to say of numbers which could all be thousands."""
    (grouped,) = _row(base, f"SELECT bool_and({_whole(text, GROUPED)}) FROM source WHERE contains({text}, '.')")
    return "its points are taken for decimals, and may be meant for thousands" if grouped else ""


def _text(column: str) -> str:
    return f"nullif(trim({quoted(column)}), '')"


def _has_commas(base: DuckDBPyConnection, text: str) -> bool:
    """Whether a column's numbers have decimal commas."""
    sql = f"SELECT bool_and({_whole(text, COMMA)}), bool_or(contains({text}, ',')) FROM source WHERE {text} IS NOT NULL"
    return all(_row(base, sql))


def _has_decimals(base: DuckDBPyConnection, text: str) -> bool:
    """Whether a comma stands where none can be between thousands."""
    (found,) = _row(base, f"SELECT bool_or(NOT {_whole(text, THOUSANDS)}) FROM source WHERE contains({text}, ',')")
    return bool(found)


def _kinds(text: str, *, commas: bool, elsewhere: bool) -> Iterator[Kind]:
    """All ways to read ``text``; ``commas`` are decimals in this column, or ``elsewhere`` in its table."""
    yield Kind("integers", f"CASE WHEN {_whole(text, INTEGER)} THEN TRY_CAST({text} AS BIGINT) END")
    for yes, no in TRUTHS:
        yield Kind("truths", f"CASE lower({text}) WHEN '{yes}' THEN true WHEN '{no}' THEN false END")
    if commas:
        plain = f"replace(regexp_replace({text}, {_literal(GROUP)}, '', 'g'), ',', '.')"
        yield Kind("numbers", _double(_whole(text, COMMA), plain), "its numbers have a decimal comma")
    else:
        doubtful = f" AND NOT {_whole(text, GROUPED)}" if elsewhere else ""
        yield Kind("numbers", _double(_whole(text, POINT) + doubtful, text))
    for pattern, orders in DATES.items():
        for order in orders:
            yield from _dates(text, pattern, order, doubtful=len(orders) > 1)
    zoned = f"{next(iter(DATES))}{TIME}{ZONE}"
    yield Kind(
        "times",
        f"CASE WHEN {_whole(text, zoned)} THEN TRY_CAST({text} AS TIMESTAMPTZ) END",
        "its times are kept in UTC",
    )


def _dates(text: str, pattern: str, order: str, *, doubtful: bool) -> Iterator[Kind]:
    first = {"%d": "day", "%m": "month"}[order[:2]] if doubtful else ""
    said = f"its dates begin with the {first}" if first else ""
    day = f"CASE WHEN {_whole(text, pattern)} THEN TRY_CAST(try_strptime({text}, '{order}') AS DATE) END"
    yield Kind("dates", day, said, first)
    forms = ", ".join(f"'{order}{between}{time}'" for time in TIMES for between in (" ", "T"))
    yield Kind(
        "times", f"CASE WHEN {_whole(text, pattern + TIME)} THEN try_strptime({text}, [{forms}]) END", said, first
    )


def _double(fits: str, plain: str) -> str:
    """A double that has all digits of the text: others are ids, and stay text."""
    digits = f"length(ltrim(regexp_replace(regexp_replace({plain}, '[eE].*', ''), '[^0-9]', '', 'g'), '0'))"
    most = f"CASE WHEN contains({plain}, '.') THEN {DIGITS} ELSE {INTEGER_DIGITS} END"
    return f"CASE WHEN {fits} AND {digits} <= {most} THEN TRY_CAST({plain} AS DOUBLE) END"


def _whole(text: str, pattern: str) -> str:
    return f"regexp_full_match({text}, {_literal(pattern)})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _row(base: DuckDBPyConnection, sql: str) -> tuple[Any, ...]:
    return tuple(base.execute(sql).fetchone() or ())
