"""query: SQL over what is known of photographs and their results."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from decimal import Decimal
from functools import partial
from itertools import chain, count, islice
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgflow_cli.flags import DelimiterFlag, MunicipalityFlag, QuietFlag, takes_settings
from imgflow_cli.outcome import say_unfinished
from imgflow_cli.output import Voice, emit, fitting, printable, table
from imgflow_cli.streams import binary, data
from imgflow_steps.records.results import MARK, for_excel, harmless
from imgflow_steps.store import Store
from imgflow_workflows.catalog import values
from imgflow_workflows.catalog.ask import answer, answering
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.settings import PLACES, Resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyarrow import RecordBatchReader

SHOWN = 1000  # rows of a table that a person is shown
END = "\r\n"  # of rows while they are written: before Python 3.13 no other line breaks in cells are quoted

FormFlag = Annotated[
    Literal["table", "wide", "csv", "json", "parquet"],
    typer.Option("--output", "-o", help="How rows are written; wide: all columns, however narrow the terminal."),
]


@takes_settings(*PLACES)
def query(
    resolved: Resolved,
    store: Store,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT, in DuckDB's dialect.")],
    municipality: MunicipalityFlag = "",
    output: FormFlag = "table",
    delimiter: DelimiterFlag = "",
    quiet: QuietFlag = False,
) -> None:
    """Ask questions in SQL about photographs and results.

    Table `catalog` has a row per image and the columns of the tables that were ingested, table `results` a row per
    picture that came out of the newest run's pipeline, table `findings` a row per thing that its models found, with
    label, score and box in pixels, table `vectors` a row per vector; all have `municipality` and `image`. Times with a
    zone are in UTC. Nothing is written. A table shows the columns that have room on the terminal.
    """
    voice = Voice(quiet=quiet)
    if delimiter and output != "csv":
        raise ImgflowError("--delimiter is for -o csv")
    if output == "parquet" and sys.stdout.isatty():
        raise ImgflowError("Parquet is not for a terminal", "write it to a file: … -o parquet > answer.parquet")
    used = partial(say_unfinished, command=resolved.command, voice=voice)
    with answering(store, sql, municipality, used=used) as base, answer(base, sql) as found:
        match output:
            case "table" | "wide":
                _table(found, voice, wide=output == "wide")
            case "csv":
                _csv(found, delimiter)
            case "json":
                _json(found)
            case "parquet":
                _parquet(found)


def _rows(answer: RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in answer:
        yield from values.rows(batch)


def _table(answer: RecordBatchReader, voice: Voice, *, wide: bool) -> None:
    rows = _rows(answer)
    asked = answer.schema.names
    names = _headers(asked)
    shown = [["" if cell is None else printable(str(_cell(cell))) for cell in row] for row in islice(rows, SHOWN)]
    if sys.stdout.isatty() and not wide:
        names, shown, hidden = fitting(names, shown, shutil.get_terminal_size().columns)
        if hidden:
            voice.note(f"not shown: {', '.join(asked[-len(hidden) :])}; -o wide shows all columns")
    table(names, shown)
    if not shown:
        voice.say("0 rows")
    if next(rows, None):
        voice.say(f"only the first {SHOWN:,} rows are shown; -o csv, json or parquet writes all")


def _headers(names: list[str]) -> list[str]:
    """Capitals, but only where SQL knows every column by them too: Straße is not STRASSE."""
    return [name.upper() for name in names] if all(map(str.isascii, names)) else names


def _csv(answer: RecordBatchReader, delimiter: str) -> None:
    """What a spreadsheet would run as a formula is preceded by an apostrophe, as in results.csv."""
    out = io.StringIO(MARK if delimiter else "")
    out.seek(0, io.SEEK_END)
    writer = csv.writer(out, lineterminator=END, delimiter=delimiter or ",")
    for row in chain([tuple(answer.schema.names)], _rows(answer)):
        writer.writerow(for_excel(harmless(_cell(cell)), delimiter) for cell in row)
        data(out.getvalue().removesuffix(END))
        out.seek(0)
        out.truncate()


def _json(answer: RecordBatchReader) -> None:
    """One document, written row by row: a list of objects. Dates and the like are text, what is no number is null."""
    before, names = "[", _apart(answer.schema.names)
    for row in _rows(answer):
        emit(before + json.dumps(dict(zip(names, map(_plain, row), strict=True)), allow_nan=False))
        before = ", "
    emit("]" if before == ", " else "[]")


def _parquet(answer: RecordBatchReader) -> None:
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - an extra

    with binary() as out, ParquetWriter(out, answer.schema) as writer:
        for batch in answer:
            writer.write_batch(batch)


def _apart(names: Sequence[str]) -> list[str]:
    """Names of which no two are the same: ``c.*, r.*`` has two called image."""
    apart: list[str] = []
    for name in names:
        new = next(one for one in chain([name], (f"{name}_{n}" for n in count(2))) if one not in apart)
        apart.append(new)
    return apart


def _cell(value: Any) -> Any:
    """A list or structure as JSON, anything else as it is."""
    return json.dumps(_plain(value), ensure_ascii=False) if isinstance(value, list | dict) else value


def _plain(value: Any) -> Any:
    """What JSON has a word for: sums are numbers, times are text, bytes are hexadecimal, and NaN is null."""
    match value:
        case list() | tuple():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case Decimal():
            return _number(int(value) if value == value.to_integral_value() else float(value))
        case float():
            return _number(value)
    return value if value is None or isinstance(value, bool | int | str) else _text(value)


def _number(value: float) -> float | None:
    return value if isfinite(value) else None


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
