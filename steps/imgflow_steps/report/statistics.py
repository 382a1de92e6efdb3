"""Words, numbers and times that are counted, in memory that does not grow with how many there are."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgflow_steps.records.results import Scalar

LABELS = 1000  # different words kept per finding
BINS = 512
FINEST = -40  # bins of numbers begin 2**-40 wide
BEYOND = 1e200


@dataclass(slots=True)
class Tally:
    """How often each word was said; words beyond the first ``most`` different ones count as others."""

    most: int = LABELS
    words: Counter[str] = field(default_factory=Counter)
    others: int = 0

    def add(self, word: str) -> None:
        """Count one."""
        if word in self.words or len(self.words) < self.most:
            self.words[word] += 1
        else:
            self.others += 1

    @property
    def total(self) -> int:
        """How often anything was said."""
        return self.words.total() + self.others


@dataclass(slots=True)
class Spread:
    """How numbers of unknown range lie: exact counts in bins of a power of two, doubled when there are too many."""

    most: int = BINS
    bins: Counter[int] = field(default_factory=Counter)
    exponent: int = FINEST
    n: int = 0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        """Count one number; what is no number, or beyond all measure, is left out."""
        if not abs(value) < BEYOND:
            return
        self.n += 1
        self.total += value
        self.low, self.high = min(self.low, value), max(self.high, value)
        self.bins[math.floor(math.ldexp(value, -self.exponent))] += 1
        while len(self.bins) > self.most:
            self.exponent += 1
            wider: Counter[int] = Counter()
            for index, amount in self.bins.items():
                wider[index >> 1] += amount
            self.bins = wider

    @property
    def mean(self) -> float:
        """The mean, 0 of nothing."""
        return self.total / self.n if self.n else 0.0

    def columns(self, most: int) -> tuple[float, float, list[int]]:
        """At most this many columns of equal width: where the first begins, the width, and the counts."""
        first, last = min(self.bins), max(self.bins)
        each = -(-(last - first + 1) // most)
        columns = [0] * ((last - first) // each + 1)
        for index, amount in self.bins.items():
            columns[(index - first) // each] += amount
        return math.ldexp(first, self.exponent), math.ldexp(each, self.exponent), columns


@dataclass(slots=True)
class Times:
    """How milliseconds lie, on a fixed logarithmic scale: quantiles are within 2.2 %."""

    PER_OCTAVE = 16
    LEAST = 1e-3

    bins: Counter[int] = field(default_factory=Counter)
    n: int = 0
    total: float = 0.0
    high: float = 0.0

    def add(self, ms: float) -> None:
        """Count one."""
        self.n += 1
        self.total += ms
        self.high = max(self.high, ms)
        self.bins[math.floor(math.log2(max(ms, self.LEAST)) * self.PER_OCTAVE)] += 1

    @property
    def mean(self) -> float:
        """The mean, 0 of nothing."""
        return self.total / self.n if self.n else 0.0

    def quantile(self, q: float) -> float:
        """What the share ``q`` of all stays under, 0 of nothing."""
        left = q * self.n
        for index in sorted(self.bins):
            left -= self.bins[index]
            if left <= 0:
                return min(self.high, 2 ** ((index + 0.5) / self.PER_OCTAVE))
        return self.high


@dataclass(slots=True)
class ModelFinding:
    """What a model said under one name: words, numbers, or both."""

    words: Tally = field(default_factory=Tally)
    numbers: Spread = field(default_factory=Spread)

    def add(self, value: Scalar) -> None:
        """Count one answer."""
        if isinstance(value, bool):
            self.words.add("yes" if value else "no")
        elif isinstance(value, str):
            self.words.add(value)
        else:
            self.numbers.add(value)
