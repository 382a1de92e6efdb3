"""A run's images in sections, counted by folder or by what is told of them; memory does not grow with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgflow_steps.contract.job import Counts
from imgflow_steps.records.results import scalars
from imgflow_steps.records.row import Row, Status
from imgflow_steps.report.statistics import ModelFinding, Spread, Tally

if TYPE_CHECKING:
    from imgflow_steps.records.sections import SectionOf

KEPT = 200  # different sections that are counted, the first ones
SHOWN = 30  # sections in the report, the largest ones
FINDINGS = 4  # findings of a section, by name
WORDS, BINS = 20, 64  # of a finding of a section
CODES = 20  # reasons of a section
PICTURED = 6  # images of a section with a picture
NAMED = 12  # images of a section that are named


def _findings() -> defaultdict[str, ModelFinding]:
    return defaultdict(lambda: ModelFinding(Tally(WORDS), Spread(BINS)))


@dataclass(slots=True)
class Part:
    """The images of one section."""

    counts: Counts = field(default_factory=Counts)
    computed: int = 0  # in this run…
    ms: float = 0.0  # …in this time
    findings: defaultdict[str, ModelFinding] = field(default_factory=_findings)
    codes: Tally = field(default_factory=lambda: Tally(CODES))  # of images without a result
    named: list[Row] = field(default_factory=list)
    pictured: list[Row] = field(default_factory=list)

    def add(self, row: Row, run: str) -> None:
        """Count one verdict of a run."""
        self.counts.listed += 1
        setattr(self.counts, row.status, getattr(self.counts, row.status) + 1)
        if row.run == run and row.ms:
            self.computed += 1
            self.ms += sum(row.ms.values())
        if row.status in {Status.REJECTED, Status.FAILED}:
            self.codes.add(row.code)
        else:
            self._add_findings(row)
        if row.thumbs and len(self.pictured) < PICTURED:
            self.pictured.append(row)
        elif len(self.named) < NAMED:
            self.named.append(row)

    def _add_findings(self, row: Row) -> None:
        for output in row.outputs:
            for name, value in scalars(output.found):
                if name in self.findings or len(self.findings) < FINDINGS:
                    self.findings[name].add(value)


@dataclass(slots=True)
class Sections:
    """All sections of a run; beyond ``KEPT`` different ones, images are counted together."""

    run: str
    by: str
    of: SectionOf
    kept: dict[str, Part] = field(default_factory=dict)
    others: Part = field(default_factory=Part)

    def add(self, row: Row) -> None:
        """Count one verdict; they come in the order of the listing."""
        name = self.of(row)
        if name not in self.kept and len(self.kept) < KEPT:
            self.kept[name] = Part()
        self.kept.get(name, self.others).add(row, self.run)

    @property
    def shown(self) -> list[tuple[str, Part]]:
        """The largest ones, by name."""
        largest = sorted(self.kept.items(), key=lambda item: -item[1].counts.listed)[:SHOWN]
        return sorted(largest, key=lambda item: (not item[0], item[0]))

    @property
    def rest(self) -> int:
        """Images in sections that are not shown."""
        every = sum(part.counts.listed for part in self.kept.values()) + self.others.counts.listed
        return every - sum(part.counts.listed for _, part in self.shown)

    @property
    def pictured(self) -> list[Row]:
        """Images of sections that are shown with a picture."""
        return [row for _, part in self.shown for row in part.pictured]

    @property
    def named(self) -> list[Row]:
        """All images of sections that are shown by name."""
        return [row for _, part in self.shown for row in (*part.pictured, *part.named)]
