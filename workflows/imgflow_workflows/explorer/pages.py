"""The pages, as HTML that cannot be injected into: pure functions of what the index says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from imgflow_steps.report.figures import count
from imgflow_steps.report.maps import Place, dots
from imgflow_steps.report.markup import Content, Markup, document, prose, tag
from imgflow_steps.report.pages import image_name, spell
from imgflow_workflows.explorer.choice import PER_PAGE, Choice
from imgflow_workflows.explorer.facets import Bars, Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from imgflow_steps.records.run import Run
    from imgflow_workflows.runs.history import Record

WIDTH, HEIGHT = 10, 40  # of a bar, in its own units
NAMES = {"found_": "", "catalog_": "catalog: "}  # how beginnings of columns are shown
Tile = tuple[str, str, str, Any]  # municipality, image, status, and what they are sorted by


def page(title: str, *body: Content, wide: bool = True) -> bytes:
    """A page with the links that all have."""
    links = [tag("a", text, href=href) for text, href in LINKS.items()]
    return document(
        f"{title} · imgflow view",
        tag("nav", links, class_="top", aria_label="Pages"),
        tag("main", *body, class_="roomy" if wide else None),
        tag("script", src="explorer.js", defer=""),
    )


LINKS = {"All images": "./", "Near-duplicates": "alike", "Runs": "runs", "Read the store again": "./?refresh=1"}


def trouble(message: str, back: str = "./") -> bytes:
    """A page that says what is wrong with what was asked."""
    return page(
        "Cannot be shown", tag("p", prose(message), class_="oops"), tag("p", tag("a", "← All images", href=back))
    )


def place_of(municipality: str, image: str) -> str:
    """The address of an image's own page."""
    return "image?" + urlencode({"municipality": municipality, "image": image})


def picture_of(municipality: str, image: str, side: str) -> str:
    """The address of a picture."""
    return "picture?" + urlencode({"municipality": municipality, "image": image, "side": side})


def tiles(rows: Iterable[Tile]) -> list[Markup]:
    """Small pictures with their names and folders, or what they are sorted by, each a link to the image's own page."""
    return [_tile(*row) for row in rows]


def _tile(municipality: str, image: str, status: str, value: Any) -> Markup:
    made = status in {"processed", "cached"}
    shown = tag("img", src=picture_of(municipality, image, "after"), alt=image, loading="lazy", decoding="async")
    folder, _, name = image.rpartition("/")
    told = said(value) if value is not None else (made and folder) or status
    return tag(
        "a",
        shown if made else tag("span", status or "no result", class_="none"),
        image_name(name),
        tag("span", told, class_="quiet"),
        href=place_of(municipality, image),
        class_="tile",
        title=image,
    )


def said(value: Any) -> str:
    """A value as people read it."""
    return spell(value) if isinstance(value, (str, float, bool, int)) else str(value)


def named(column: str) -> str:
    """A column as people read it."""
    for begins, shown in NAMES.items():
        if column.startswith(begins):
            return shown + column.removeprefix(begins).replace("_", " ")
    return column.replace("_", " ")


