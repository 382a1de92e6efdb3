"""A profile for CMYK that has none: an offset press on coated paper, computed from what is printed where.

Pillow's own conversion takes inks for ideal, which no ink is: colours come out garish. libvips and viewers assume a
press. This is the model of Neugebauer with the correction of Yule and Nielsen (J. A. C. Yule, "Principles of Color
Reproduction", 1967): each of the sixteen overprints covers a share of the paper by Demichel's rule, and light adds up.
The colours of the solid inks and their overprints are the aims of ISO 12647-2:2004 for paper of type 1.
"""

from __future__ import annotations

import struct
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from imgflow_steps.codec import icc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

GRID = 11  # steps of each ink in the table
YULE_NIELSEN = 1.7  # how far light spreads in the paper
GAIN = 0.07  # by which a dot of a half grows on the press; with light that spreads, it looks like 65 %
PAPER = (95, 0, -2)
SOLIDS = {  # CIE L*a*b*, D50, of cyan, magenta and yellow over each other
    (0, 0, 0): PAPER,
    (1, 0, 0): (55, -37, -50),
    (0, 1, 0): (48, 74, -3),
    (0, 0, 1): (89, -5, 93),
    (0, 1, 1): (47, 68, 48),
    (1, 0, 1): (50, -68, 25),
    (1, 1, 0): (24, 17, -46),
    (1, 1, 1): (23, 0, 0),
}
BLACK = (16, 0, 0)


@cache
def profile() -> bytes:
    """An ICC profile, version 2, from CMYK to L*a*b* by a table (ICC.1:2001-04, 6.5.7)."""
    inks = np.stack(np.meshgrid(*[np.linspace(0, 1, GRID)] * 4, indexing="ij"), axis=-1).reshape(-1, 4)
    table = _encoded(_to_lab(_printed(inks)))
    line = struct.pack(">2H", 0, 65535)
    matrix = struct.pack(">9i", *[65536 if i % 4 == 0 else 0 for i in range(9)])
    lut = b"mft2\0\0\0\0" + bytes([4, 3, GRID, 0]) + matrix + struct.pack(">2H", 2, 2) + line * 4 + table + line * 3
    return icc.written({b"A2B0": lut}, b"CMYK", b"Lab ")


def _printed(inks: Floats) -> Floats:
    """XYZ over that of the paper for shares of cyan, magenta, yellow and black, each from 0 to 1."""
    dots = inks + 4 * GAIN * inks * (1 - inks)
    light = np.zeros((len(inks), 3))
    paper = _from_lab(PAPER)
    for (colours, lab), black in product(SOLIDS.items(), (0, 1)):
        share = np.prod(np.where((*colours, black), dots, 1 - dots), axis=1)
        solid = _from_lab(lab) / paper
        if black:
            solid = solid * _from_lab(BLACK) / paper
        light += share[:, np.newaxis] * solid ** (1 / YULE_NIELSEN)
    return light**YULE_NIELSEN


def _from_lab(lab: tuple[float, float, float]) -> Floats:
    lightness = (lab[0] + 16) / 116
    f = np.array([lightness + lab[1] / 500, lightness, lightness - lab[2] / 200])
    linear: Floats = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * icc.WHITE
    return linear


def _to_lab(light: Floats) -> Floats:
    f = np.where(light > (6 / 29) ** 3, np.cbrt(light), light / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _encoded(lab: Floats) -> bytes:
    """As 16 bits of a table have it: 0 to 100 up to 0xFF00, and 128 added to what may be negative."""
    steps = np.stack([lab[:, 0] * 652.8, (lab[:, 1] + 128) * 256, (lab[:, 2] + 128) * 256], axis=1)
    return np.clip(np.rint(steps), 0, 65535).astype(">u2").tobytes()
