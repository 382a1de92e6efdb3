"""What a report says about any number of images, in memory that does not grow with them."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from itertools import count
from typing import TYPE_CHECKING

from imgflow_steps.contract.job import Counts
from imgflow_steps.contract.metadata import taken
from imgflow_steps.records.results import Scalar, scalars
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.sampling import Evenly

if TYPE_CHECKING:
    from imgflow_steps.report.covered import Coverage

LABELS = 1000  # different words kept per finding
FINDINGS = 200  # different findings kept, by name
REASONS = 100  # different codes kept
EXAMPLES = 12  # images shown per code
SLOWEST = 20
PLACES = 1000  # at least so many are on the map, evenly spread, when there are that many
PAIRS = 120  # at least half of this many are kept, evenly spread, when there are that many
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


@dataclass(slots=True)
class RejectionGroup:
    """Images that ended with one code."""

    images: int = 0
    known: int = 0  # by earlier runs
    examples: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Span:
    """From the first image that an attempt began to the last one it ended; times in seconds since the epoch."""

    began: float = math.inf
    ended: Spread = field(default_factory=Spread)

    @property
    def seconds(self) -> float:
        """How long that is."""
        return max(0.0, self.ended.high - self.began) if self.ended.n else 0.0


@dataclass(slots=True)
class Account:
    """Everything that the verdicts of a run add up to."""

    run: str
    starts: tuple[float, ...] = ()  # when each attempt after the first one began
    counts: Counts = field(default_factory=Counts)
    bytes: int = 0
    formats: Tally = field(default_factory=Tally)
    cameras: Tally = field(default_factory=Tally)
    taken: Spread = field(default_factory=Spread)  # seconds since 1970 by the clocks of the cameras
    places: Evenly = field(default_factory=lambda: Evenly(limit=2 * PLACES))
    findings: defaultdict[str, ModelFinding] = field(default_factory=lambda: defaultdict(ModelFinding))
    steps: defaultdict[str, Times] = field(default_factory=lambda: defaultdict(Times))  # of what this run computed
    images: Times = field(default_factory=Times)  # the same, all steps together
    spans: defaultdict[int, Span] = field(default_factory=lambda: defaultdict(Span))  # of the same, by attempt
    rejected: defaultdict[str, RejectionGroup] = field(default_factory=lambda: defaultdict(RejectionGroup))
    failed: defaultdict[str, RejectionGroup] = field(default_factory=lambda: defaultdict(RejectionGroup))
    covered: Coverage | None = None  # of a run that covers something
    pairs: Evenly = field(default_factory=lambda: Evenly(limit=2 * PAIRS))
    _slowest: list[tuple[float, int, Row]] = field(default_factory=list)
    _ties: Iterator[int] = field(default_factory=lambda: count(0, -1))

    def add(self, row: Row) -> None:
        """Count one verdict."""
        self.counts.listed += 1
        setattr(self.counts, row.status, getattr(self.counts, row.status) + 1)
        self.bytes += row.bytes
        if row.format:
            self.formats.add(row.format)
        if row.exif:
            self._add_told(row)
        if row.run == self.run and row.ms:
            self._add_times(row)
        if row.status is Status.REJECTED:
            self._add_reason(self.rejected, row)
        elif row.status is Status.FAILED:
            self._add_reason(self.failed, row)
        else:
            self._add_result(row)

    def _add_told(self, row: Row) -> None:
        if "camera" in row.exif:
            self.cameras.add(str(row.exif["camera"]))
        if when := taken(row.exif):
            self.taken.add(when.replace(tzinfo=UTC).timestamp())
        if "latitude" in row.exif:
            self.places.add(row)

    def _add_result(self, row: Row) -> None:
        if self.covered is not None:
            self.covered.add(row)
        if row.thumbs:
            self.pairs.add(row)
        for output in row.outputs:
            for name, value in scalars(output.found):
                if name in self.findings or len(self.findings) < FINDINGS:
                    self.findings[name].add(value)

    def _add_times(self, row: Row) -> None:
        total = sum(row.ms.values())
        for step, ms in row.ms.items():
            self.steps[step].add(ms)
        self.images.add(total)
        span = self.spans[bisect_right(self.starts, row.ended)]
        span.ended.add(row.ended)
        span.began = min(span.began, row.ended - total / 1000)
        heapq.heappush(self._slowest, (total, next(self._ties), row))
        if len(self._slowest) > SLOWEST:
            heapq.heappop(self._slowest)

    def _add_reason(self, reasons: defaultdict[str, RejectionGroup], row: Row) -> None:
        code = row.code if row.code in reasons or len(reasons) < REASONS else "other"
        reason = reasons[code]
        reason.images += 1
        reason.known += row.run != self.run
        if len(reason.examples) < EXAMPLES:
            reason.examples.append(row)

    @property
    def slowest(self) -> list[tuple[float, Row]]:
        """The images that took longest in this run, in milliseconds, longest first."""
        return [(ms, row) for ms, _, row in sorted(self._slowest, reverse=True)]

    @property
    def seconds(self) -> float:
        """From the first image that an attempt began to the last one it ended, all attempts together."""
        return sum(span.seconds for span in self.spans.values())
