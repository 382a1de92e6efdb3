"""query: SQL over what is known of photographs and their results."""

from __future__ import annotations

import csv
import io
import json
import sys
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgflow_cli.flags import MunicipalityFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, emit, table
from imgflow_steps.collect.results import harmless
from imgflow_steps.store import Store
from imgflow_workflows.catalog.ask import asked
from imgflow_workflows.faults import ImgflowError
from imgflow_workflows.settings import PLACES, Resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyarrow import RecordBatchReader

SHOWN = 1000  # rows of a table that a person is shown

FormFlag = Annotated[
    Literal["table", "csv", "json", "parquet"], typer.Option("--output", "-o", help="How rows are written.")
]


@takes_settings(*PLACES)
def query(
    resolved: Resolved,  # noqa: ARG001 - every command says where
    store: Store,
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT, in DuckDB's dialect.")],
    municipality: MunicipalityFlag = "",
    output: FormFlag = "table",
    quiet: QuietFlag = False,
) -> None:
    """Ask with SQL what is known of photographs and results.

    Table `catalog` has a row per image and the columns of the tables that were ingested, table `results` a row per
    picture that came out of the newest run's pipeline; both have `municipality` and `image`. Nothing is written.
    """
    voice = Voice(quiet=quiet)
    if output == "parquet" and sys.stdout.isatty():
        raise ImgflowError("Parquet is not for a terminal", "write it to a file: … -o parquet > answer.parquet")
    with asked(store, sql, municipality) as answer:
        match output:
            case "table":
                _table(answer, voice)
            case "csv":
                _csv(answer)
            case "json":
                _json(answer)
            case "parquet":
                _parquet(answer)


def _rows(answer: RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in answer:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _table(answer: RecordBatchReader, voice: Voice) -> None:
    rows = _rows(answer)
    shown = [["" if cell is None else cell for cell in row] for row in islice(rows, SHOWN)]
    table([name.upper() for name in answer.schema.names], shown)
    if next(rows, None):
        voice.say(f"only the first {SHOWN:,} rows are shown; -o csv, json or parquet writes all")


def _csv(answer: RecordBatchReader) -> None:
    """What a spreadsheet would run as a formula is preceded by an apostrophe, as in results.csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="")
    for row in chain([tuple(answer.schema.names)], _rows(answer)):
        writer.writerow(map(harmless, row))
        emit(out.getvalue())
        out.seek(0)
        out.truncate()


def _json(answer: RecordBatchReader) -> None:
    """One document, written row by row: a list of objects. Dates and the like are text."""
    before = "["
    for row in _rows(answer):
        emit(before + json.dumps(dict(zip(answer.schema.names, row, strict=True)), default=_plain))
        before = ", "
    emit("]" if before == ", " else "[]")


def _parquet(answer: RecordBatchReader) -> None:
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - an extra

    with ParquetWriter(sys.stdout.buffer, answer.schema) as writer:
        for batch in answer:
            writer.write_batch(batch)
    sys.stdout.flush()


def _plain(value: object) -> int | float | str:
    """What JSON has no word for: sums are numbers, times are text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
