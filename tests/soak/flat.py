"""Whether a figure that was taken again and again grows: a line is laid through it, without its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WARM = 1 / 3  # of the samples, in which caches fill and processes start
SURE = 4.0  # standard errors that a slope has to differ from none
SHARE = 0.05  # of the level that may be gained in the time that is judged


@dataclass(frozen=True)
class Trend:
    """A figure at the begin and the end of the line through it, and whether it grows."""

    begin: float
    end: float
    grows: bool


def trend(samples: Sequence[float], least: float) -> Trend:
    """A figure grows when its line does so surely, and by more than a share of it and more than ``least``."""
    judged = np.asarray(samples[int(len(samples) * WARM) :], dtype=np.float64)
    if len(judged) < 4:
        raise ValueError(f"{len(judged)} samples are too few to be judged; measure for longer")
    at = np.arange(len(judged)) - (len(judged) - 1) / 2
    slope = float((at * judged).sum() / (at**2).sum())
    level = float(judged.mean())
    rest = judged - level - slope * at
    error = float(np.sqrt((rest**2).sum() / (len(judged) - 2) / (at**2).sum()))
    begin, end = level + slope * at[0], level + slope * at[-1]
    grows = end - begin > max(least, SHARE * level) and slope > SURE * error
    return Trend(float(begin), float(end), grows)
