"""What the images of a choice have in common: words that are frequent, and how numbers and times lie."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from imgflow_workflows.catalog.database import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_workflows.explorer.choice import Choice
    from imgflow_workflows.explorer.index import Index

WORDS = 8  # shown of a column
BARS = 24
MOST = 14  # columns shown
NUMBERS = ("BIGINT", "DOUBLE", "INTEGER", "FLOAT", "HUGEINT", "DECIMAL")
TIMES = ("DATE", "TIMESTAMP")
FIRST = ("status", "municipality", "tags", "code", "taken", "camera", "lens", "format")
LAST = ("bytes", "width", "height", "ms")  # what a table of one's own tells comes before
NEVER = frozenset(
    "image folder message dhash duplicate_of digest run ended piece output_key output_sha256 thumb_before thumb_after "  # noqa: SIM905 - reads as a list
    "outputs output_width output_height latitude longitude zone title description orientation exposure aperture iso "
    "focal_length focal_length_35mm altitude".split()
)


@dataclass(frozen=True, slots=True)
class Words:
    """The most frequent values of a column, and how many images have each."""

    column: str
    counts: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Bars:
    """A histogram: edges as addresses say them, one more than there are counts."""

    column: str
    edges: list[str]
    counts: list[int]


def facets(index: Index, choice: Choice) -> list[Words | Bars]:
    """Those of the columns that tell images apart, of the images chosen."""
    found: list[Words | Bars] = []
    for name in _columns(index):
        if len(found) == MOST:
            break
        kind = index.columns[name]
        if kind.startswith((*NUMBERS, *TIMES)) and not kind.endswith("]"):  # DOUBLE[] holds several
            found += _bars(index, choice, name, times=kind.startswith(TIMES))
        elif kind in {"VARCHAR", "BOOLEAN"}:
            found += _words(index, choice, name)
    return found


def _columns(index: Index) -> list[str]:
    there = [name for name in index.columns if name not in NEVER]
    models = [name for name in there if name.startswith("found_")]
    first = [name for name in FIRST if name in there]
    last = [name for name in LAST if name in there]
    return [*first, *models, *(name for name in there if name not in {*first, *models, *last}), *last]


def _words(index: Index, choice: Choice, name: str) -> Iterator[Words]:
    where, values = choice.condition(index.columns)
    column = quoted(name)
    rows = index.ask(
        f"SELECT {column}::VARCHAR AS word, count(*) FROM images WHERE {column}::VARCHAR != '' AND {where} "
        f"GROUP BY word ORDER BY count(*) DESC, word LIMIT {WORDS + 1}",
        values,
    )
    one_each = len(rows) > WORDS and rows[0][1] == 1
    if rows and not one_each and (len(rows) > 1 or name in choice.values or name == "status"):
        yield Words(name, [(str(word), int(number)) for word, number in rows[:WORDS]])


def _bars(index: Index, choice: Choice, name: str, *, times: bool) -> Iterator[Bars]:
    where, values = choice.condition(index.columns)
    value = f"epoch({quoted(name)})" if times else f"{quoted(name)}::DOUBLE"
    known = f"SELECT {value} AS v FROM images WHERE {value} IS NOT NULL AND isfinite({value}) AND {where}"
    ((low, high),) = index.ask(f"SELECT min(v), max(v) FROM ({known})", values)
    if low is None or low == high:
        return
    width = (high - low) / BARS
    rows = index.ask(
        f"SELECT least(floor((v - {low!r}) / {width!r}), {BARS - 1})::INTEGER AS bar, count(*) "
        f"FROM ({known}) GROUP BY bar",
        values,
    )
    counts = [0] * BARS
    for bar, number in rows:
        counts[bar] = number
    edges = [low + i * width for i in range(BARS)] + [high + (1 if times else width * 1e-6)]
    yield Bars(name, [_time(edge) if times else repr(edge) for edge in edges], counts)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
