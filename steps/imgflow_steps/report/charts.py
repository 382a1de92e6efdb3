"""Charts of HTML and inline SVG: no script, readable without colour, spoken by a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps.report.figures import count, share
from imgflow_steps.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

HEIGHT = 60  # of a column chart, in its own units
WIDTH = 10  # of a column, and of a lane
SPAN = 1000  # of a timeline
LEAST = 2  # of a bar of a timeline, so that it is seen


def stack(parts: Mapping[str, int]) -> Markup:
    """One bar cut into parts as wide as their counts; a part's name is its class."""
    whole = sum(parts.values())
    spoken = ", ".join(f"{name} {count(n)} ({share(n, whole)})" for name, n in parts.items())
    pieces = [
        tag("span", class_=name, style=f"flex-grow:{n}", title=f"{name}: {count(n)}") for name, n in parts.items() if n
    ]
    return tag("div", pieces, class_="stack", role="img", aria_label=spoken)


def bar(part: float, whole: float) -> Markup:
    """A bar as long as a share."""
    percent = 100 * part / whole if whole else 0
    return tag("span", tag("span", style=f"width:{percent:.2f}%"), class_="bar", aria_hidden="true")


def interval(low: float, high: float, at: float) -> Markup:
    """A range of values from 0 on, and a mark where the value came to lie."""
    whole = max(high, at) or 1.0
    band = f"left:{100 * low / whole:.2f}%;width:{100 * (high - low) / whole:.2f}%"
    mark = f"left:{100 * at / whole:.2f}%"
    return tag(
        "span", tag("span", style=band), tag("span", class_="at", style=mark), class_="interval", aria_hidden="true"
    )


def columns(
    low: float, step: float, counts: list[int], write: Callable[[float], str], *, of: str, below: Sequence[str]
) -> Markup:
    """A histogram: columns ``step`` wide, the first of them beginning at ``low``; ``below`` stands under it."""
    top = max(counts)
    edges = [write(low + i * step) for i in range(len(counts) + 1)]
    rects = [
        tag(
            "rect",
            tag("title", f"{edges[i]} to {edges[i + 1]}: {count(n)}"),
            x=i * WIDTH + 1,
            y=f"{HEIGHT - tall:.1f}",
            width=WIDTH - 1,
            height=f"{tall:.1f}",
        )
        for i, n in enumerate(counts)
        if n and (tall := max(1.0, HEIGHT * n / top))
    ]
    most = counts.index(top)
    spoken = f"Histogram of {of} from {edges[0]} to {edges[-1]}, most between {edges[most]} and {edges[most + 1]}"
    box = f"0 0 {len(counts) * WIDTH + 1} {HEIGHT}"
    svg = tag("svg", rects, class_="columns", viewBox=box, preserveAspectRatio="none", role="img", aria_label=spoken)
    return tag("div", svg, tag("div", [tag("span", text) for text in below], class_="axis"), class_="chart")


@dataclass(frozen=True, slots=True)
class Lane:
    """One bar of a timeline: when it begins and ends, what it says when it is pointed at, and whether that failed."""

    began: float
    ended: float
    title: str
    failed: bool = False


def timeline(low: float, high: float, lanes: Sequence[Lane], *, of: str, below: Sequence[str]) -> Markup:
    """A bar below the other for each lane, on one time scale from ``low`` to ``high``; ``below`` stands under it."""
    scale = SPAN / (high - low) if high > low else 0.0
    rects = [
        tag(
            "rect",
            tag("title", lane.title),
            class_="failed" if lane.failed else None,
            x=f"{(lane.began - low) * scale:.1f}",
            y=i * WIDTH + 1,
            width=f"{max(LEAST, (lane.ended - lane.began) * scale):.1f}",
            height=WIDTH - 2,
        )
        for i, lane in enumerate(lanes)
    ]
    tall = len(lanes) * WIDTH
    box = f"0 0 {SPAN + LEAST} {tall}"
    spoken = f"{of}: {count(len(lanes), 'bar')}"
    svg = tag(
        "svg",
        rects,
        class_="lanes",
        viewBox=box,
        height=tall,
        preserveAspectRatio="none",
        role="img",
        aria_label=spoken,
    )
    return tag("div", svg, tag("div", [tag("span", text) for text in below], class_="axis"), class_="chart")
