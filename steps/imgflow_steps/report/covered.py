"""What a run has covered: how much, how large and how certain, and the images that a person should look at.

Only published pictures are shown, small, in which what was found is covered already; never a part of an original.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.sample import MANUAL
from imgflow_steps.report import charts, images, pages
from imgflow_steps.report import figures as written
from imgflow_steps.report.markup import Markup, lines, section, table, tag
from imgflow_steps.report.statistics import Spread

if TYPE_CHECKING:
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.row import Row
    from imgflow_steps.report.data import Facts

LEAST = 24  # pictures with the least certain boxes
NONE_NAMED = 24  # images in which nothing was found that are named
COLUMNS = 32  # of a histogram
GROUPS = {"0": 0, "1 to 2": 2, "3 to 9": 9, "10 or more": None}  # boxes of a picture, up to so many

Box = tuple[str, float, float, float, float, float]  # label, score, left, upper, width, height


@dataclass(slots=True)
class Coverage:
    """Boxes and pictures of a run with a step that covers things; memory does not grow with their number."""

    labels: tuple[str, ...] = ()  # that are covered; () is all of them
    score: float = 0.0  # from which on
    pictures: Counter[str] = field(default_factory=Counter)  # by how many boxes are covered
    covered: int = 0  # boxes that models found
    manual: int = 0  # boxes that people gave, all of which are covered
    by_people: int = 0  # images of which they said what to cover, or that there is nothing
    left: int = 0  # boxes that were found and are to stay visible
    sides: Spread = field(default_factory=Spread)  # the longer one, in pixels of the upright original
    scores: Spread = field(default_factory=Spread)
    shares: Spread = field(default_factory=Spread)  # of a picture that is covered
    none: list[str] = field(default_factory=list)  # the first images in which nothing is covered
    _least: list[tuple[float, int, Row, Box]] = field(default_factory=list)
    _ties: Iterator[int] = field(default_factory=lambda: count(0, -1))

    @classmethod
    def of(cls, pipeline: Pipeline) -> Coverage | None:
        """What the first step of a pipeline that covers something is to cover; None where there is none."""
        for call in pipeline.steps:
            if call.step.hides:
                params = call.params.model_dump()
                return cls(tuple(params.get("labels", ())), params.get("score", 0.0))
        return None

    def add(self, row: Row) -> None:
        """Count the pictures of one image."""
        least: Box | None = None
        for output in row.outputs:
            told = output.found.get("redacted")
            if not isinstance(told, Mapping):
                continue
            number = int(told["count"])
            self.pictures[_group(number)] += 1
            self.shares.add(float(told["share"]))
            if not number and len(self.none) < NONE_NAMED and row.image not in self.none[-1:]:
                self.none.append(row.image)
        found = row.outputs[0].found if row.outputs else {}
        if MANUAL in found:
            self.by_people += 1
            self.manual += int(found[MANUAL]["count"])
        for box in _boxes(found):
            if (self.labels and box[0] not in self.labels) or box[1] < self.score:
                self.left += 1
                continue
            self.covered += 1
            self.sides.add(max(box[4:]))
            self.scores.add(box[1])
            least = min(least or box, box, key=lambda one: one[1])
        if least:
            heapq.heappush(self._least, (-least[1], next(self._ties), row, least))
            if len(self._least) > LEAST:
                heapq.heappop(self._least)

    @property
    def least(self) -> list[tuple[Row, Box]]:
        """Images with the least certain boxes that are covered, the least certain first, and that box."""
        return [(row, box) for _, _, row, box in sorted(self._least, key=lambda one: (-one[0], -one[1]))]


def _group(number: int) -> str:
    return next(name for name, most in GROUPS.items() if most is None or number <= most)


def _boxes(found: Mapping[str, Any]) -> Iterator[Box]:
    """Boxes of every model before the step that covers them; a row keeps the order of steps."""
    for name, told in found.items():
        if name == "redacted":
            return
        if isinstance(told, Mapping) and "boxes" in told and name != MANUAL:
            yield from (tuple(box) for box in told["boxes"])


def what_was_covered(facts: Facts) -> Markup | None:
    """The section; None where the pipeline covers nothing."""
    seen = facts.account.covered
    if seen is None or not seen.pictures:
        return None
    known = {
        "Covered": f"{written.count(seen.covered)} boxes that models found",
        **_by_people(seen, facts.listing),
        "Left visible": f"{written.count(seen.left)} boxes of other labels, or less certain than redact asks for"
        if seen.left
        else "no box that was found",
        "Share of a picture": f"{_percent(seen.shares.mean)} on average, {_percent(seen.shares.high)} at most",
    }
    return section(
        "covered",
        "What was covered",
        tag("p", "What the model did not find is not covered; only people who look can tell.", class_="quiet"),
        lines(known),
        _numbers(seen),
        tag("div", _spreads(seen), class_="cards"),
        _certain(seen, facts),
        _nothing(seen, facts.places),
    )


def _by_people(seen: Coverage, listing: Listing) -> dict[str, str]:
    """Boxes that people gave, and those that met no image; nothing where they gave none."""
    told = {}
    if seen.by_people:
        told["Given by people"] = f"{written.count(seen.manual)} boxes in {written.count(seen.by_people, 'image')}"
    if listing.astray:
        told["Not listed"] = f"{written.count(listing.astray, 'image')} for which people gave boxes"
    return told


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _numbers(seen: Coverage) -> Markup:
    whole = seen.pictures.total()
    rows = [
        tag(
            "tr",
            tag("th", name, scope="row"),
            tag("td", charts.bar(seen.pictures[name], whole), class_="stretch"),
            tag("td", written.count(seen.pictures[name]), class_="figure"),
        )
        for name in GROUPS
    ]
    return table("covering", (("Boxes", None), ("", "stretch"), ("Pictures", "figure")), rows)


def _spreads(seen: Coverage) -> Iterator[Markup]:
    for name, spread in {"Longer side, pixels": seen.sides, "Certainty": seen.scores}.items():
        if spread.n:
            yield tag("div", tag("h3", name), images.histogram(name, spread), class_="card")


def _certain(seen: Coverage, facts: Facts) -> Markup | None:
    if not seen.least:
        return None
    rows = [
        tag(
            "tr",
            tag("th", _shown(row, facts), pages.image_link(row.image, facts.places), scope="row"),
            tag("td", tag("bdi", box[0])),
            tag("td", written.number(box[1]), class_="figure"),
            tag("td", written.box(round(box[4]), round(box[5])), class_="figure wide"),
        )
        for row, box in seen.least
    ]
    heads = (("Image", None), ("Label", None), ("Certainty", "figure"), ("Pixels", "figure wide"))
    return tag("div", tag("h3", "The least certain boxes, all covered"), table("least", heads, rows))


def _shown(row: Row, facts: Facts) -> Markup | None:
    """The small picture of what was published, where there is one."""
    return images.thumb(row, "after", facts.thumbs) if len(row.thumbs) > 1 and row.thumbs[0] == "" else None


def _nothing(seen: Coverage, places: Mapping[str, str]) -> Markup | None:
    """Images in which there was nothing to cover: either there is nothing, or the model missed it."""
    if not (pictures := seen.pictures["0"]):
        return None
    names = [tag("li", pages.image_link(image, places)) for image in seen.none]
    link = tag("a", "all images, page by page →", href=pages.INDEX)
    return tag(
        "details",
        tag("summary", f"Nothing was found to cover in {written.count(pictures, 'picture')}"),
        tag("ul", names, class_="examples"),
        tag("p", "Look at some of them: ", link, class_="quiet"),
    )


def thumbs(seen: Coverage | None) -> list[str]:
    """Small pictures that the section shows, by store key."""
    return [row.thumbs[1] for row, _ in seen.least if len(row.thumbs) > 1 and not row.thumbs[0]] if seen else []
