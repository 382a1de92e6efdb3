"""Lines as a person reads them (Markdown) and as a program does (JSON)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.measure import Line

VERDICT = {True: "yes", False: "**no**", None: ""}
HEAD = "| What is compared | Measured | IQR | Goal | Reached | Note |\n|---|---|---|---|---|---|"


def markdown(lines: Sequence[Line]) -> str:
    """One table for each section, in the order in which they were measured."""
    parts = []
    for section, rows in groupby(lines, lambda line: line.section):
        parts.append("\n".join([f"### {section}", "", HEAD, *map(row, rows)]))
    return "\n\n".join(parts) + "\n"


def row(line: Line) -> str:
    """A line of the table."""
    cells = [line.name, measured(line), figure(line.iqr), goal(line), VERDICT[line.reached], line.note]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def goal(line: Line) -> str:
    """What the ratio has to be."""
    return "" if line.goal is None else f"{'≤' if line.at_most else '≥'} {line.goal:g}{line.unit}"


def measured(line: Line) -> str:
    """The ratio with its unit; a dash where nothing was measured."""
    return "-" if line.ratio is None else f"{figure(line.ratio)}{line.unit}"


def figure(value: float | None) -> str:
    """Three digits, as many as the measurement is good for."""
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def document(lines: Sequence[Line], **about: Any) -> dict[str, Any]:
    """Everything that was measured, ready for JSON."""
    return {**about, "lines": [{**asdict(line), "reached": line.reached} for line in lines]}
