"""Where a pixel comes from: affine maps between a sample and the upright source. Pure functions over six numbers.

Places are continuous: a pixel in column 3 covers 3 to 4, its middle is at 3.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Affine

Corners = tuple[float, float, float, float]  # left, upper, right, lower


def then(first: Affine, second: Affine) -> Affine:
    """``first``, and ``second`` of what it gave: of a step's result to the sample, then of the sample to the source."""
    a, b, c, d, e, f = first
    g, h, i, j, k, m = second
    return (g * a + h * d, g * b + h * e, g * c + h * f + i, j * a + k * d, j * b + k * e, j * c + k * f + m)


def inverse(at: Affine) -> Affine:
    """The way back. Raises ZeroDivisionError where all pixels come from one line, which no step does."""
    a, b, c, d, e, f = at
    area = a * e - b * d
    a, b, d, e = e / area, -b / area, -d / area, a / area
    return (a, b, -(a * c + b * f), d, e, -(d * c + e * f))


def moved(at: Affine, x: float, y: float) -> tuple[float, float]:
    """Where a place comes to lie."""
    a, b, c, d, e, f = at
    return a * x + b * y + c, d * x + e * y + f


def around(at: Affine, box: Corners) -> Corners:
    """The smallest upright box around what becomes of a box."""
    left, upper, right, lower = box
    places = [moved(at, x, y) for x in (left, right) for y in (upper, lower)]
    across, down = [x for x, _ in places], [y for _, y in places]
    return min(across), min(down), max(across), max(down)


def part(box: tuple[float, float, float, float], width: int, height: int) -> Affine:
    """Of a result of this many pixels to where it was taken: left, upper, width and height, in pixels."""
    left, upper, across, down = box
    return (across / width, 0.0, left, 0.0, down / height, upper)


def about(linear: tuple[float, float, float, float], size: tuple[int, int], before: tuple[int, int]) -> Affine:
    """Turned or mirrored about the middle: of a result of ``size`` to what it was of, width before height."""
    a, b, d, e = linear
    x, y = size[0] / 2, size[1] / 2
    return (a, b, before[0] / 2 - a * x - b * y, d, e, before[1] / 2 - d * x - e * y)
