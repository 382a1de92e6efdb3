"""Where photographs were taken, as dots with a scale: needs no tiles, no server and no script."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 1000  # units across
LOWEST, HIGHEST = 280, 640
EDGE = 24
EARTH = 6_371_008.8  # metres, mean radius (IUGG)
LEAST = 100.0  # metres that a map shows at least
BAR = 0.25  # share of the width that a scale takes at most


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees north and east, what is there, and where a click leads."""

    latitude: float
    longitude: float
    name: str
    href: str | None = None


def dots(places: Sequence[Place]) -> Markup:
    """A map of at least one place, north up, its scale true in the middle (equirectangular)."""
    east = [place.longitude for place in places]
    if max(east) - min(east) > 180:  # noqa: PLR2004 - degrees: they lie on both sides of the date line
        east = [longitude % 360 for longitude in east]
    north = [place.latitude for place in places]
    middle = ((min(east) + max(east)) / 2, (min(north) + max(north)) / 2)
    metres = math.radians(1) * EARTH
    squeeze = max(0.01, math.cos(math.radians(middle[1])))
    xs = [(x - middle[0]) * metres * squeeze for x in east]
    ys = [(middle[1] - y) * metres for y in north]
    across, down = max(LEAST, max(xs) - min(xs)), max(LEAST / 5, max(ys) - min(ys))
    per_metre = min((WIDTH - 2 * EDGE) / across, (HIGHEST - 3 * EDGE) / down)
    height = round(min(HIGHEST, max(LOWEST, down * per_metre + 3 * EDGE)))
    circles = [
        _dot(place, WIDTH / 2 + x * per_metre, (height - EDGE) / 2 + y * per_metre)
        for place, x, y in zip(places, xs, ys, strict=True)
    ]
    spoken = f"Map of {len(places)} places between {_spelt(min(north), 'NS')} and {_spelt(max(north), 'NS')}, "
    spoken += f"{_spelt(min(x.longitude for x in places), 'EW')} and {_spelt(max(x.longitude for x in places), 'EW')}"
    drawn = tag(
        "svg", circles, _scale(per_metre, height), viewBox=f"0 0 {WIDTH} {height}", role="img", aria_label=spoken
    )
    return tag("div", drawn, class_="map")


def _dot(place: Place, x: float, y: float) -> Markup:
    where = f"{_spelt(place.latitude, 'NS')} {_spelt(place.longitude, 'EW')}"
    circle = tag("circle", tag("title", place.name, Markup("\n"), where), cx=f"{x:.1f}", cy=f"{y:.1f}", r=6)
    return tag("a", circle, href=place.href) if place.href else circle


def _spelt(degrees: float, sides: str) -> str:
    return f"{abs(degrees):.5f}\N{DEGREE SIGN} {sides[degrees < 0]}"


def _scale(per_metre: float, height: int) -> Markup:
    length = nice(WIDTH * BAR / per_metre)
    across, y = length * per_metre, height - EDGE / 2
    said = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"  # noqa: PLR2004 - metres
    line = f"M{EDGE} {y - 8}V{y}H{EDGE + across:.1f}V{y - 8}"
    text = tag("text", said, x=f"{EDGE + across + 8:.1f}", y=f"{y:.1f}")
    north = tag("text", "N \N{UPWARDS ARROW}", x=WIDTH - EDGE, y=f"{y:.1f}", text_anchor="end")
    return Markup(tag("path", d=line) + text + north)


def nice(most: float) -> float:
    """The longest of 1, 2 and 5 times a power of ten that is no longer."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(n * power for n in (5, 2, 1) if n * power <= most * (1 + 1e-9))
