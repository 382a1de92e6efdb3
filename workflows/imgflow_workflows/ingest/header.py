"""Which row of a table names its columns: people write a title, a date or a remark above it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet

from imgflow_workflows.ingest.places import names_image

ROWS = 20  # among which it is looked for


def rows_above(rows: Sequence[Sequence[str]], known: AbstractSet[str]) -> int:
    """How many of the first rows are above the header; ``known`` are names that a column of photographs may have.

    The header is the first row with such a name that no row above it is as wide as. Without one it is wider than
    each row above it, and has more than one cell: the last such row above that of a photograph's file, else the first.
    """
    widths: list[int] = []
    named = False
    for row in rows[:ROWS]:
        cells = [plain for cell in row if (plain := unicodedata.normalize("NFC", cell).strip())]
        if named := any(map(names_image, cells)):
            break
        if max(widths, default=0) < max(2, len(cells)) and not known.isdisjoint(map(str.casefold, cells)):
            return len(widths)
        widths.append(len(cells))
    wider = [number for number, width in enumerate(widths) if width > max([1, *widths[:number]])]
    return wider[-1 if named else 0] if wider else 0


def notes(rows: Sequence[Sequence[str]], name: str) -> Iterator[str]:
    """What is said of rows above the header of a file of this name."""
    first = next((cell.strip() for row in rows for cell in row if cell.strip()), "")
    if first:
        yield f"the columns of {name} are named below its first rows, which are skipped: {first[:40]!r}"
