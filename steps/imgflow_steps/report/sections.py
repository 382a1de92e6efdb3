"""The section of sections: the images of a run by folder, or by what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.records.row import Status
from imgflow_steps.records.sections import FOLDER
from imgflow_steps.report import charts, images, pages
from imgflow_steps.report.figures import NONE, count, milliseconds
from imgflow_steps.report.markup import Content, Markup, section, table, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.report.data import Facts
    from imgflow_steps.report.parts import Part

HEADS = (
    ("Section", None),
    ("Images", "figure"),
    ("", "stretch"),
    ("Rejected", "figure"),
    ("Failed", "figure"),
    ("Mean time", "figure"),
)


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
