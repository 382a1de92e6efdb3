"""Tables on a terminal that is narrower than they are: words continue below, and columns without room stand below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

GAP = 2  # spaces between columns, and before those that stand below
PROSE = 24  # characters that are enough to read sentences in


def folded(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Lines of a table, the headers first, none longer than ``width`` but for a word that is."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    before = sum(widths[:-1]) + GAP * (len(widths) - 1)
    if before + PROSE <= width:
        widths[-1] = min(widths[-1], width - before)
    bands = _bands(widths, width)
    for row in rows:
        for at, (first, last) in enumerate(bands):
            indent = " " * (GAP if at else 0)
            yield from _lines(row[first:last], widths[first:last], indent, width)


def _bands(widths: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Which columns stand beside each other, as ranges: as many as have room, and one at least."""
    bands, first, taken = [], 0, 0
    for i, one in enumerate(widths):
        if i > first and taken + one > width:
            bands.append((first, i))
            first, taken = i, GAP
        taken += one + GAP
    return [*bands, (first, len(widths))]


def _lines(cells: Sequence[str], widths: Sequence[int], indent: str, width: int) -> Iterator[str]:
    """One band of a row; the words of its last cell continue where that begins."""
    lead = indent + "".join(cell.ljust(one + GAP) for cell, one in zip(cells[:-1], widths[:-1], strict=True))
    if not (lead.strip() or cells[-1]):
        return
    line = (lead + cells[-1]).rstrip()
    if len(line) <= width or not cells[-1]:
        yield line
        return
    yield from textwrap.wrap(
        cells[-1],
        width,
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
