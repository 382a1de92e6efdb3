"""What the verdicts of a run add up to, in memory that does not grow with the images."""

from __future__ import annotations

import heapq
import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC
from itertools import count

from imgflow_steps.contract.job import Counts
from imgflow_steps.contract.metadata import taken
from imgflow_steps.records.results import scalars
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.sampling import Evenly
from imgflow_steps.report.coverage import Coverage
from imgflow_steps.report.statistics import ModelFinding, Spread, Tally, Times

FINDINGS = 200  # different findings kept, by name
REASONS = 100  # different codes kept
EXAMPLES = 12  # images shown per code
SLOWEST = 20
PLACES = 1000  # the map shows this number of images at least, evenly spread, when there are that many
PAIRS = 120  # half of this number of images are kept at least, evenly spread, when there are that many


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
