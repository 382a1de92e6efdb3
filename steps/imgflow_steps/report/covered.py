"""What a run has covered: how much, how large and how certain, and the images that a person should look at.

Only published pictures are shown, small, in which what was found is covered already; never a part of an original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.report import charts, images, pages
from imgflow_steps.report import figures as written
from imgflow_steps.report.coverage import GROUPS, Coverage
from imgflow_steps.report.markup import Markup, lines, section, table, tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.row import Row
    from imgflow_steps.report.data import Facts


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
