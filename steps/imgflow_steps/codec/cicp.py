"""Colours that a file tells by numbers (ITU-T H.273) and not by a profile: `nclx` of HEIC and AVIF, `cICP` of PNG."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.codec import icc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Point = tuple[float, float]

D65, C, DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
PRIMARIES = {  # x and y of red, green and blue, then of white
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), D65),  # BT.709, sRGB
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), C),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65),  # BT.2020
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65),  # Display P3
}
SRGB = frozenset({1, 2, 6, 13, 14, 15})  # transfers: photographs that name one of video are made for sRGB's
UNKNOWN = 2  # also of primaries
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

POINTS = 4096  # of a curve
WHITE_LIGHT, MOST_LIGHT = 203, 1000  # cd/m2 of a white page and of the brightest that is told from it (BT.2408)


def _srgb(code: Floats) -> Floats:
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - IEC 61966-2-1


def _perceptual(code: Floats) -> Floats:
    """SMPTE ST 2084 (PQ)."""
    root = code ** (32 / 2523)
    return _shown(10_000 * (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305))


def _hybrid(code: Floats) -> Floats:
    """ARIB STD-B67 (HLG), on a screen of 1000 cd/m2."""
    bright = (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return _shown(MOST_LIGHT * np.where(code <= 1 / 2, code**2 / 3, bright) ** 1.2)


def _shown(light: Floats) -> Floats:
    """Light of a bright screen on one that has none beyond white: what is bright is pressed together."""
    over, most = light / WHITE_LIGHT, MOST_LIGHT / WHITE_LIGHT
    return np.minimum(1, over * (1 + over / most**2) / (1 + over))


TRANSFERS: dict[int, Callable[[Floats], Floats]] = {
    **dict.fromkeys(SRGB, _srgb),
    4: lambda code: code**2.2,
    5: lambda code: code**2.8,
    8: lambda code: code,
    16: _perceptual,
    18: _hybrid,
}


@cache
def profile(primaries: int, transfer: int, *, grey: bool) -> bytes:
    """An ICC profile of these colours; none where they are sRGB's, or where nothing is known of their numbers."""
    known = 1 if primaries == UNKNOWN or grey else primaries
    if known not in PRIMARIES or transfer not in TRANSFERS or (known == 1 and transfer in SRGB):
        return b""
    curve = icc.curve(TRANSFERS[transfer](np.linspace(0, 1, POINTS)).tolist())
    if grey:
        return icc.written({b"kTRC": curve}, b"GRAY", b"XYZ ")
    columns = _matrix(*PRIMARIES[known]).T.tolist()
    places = {name + b"XYZ": icc.xyz(column) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)}
    return icc.written(places | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve), b"RGB ", b"XYZ ")


def _matrix(red: Point, green: Point, blue: Point, white: Point) -> Floats:
    """From linear light to XYZ under D50."""
    colours = np.array([_seen(point) for point in (red, green, blue)]).T
    own_white = _seen(white)
    scaled = colours * np.linalg.solve(colours, own_white)
    cones = (BRADFORD @ icc.WHITE) / (BRADFORD @ own_white)
    adapted: Floats = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ scaled
    return adapted


def _seen(point: Point) -> Floats:
    x, y = point
    return np.array([x / y, 1, (1 - x - y) / y])
