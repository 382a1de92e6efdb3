"""What tables hold, as values of Python: all of it, also what Python has no value for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyarrow import Array, RecordBatch, Scalar


def rows(batch: RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows of a batch. A day before the year 1 or after 9999, of which Python knows none, is text."""
    yield from zip(*map(_values, batch.columns), strict=True)


def _values(column: Array[Any]) -> list[Any]:
    try:
        known: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        return list(map(_value, column))
    return known


def _value(one: Scalar[Any]) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - an extra

    try:
        return one.as_py()
    except (OverflowError, ValueError):
        return one.cast(pa.string()).as_py()
