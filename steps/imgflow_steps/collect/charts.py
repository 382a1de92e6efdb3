"""Charts of HTML and inline SVG: no script, readable without colour, spoken by a label."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.collect.figures import count, share
from imgflow_steps.collect.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEIGHT = 60  # of a column chart, in its own units
WIDTH = 10  # of a column


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


def columns(counts: list[int], low: float, high: float, write: Callable[[float], str], *, of: str) -> Markup:
    """A histogram: columns of equal width from ``low`` to ``high``."""
    top = max(counts, default=0)
    step = (high - low) / max(1, len(counts))
    rects = [
        tag(
            "rect",
            tag("title", f"{write(low + i * step)} to {write(low + (i + 1) * step)}: {count(n)}"),
            x=i * WIDTH + 1,
            y=f"{HEIGHT - tall:.1f}",
            width=WIDTH - 1,
            height=f"{tall:.1f}",
        )
        for i, n in enumerate(counts)
        if n and (tall := max(1.0, HEIGHT * n / top))
    ]
    fullest = low + counts.index(top) * step if top else low
    most = f"most between {write(fullest)} and {write(fullest + step)}"
    spoken = f"Histogram of {of} from {write(low)} to {write(high)}; {most}"
    box = f"0 0 {len(counts) * WIDTH + 1} {HEIGHT}"
    svg = tag("svg", rects, class_="columns", viewBox=box, preserveAspectRatio="none", role="img", aria_label=spoken)
    axis = tag("div", tag("span", write(low)), tag("span", write(high)), class_="axis", aria_hidden="true")
    return tag("div", svg, axis, class_="chart")
