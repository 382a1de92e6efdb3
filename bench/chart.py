"""The same figures as bars: how many times as fast as the naive chain each contender is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING

from bench.table import figure

from imgflow_steps.report.markup import Markup, tag

if TYPE_CHECKING:
    from bench.measure import Line

WIDTH, BAR, GAP, HEAD = 460, 16, 6, 44  # of a panel, a bar, between bars, above them: in pixels
NAMES, FIGURES = 170, 110  # room for names on the left of the bars and for figures on their right
COLUMNS = 2
OURS = "imgflow"
AGAINST = f" / {OURS}"

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.quiet { fill: #59636e }
.others { fill: #b6bfc9 }
.ours { fill: #1a7f37 }
svg { background: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .quiet { fill: #9198a1 } .others { fill: #3d444d } .ours { fill: #3fb950 }
  svg { background: #0d1117 }
}
"""


def chart(lines: Sequence[Line]) -> str:
    """An SVG with a panel for each section in which imgflow and others are compared with the naive chain."""
    sections = [(title, list(rows)) for title, rows in groupby(lines, lambda line: line.section)]
    panels = [(title, found) for title, rows in sections if (found := speeds(rows))]
    pairs = list(zip_longest(*[iter(panels)] * COLUMNS))
    drawn, top = [], 0
    for pair in pairs:
        there = [panel for panel in pair if panel]
        drawn += [draw(*panel, x=i * WIDTH, y=top) for i, panel in enumerate(there)]
        top += HEAD + max(len(found) for _, found in there) * (BAR + GAP) + GAP
    box = f"0 0 {COLUMNS * WIDTH} {max(top, 1)}"
    return tag(
        "svg",
        tag("title", "imgflow and others, as multiples of the speed of naive Pillow"),
        tag("style", Markup(STYLE)),
        drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=box,
        role="img",
    )


def speeds(lines: Sequence[Line]) -> dict[str, tuple[float, str]]:
    """By contender, fastest first: times the speed of the section's naive one, and the quality where it was measured.

    Lines are ``other / imgflow``; a section without a naive one gives none.
    """
    others = {line.name.removesuffix(AGAINST): line for line in lines if line.ratio and line.name.endswith(AGAINST)}
    naive = next((line.ratio for name, line in others.items() if name.startswith("naive") and line.ratio), None)
    if naive is None:
        return {}
    found = {name: (naive / line.ratio, quality(line)) for name, line in others.items() if line.ratio}
    return dict(sorted({OURS: (naive, ""), **found}.items(), key=lambda item: -item[1][0]))


def quality(line: Line) -> str:
    """Decibels, where the note says them."""
    return line.note if line.note.endswith(" dB") else ""


def draw(title: str, found: Mapping[str, tuple[float, str]], *, x: int, y: int) -> Markup:
    """One panel, its upper left corner at x and y."""
    room, most = WIDTH - NAMES - FIGURES, max(speed for speed, _ in found.values())
    head, _, work = title.partition(": ")
    said = "naive Pillow = 1x" + (
        "; dB: likeness to a full decode" if any(heard for _, heard in found.values()) else ""
    )
    rows = [
        tag("text", work or head, class_="title", x=0, y=16),
        tag("text", f"{head}; {said}" if work else said, class_="quiet", x=0, y=33),
    ]
    for number, (name, (speed, heard)) in enumerate(found.items()):
        top, long = HEAD + number * (BAR + GAP), max(1, round(room * speed / most))
        rows += [
            tag("text", name, x=NAMES - 8, y=top + 12, text_anchor="end"),
            tag("rect", x=NAMES, y=top, width=long, height=BAR, class_="ours" if name == OURS else "others"),
            tag("text", f"{figure(speed)}x", x=NAMES + long + 6, y=top + 12),
            tag("text", heard, x=NAMES + long + 46, y=top + 12, class_="quiet"),
        ]
    return tag("g", rows, transform=f"translate({x + 10},{y})")
