"""The images of a run in sections, by folder or by what is told of them; memory does not grow with the images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgflow_steps.contract.job import Counts
from imgflow_steps.records.results import scalars
from imgflow_steps.records.row import Row, Status
from imgflow_steps.records.sections import FOLDER
from imgflow_steps.report import charts, images, pages
from imgflow_steps.report.figures import NONE, count, milliseconds
from imgflow_steps.report.markup import Content, Markup, section, table, tag
from imgflow_steps.report.statistics import ModelFinding, Spread, Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.records.sections import SectionOf
    from imgflow_steps.report.data import Facts

KEPT = 200  # different sections that are counted, the first ones
SHOWN = 30  # sections in the report, the largest ones
FINDINGS = 4  # findings of a section, by name
WORDS, BINS = 20, 64  # of a finding of a section
CODES = 20  # reasons of a section
PICTURED = 6  # images of a section with a picture
NAMED = 12  # images of a section that are named
HEADS = (
    ("Section", None),
    ("Images", "figure"),
    ("", "stretch"),
    ("Rejected", "figure"),
    ("Failed", "figure"),
    ("Mean time", "figure"),
)


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


def parts(facts: Facts) -> Markup | None:
    """The section of sections; None where there are fewer than two."""
    found = facts.parts
    if not found or len(found.kept) <= 1:
        return None
    shown = [(name or _nameless(found.by), part) for name, part in found.shown]
    rows = [_row(n, name, part) for n, (name, part) in enumerate(shown, 1)]
    notes = [
        f"{count(found.rest, 'image')} in smaller sections." if found.rest else None,
        "The mean time is that of images computed in this run.",
    ]
    return section(
        "sections",
        f"By {found.by}",
        table("times sections", HEADS, rows),
        tag("p", " ".join(filter(None, notes)), class_="quiet"),
        [_details(n, name, part, facts) for n, (name, part) in enumerate(shown, 1)],
    )


def _nameless(by: str) -> str:
    return "in no folder" if by == FOLDER else f"without {by}"


def _row(n: int, name: str, part: Part) -> Markup:
    counts = part.counts
    bar = {status.value: getattr(counts, status) for status in Status}
    figures = (
        count(counts.rejected) if counts.rejected else NONE,
        count(counts.failed) if counts.failed else NONE,
        milliseconds(part.ms / part.computed) if part.computed else NONE,
    )
    return tag(
        "tr",
        tag("th", tag("a", tag("bdi", name, class_="name"), href=f"#section-{n}"), scope="row"),
        tag("td", count(counts.listed), class_="figure"),
        tag("td", charts.stack(bar), class_="stretch"),
        [tag("td", cell, class_="figure") for cell in figures],
    )


def _details(n: int, name: str, part: Part, facts: Facts) -> Markup:
    cards = [images.answers(label, said) for label, said in part.findings.items()]
    if part.codes.total:
        cards.append(tag("div", tag("h3", "Without a result"), images.words(part.codes), class_="card"))
    links = list(_links(part, facts))
    return tag(
        "details",
        tag("summary", tag("bdi", name, class_="name"), " ", tag("span", count(part.counts.listed, "image"))),
        tag("div", cards, class_="cards") if cards else None,
        tag("ul", _pictured(part, facts), class_="examples") if part.pictured else None,
        tag("p", links, class_="quiet") if links else None,
        class_="reason",
        id=f"section-{n}",
    )


def _pictured(part: Part, facts: Facts) -> Iterator[Markup]:
    for row in part.pictured:
        picture = images.small_picture(row, facts.thumbs)
        yield tag("li", picture, tag("span", pages.image_link(row.image, facts.places)))


def _links(part: Part, facts: Facts) -> Iterator[Content]:
    """Images by name, and how to come to the others."""
    for i, row in enumerate(part.named):
        yield (", " if i else "", pages.image_link(row.image, facts.places))
    rest = part.counts.listed - len(part.named) - len(part.pictured)
    if rest:
        where = "following on the pages" if facts.parts and facts.parts.by == FOLDER else "in results.csv"
        yield f" and {count(rest)} more, {where}" if part.named else f"{count(rest)} more, {where}"
