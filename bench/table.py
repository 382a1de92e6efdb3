"""Lines as a person reads them (Markdown) and as a program does (JSON)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.measure import Line

VERDICT = {True: "yes", False: "**no**", None: ""}
HEAD = "| What is compared | Measured | IQR | Goal | Reached | Note |\n|---|---|---|---|---|---|"


def about(told: Mapping[str, Any]) -> str:
    """When, where and with what."""
    machine = "".join(f"- {name.replace('_', ' ')}: {value}\n" for name, value in told["machine"].items())
    versions = ", ".join(f"{name} {number}" for name, number in told["versions"].items())
    rows = "".join(
        f"| {one['name']} | {one['width']}x{one['height']} | {one['bytes'] / 1e6:.2f} MB | {one['bytes_per_pixel']} |\n"
        for one in told["photographs"]
    )
    return (
        f"# Bench\n\n`{told['command']}`, {told['made']}, {told['seconds']} seconds, {told['rounds']} rounds. "
        f"Figures are ratios of what each took in the same round: the median over rounds, and their IQR.\n\n"
        f"{machine}- versions: {versions}\n\n| Photograph | Size | | Bytes per pixel |\n|---|---|---|---|\n{rows}"
    )


def short(lines: Sequence[Line], told: Mapping[str, Any], apart: str = "") -> str:
    """What has a goal, for the README of the bench; without the quality, as no figure counts where that fails.

    The chart is of single images, and not of a section that is measured ``apart``.
    """
    folder = f"figures/{apart}" if apart else "figures"
    chart = (
        [] if apart else [f"![imgflow and others, as multiples of the speed of naive Pillow]({folder}/chart.svg)", ""]
    )
    shown = [line for line in lines if line.goal is not None and line.unit != " dB"]
    rows = [
        f"| {line.section}: {line.name} | {measured(line)} | {goal(line)} | {VERDICT[line.reached]} |" for line in shown
    ]
    machine = told["machine"]
    where = f"`{told['command']}` on {told['made']}, {machine['processor']}, {machine['cores']} cores"
    return "\n".join(
        [
            "",
            *chart,
            f"{where}; [every line and what was compared]({folder}/results.md):",
            "",
            "| What is compared | Measured | Goal | Reached |",
            "|---|---|---|---|",
            *rows,
            "",
            "",
        ]
    )


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
