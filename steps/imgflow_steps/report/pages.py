"""Every image on pages of a few hundred, and an index of the pages that stays usable with hundreds of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from imgflow_steps.records.results import scalars
from imgflow_steps.records.row import Published, Row, Status
from imgflow_steps.report.figures import NONE, box, count, milliseconds, number, size
from imgflow_steps.report.markup import Content, Markup, document, prose, table, tag

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

INDEX = "images.html"
MOST = 100_000  # images that get a place on a page; results.csv has all
AROUND = 3  # neighbours that a pager shows on either side
FINDINGS = 4  # shown per image


@dataclass(frozen=True, slots=True)
class Page:
    """What the index says about one page."""

    number: int
    first: str
    last: str
    rejected: int
    failed: int


def file_name(number: int) -> str:
    """Where page ``number`` lies, counted from 1."""
    return f"images-{number:04d}.html"


def write(
    folder: Path,
    title: str,
    verdicts: Iterable[Row],
    *,
    listed: int,
    per_page: int,
    wanted: Collection[str] = (),
    picture: Callable[[Row], Content] = lambda _: None,
) -> Mapping[str, str]:
    """Write the pages and their index into ``folder``; memory holds one page at a time.

    ``picture`` gives what stands beside an image's name. Gives the address of each ``wanted`` image that has a place.
    """
    places: dict[str, str] = {}
    last = ceil(min(listed, MOST) / per_page)
    shown = islice(verdicts, MOST)
    pages: list[Page] = []
    while rows := list(islice(shown, per_page)):
        pages.append(_summary(len(pages) + 1, rows))
        here = [row.image if row.image in wanted else "" for row in rows]
        places |= {image: f"{file_name(len(pages))}#{_id(i)}" for i, image in enumerate(here) if image}
        lines = [
            _row(row, picture(row), _id(i) if image else None)
            for i, (row, image) in enumerate(zip(rows, here, strict=True))
        ]
        (folder / file_name(len(pages))).write_bytes(_page(title, lines, len(pages), last, per_page))
    (folder / INDEX).write_bytes(_index(title, pages, listed))
    return places


def _id(position: int) -> str:
    return f"image-{position + 1}"


def image_name(image: str) -> Markup:
    """A name as it is, set apart so that its writing direction stays its own."""
    return tag("bdi", image, class_="name")


def image_link(image: str, places: Mapping[str, str]) -> Markup:
    """A name that leads to the image's place on the pages, where it has one."""
    place = places.get(image)
    return tag("a", image_name(image), href=place) if place else image_name(image)


def status_word(status: str) -> Markup:
    """A status as a word with its colour."""
    return tag("span", status, class_=f"status {status}")


def findings(row: Row, most: int) -> list[tuple[str, str]]:
    """The first things that the model said of an image, each under the last part of its name, of a piece after its."""
    found = ((output.piece, *said) for output in row.outputs for said in scalars(output.found))
    return [(f"{piece} {name.rpartition('.')[2]}".strip(), spell(value)) for piece, name, value in islice(found, most)]


def made(outputs: Sequence[Published]) -> str:
    """How many pictures came of an image and how large; the size alone of a single one."""
    sizes = {box(output.width, output.height) for output in outputs}
    if not sizes:
        return NONE
    size = sizes.pop()
    if len(outputs) == 1:
        return size
    return count(len(outputs), "picture") + ("" if sizes else f", {size}")


def spell(value: str | float) -> str:
    """A finding as a word."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)


def _summary(page: int, rows: list[Row]) -> Page:
    statuses = [row.status for row in rows]
    rejected, failed = statuses.count(Status.REJECTED), statuses.count(Status.FAILED)
    return Page(page, rows[0].image, rows[-1].image, rejected, failed)


def _page(title: str, rows: list[Markup], page: int, last: int, per_page: int) -> bytes:
    start = (page - 1) * per_page
    heading = f"Images {count(start + 1)} to {count(start + len(rows))}"
    heads = (
        ("Image", None),
        ("Status", None),
        ("Found, or why not", None),
        ("Pixels", "figure wide"),
        ("Result", "figure wide"),
        ("Size", "figure wide"),
        ("Time", "figure"),
    )
    body = table("images", heads, rows)
    return document(
        f"{heading} · {title}",
        tag("nav", tag("a", "← Report", href="index.html"), tag("a", "All pages", href=INDEX), class_="top"),
        tag("main", tag("h1", heading), tag("p", title, class_="quiet"), _pager(page, last), body, _pager(page, last)),
    )


def _row(row: Row, picture: Content, id_: str | None) -> Markup:
    said: Content = [tag("code", row.code), " ", prose(row.message)] if row.code else _said(row)
    return tag(
        "tr",
        tag("th", picture, image_name(row.image), scope="row"),
        tag("td", status_word(row.status)),
        tag("td", said, class_="said"),
        tag("td", box(row.width, row.height), class_="figure wide"),
        tag("td", made(row.outputs), class_="figure wide"),
        tag("td", size(row.bytes), class_="figure wide"),
        tag("td", milliseconds(sum(row.ms.values())) if row.ms else NONE, class_="figure"),
        id=id_,
    )


def _said(row: Row) -> str:
    return " · ".join(f"{name} {value}" for name, value in findings(row, FINDINGS))


def _pager(page: int, last: int) -> Markup:
    """First, last, and what lies around this page."""
    near = {1, last, *range(max(1, page - AROUND), min(last, page + AROUND) + 1)}
    links: list[Content] = []
    before = 0
    for n in sorted(near):
        links.append(tag("span", "…", class_="gap") if n > before + 1 else None)
        here = n == page
        links.append(tag("span", str(n), aria_current="page") if here else tag("a", str(n), href=file_name(n)))
        before = n
    previous = tag("a", "← Previous", href=file_name(page - 1), rel="prev") if page > 1 else None
    following = tag("a", "Next →", href=file_name(page + 1), rel="next") if page < last else None
    return tag("nav", previous, links, following, class_="pager", aria_label="Pages of images")


def _index(title: str, pages: list[Page], listed: int) -> bytes:
    heads = (("Page", "figure"), ("From", None), ("To", "wide"), ("Rejected", "figure"), ("Failed", "figure"))
    rows = [
        tag(
            "tr",
            tag("th", tag("a", str(page.number), href=file_name(page.number)), scope="row", class_="figure"),
            tag("td", image_name(page.first)),
            tag("td", image_name(page.last), class_="wide"),
            tag("td", count(page.rejected) if page.rejected else NONE, class_="figure"),
            tag("td", count(page.failed) if page.failed else NONE, class_="figure"),
        )
        for page in pages
    ]
    rest = (
        tag("p", f"These pages show the first {count(MOST)} of {count(listed)} images; results.csv has all.")
        if listed > MOST
        else None
    )
    body = table("pages", heads, rows) if rows else tag("p", "No images were listed.")
    return document(
        f"All images · {title}",
        tag("nav", tag("a", "← Report", href="index.html"), class_="top"),
        tag("main", tag("h1", "All images"), tag("p", title, class_="quiet"), rest, body),
    )