def overview(
    title: str, choice: Choice, rows: Sequence[Tile], *, total: int, all_images: int, beside: Content, asked: Content,
) -> bytes:  # fmt: skip
    """The grid with what chooses beside it."""
    pages = -(-total // PER_PAGE)
    holder = tag(
        "div",
        tag("div", tiles(rows), class_="page"),
        data_pages=max(pages, 1), data_tiles="tiles" + choice.address(), data_total=total, data_per=PER_PAGE,
        data_start=choice.page,
    )  # fmt: skip
    nothing = tag("p", "Nothing fits. ", tag("a", "Show all images", href="./"))
    amount = tag("strong", count(total)), f" of {count(all_images, 'image')}"
    return page(
        title,
        tag("h1", title),
        asked,
        tag(
            "div", tag("aside", tag("p", amount), _choices(beside)),
            tag("div", holder if total else nothing, _pager(choice, pages)), class_="explore",
        ),
    )  # fmt: skip


def mapped(
    title: str, places: Sequence[tuple[str, str, float, float]], *, total: int, beside: Content, asked: Content,
) -> bytes:  # fmt: skip
    """The places of the images instead of the grid."""
    shown = [Place(latitude, longitude, image, place_of(name, image)) for name, image, latitude, longitude in places]
    some = f" The map shows {count(len(places))} of them, evenly chosen." if len(places) < total else ""
    told = tag("p", f"{count(total, 'image has', 'images have')} a position.{some}")
    body = tag("div", told, dots(shown) if shown else None)
    return page(title, tag("h1", title), asked, tag("div", tag("aside", _choices(beside)), body, class_="explore"))


def _choices(beside: Content) -> Markup:
    return tag("details", tag("summary", "Choose by folder, word and number"), beside, class_="choices", open="")


def _pager(choice: Choice, pages: int) -> Markup | None:
    """For browsers without the script."""
    previous = tag("a", "← Previous", href=choice.address(page=choice.page - 1)) if choice.page else None
    following = tag("a", "Next →", href=choice.address(page=choice.page + 1)) if choice.page + 1 < pages else None
    return tag("nav", previous, following, class_="pager") if pages > 1 else None


def bar(choice: Choice, columns: Mapping[str, str], *, token: str, trouble: str = "", total: int = 0) -> list[Content]:
    """What is asked for: a field for SQL, the order, and everything chosen so far, each to be taken back."""
    order = [tag("option", "by name", value="")]
    for name in columns:
        chosen = "" if name == choice.sort else None
        order.append(tag("option", named(name), value=name, selected=chosen))
    ways = [
        tag("option", text, value=value, selected="" if choice.descending == bool(value) else None)
        for text, value in (("lowest first", ""), ("highest first", "1"))
    ]
    example = "SQL, such as: width > 1000 AND taken >= '2026-05-01'"
    field = tag(
        "input", type="text", name="where", value=choice.where, placeholder=example, aria_label="Condition in SQL"
    )
    sql = tag("form", hidden(choice, "where"), field, tag("button", "Choose"), class_="sql")
    sort = tag(
        "form",
        hidden(choice, "sort", "desc"),
        tag("select", order, name="sort", data_submits="", aria_label="Sort by"),
        tag("select", ways, name="desc", data_submits="", aria_label="Direction"),
        tag("noscript", tag("button", "Sort")),
    )
    other = "grid" if choice.view == "map" else "map"
    return [
        tag(
            "div",
            sql,
            sort,
            tag("a", "Map" if other == "map" else "Grid", href=choice.address(view=other)),
            class_="asked",
        ),
        tag("p", prose(trouble), class_="oops") if trouble else None,
        _chips(choice),
        _tagging(choice, token, total) if choice.count and total and not trouble else None,
    ]


def unfinished(newest: Iterable[Record]) -> list[Markup]:
    """A line for each run that has not given all of the results that are shown."""
    return [
        tag("p", f"Run {one.run.id} of {one.run.municipality} has not finished: some images have no result yet.")
        for one in newest
        if not one.whole
    ]


def uncovered(newest: Iterable[Run]) -> list[Markup]:
    """A line for each run whose pictures show what another run covers."""
    return [
        tag("p", f"Not covered: run {run.id} covers nothing, and other runs of {run.municipality} do.", class_="oops")
        for run in newest
    ]


def hidden(choice: Choice, *but: str) -> list[Markup]:
    """A choice as fields of a form that nobody sees, without those that the form has itself."""
    pairs = parse_qsl(choice.address()[1:], keep_blank_values=True)
    return [tag("input", type="hidden", name=name, value=value) for name, value in pairs if name not in but]


def _chips(choice: Choice) -> Markup | None:
    asked: list[tuple[str, str]] = []
    if choice.folder is not None:
        asked.append((f"folder {choice.folder or '/'}", choice.address(folder=None)))
    asked += [(f"{named(name)}: {value}", choice.without(name)) for name, value in choice.values.items()]
    for name, (low, high) in choice.ranges.items():
        asked.append((f"{named(name)} {_short(low)} to {_short(high)}", choice.without(name)))
    if choice.where:
        asked.append((choice.where, choice.address(where="")))
    chips = [tag("a", text, " ✕", href=href, class_="chip chosen", title="Take it back") for text, href in asked]
    return tag("p", chips, class_="chips") if chips else None


def _short(edge: str) -> str:
    try:
        return spell(float(edge))
    except ValueError:
        return edge.partition("T")[0] or "…"


def _tagging(choice: Choice, token: str, total: int) -> Markup:
    return tag(
        "details",
        tag("summary", f"Tag {count(total, 'image')}"),
        tag(
            "form",
            tag("input", type="hidden", name="token", value=token),
            tag("input", type="hidden", name="chosen", value=choice.address()),
            tag(
                "input", type="text", name="tags", placeholder="a tag, or several with commas", aria_label="Tags to add"
            ),
            tag("button", "Add to the catalog"),
            method="post",
            action="tags",
        ),
    )


def sidebar(choice: Choice, folders: Sequence[tuple[str, int]], found: Iterable[Words | Bars]) -> list[Content]:
    """Folders, words and histograms that choose with a click."""
    body: list[Content] = []
    if folders or choice.folder:
        body.append(tag("h3", "folder"))
        up = (
            [("↑ " + (choice.folder.rpartition("/")[0] or "all"), choice.folder.rpartition("/")[0] or None, None)]
            if choice.folder
            else []
        )
        lines = [*up, *((name.rpartition("/")[2] or "(none)", name, number) for name, number in folders)]
        body.append(tag("ul", [
            tag("li", tag("a", tag("span", text), tag("span", count(number), class_="quiet") if number else None,
                          href=choice.address(folder=name))) for text, name, number in lines
        ], class_="facet"))  # fmt: skip
    for one in found:
        body.append(tag("h3", named(one.column)))
        body.append(_words(choice, one) if isinstance(one, Words) else _bars(choice, one))
    return body


def _words(choice: Choice, facet: Words) -> Markup:
    here = choice.values.get(facet.column)
    lines = []
    for word, number in facet.counts:
        chosen = word == here
        href = choice.without(facet.column) if chosen else choice.with_value(facet.column, word)
        told = (tag("bdi", word), tag("span", count(number), class_="quiet"))
        lines.append(tag("li", tag("a", told, href=href, aria_current="true" if chosen else None)))
    return tag("ul", lines, class_="facet")


def _bars(choice: Choice, facet: Bars) -> Markup:
    top = max(facet.counts) or 1
    links = []
    for i, number in enumerate(facet.counts):
        low, high = facet.edges[i], facet.edges[i + 1]
        tall = max(1.0, HEIGHT * number / top) if number else 0.0
        links.append(tag(
            "a",
            tag("title", f"{_short(low)} to {_short(high)}: {count(number)}"),
            tag("rect", x=i * WIDTH + 1, y=f"{HEIGHT - tall:.1f}", width=WIDTH - 1, height=f"{tall:.1f}"),
            tag("rect", x=i * WIDTH, y=0, width=WIDTH, height=HEIGHT, class_="hit"),
            href=choice.with_range(facet.column, low, high),
        ))  # fmt: skip
    box = f"0 0 {len(links) * WIDTH + 1} {HEIGHT}"
    spoken = f"Histogram of {named(facet.column)}; each bar chooses its range"
    svg = tag("svg", links, viewBox=box, preserveAspectRatio="none", class_="bars-svg", role="group", aria_label=spoken)
    ends = [tag("span", _short(edge)) for edge in (facet.edges[0], facet.edges[-1])]
    return tag("div", svg, tag("div", ends, class_="axis"))
