"""One image's whole story, images that look alike beside each other, and two runs beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgflow_steps.report.figures import count, moment
from imgflow_steps.report.maps import Place, dots
from imgflow_steps.report.markup import Content, Markup, lines, prose, section, tag
from imgflow_steps.report.pages import image_name, status_word
from imgflow_steps.report.remedies import HINTS
from imgflow_workflows.explorer.pages import named, page, picture_of, place_of, said

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from imgflow_workflows.explorer.compare import Compared
    from imgflow_workflows.explorer.overlay import Outlines
    from imgflow_workflows.runs.story import Story

QUIET = frozenset(
    {"municipality", "image", "folder", "thumb_before", "thumb_after", "tags", "run", "status", "message"}
)


def image(
    row: Mapping[str, Any], story: Story, alike: Sequence[str], *, token: str, before: bool, after: bool,
    drawn: Outlines | None,
) -> bytes:  # fmt: skip
    """An image's page: before and after, all that is known, why it was computed, and what looks like it."""
    whose, name = str(row["municipality"]), str(row["image"])
    known: dict[str, Content] = {
        named(column): _told(column, value)
        for column, value in row.items()
        if value not in (None, "") and column not in QUIET
    }
    where = None
    if row.get("latitude") is not None and row.get("longitude") is not None:
        where = section("where", "Where", dots([Place(float(row["latitude"]), float(row["longitude"]), name)]))
    return page(
        name,
        tag("h1", image_name(name)),
        tag("p", status_word(str(row.get("status") or "not processed")), " · ", whose, class_="facts"),
        tag("div", tag("code", str(row["code"])), " ", prose(str(row["message"] or "")), _hint(str(row["code"])),
            class_="oops") if row.get("code") else None,
        _pictures(whose, name, drawn, before=before, after=after),
        _tags(whose, name, str(row.get("tags") or ""), token),
        section("known", "What is known", lines(known)),
        where,
        section("alike", "Looks like", tag("div", [_figure(whose, other) for other in alike], class_="couple"))
        if alike else None,
        section("story", "Story", tag("ol", [_chapter(one) for one in story.chapters], class_="story"))
        if story.chapters else None,
        wide=False,
    )  # fmt: skip


def _told(column: str, value: Any) -> str:
    """A value with all its digits: a position or a price is not an estimate."""
    if column == "ended":
        return moment(value)
    return f"{value:,.10g}" if isinstance(value, float) else said(value)


def _hint(code: str) -> Markup | None:
    return tag("p", prose(HINTS[code])) if code in HINTS else None


def _pictures(municipality: str, name: str, drawn: Outlines | None, *, before: bool, after: bool) -> Markup | None:
    shown = {"original": "before", "result": "after"}
    sides = [side for side, there in (("original", before), ("result", after)) if there]
    pictures = [tag("img", src=picture_of(municipality, name, side), alt=f"{shown[side]}: {name}") for side in sides]
    if len(sides) == 2:  # noqa: PLR2004 - there are two
        moves = tag("input", type="range", min=0, max=100, value=50, aria_label="How much of before and after is shown")
        words = tag(
            "p", "Left of the line as it was, right of it the result. Drag, or use the arrow keys.", class_="quiet"
        )
        switch = tag("p", drawn.switch()) if drawn else None
        return tag("div", tag("div", pictures, drawn.over() if drawn else None, moves, class_="slider"), words, switch)
    if drawn:
        pictures = [tag("span", pictures, drawn.over(), class_="over"), tag("br"), drawn.switch()]
    return tag("p", pictures, class_="whole") if pictures else None


def _tags(municipality: str, name: str, tags: str, token: str) -> Markup:
    fields = {"token": token, "municipality": municipality, "image": name}
    return tag(
        "form",
        [tag("input", type="hidden", name=key, value=value) for key, value in fields.items()],
        tag("label", "Tags ", tag("input", type="text", name="tags", value=tags, placeholder="with commas")),
        tag("button", "Save in the catalog"),
        method="post",
        action="tags",
        class_="asked",
    )


def _chapter(chapter: Any) -> Markup:
    run = chapter.record.run
    why = [[tag("br") if i else None, prose(text)] for i, text in enumerate(chapter.why)]
    steps = " → ".join(run.pipeline.labels)
    return tag(
        "li",
        tag("strong", run.id), " ", status_word(chapter.verdict),
        tag("span", f" · {moment(run.created)} · {steps}", class_="quiet"), tag("div", why),
    )  # fmt: skip


def _figure(municipality: str, name: str, side: str = "before") -> Markup:
    picture = tag("img", src=picture_of(municipality, name, side), alt=name, loading="lazy")
    return tag("figure", tag("a", picture, href=place_of(municipality, name)), tag("figcaption", image_name(name)))


def alike(groups: Sequence[tuple[str, str, list[str]]], *, total: int, start: int, step: int) -> bytes:
    """Groups of images that look alike, beside each other."""
    shown = [
        section(f"group-{i}", count(len(names) + 1, "image"),
                tag("div", [_figure(whose, name) for name in [first, *names[:11]]], class_="couple"))
        for i, (whose, first, names) in enumerate(groups)
    ]  # fmt: skip
    links = [
        tag("a", text, href=f"alike?start={at}")
        for text, at, there in (
            ("← Previous", max(0, start - step), start > 0),
            ("Next →", start + step, start + step < total),
        )
        if there
    ]
    nothing = tag("p", "No two images of the newest runs look alike.")
    heading = f"Near-duplicates: {count(total, 'group')}"
    return page(heading, tag("h1", heading), shown or nothing, tag("nav", links, class_="pager") if links else None)


def runs(choices: Sequence[tuple[str, str]], compared: Compared | None, a: str, b: str, trouble: str = "") -> bytes:
    """Two runs beside each other: a form, how they differ in numbers, and the first images that do."""

    def select(name: str, chosen: str) -> Markup:
        options = [tag("option", text, value=run, selected="" if run == chosen else None) for run, text in choices]
        return tag("select", options, name=name, aria_label=f"Run {name}")

    form = tag("form", select("a", a), " beside ", select("b", b), tag("button", "Compare"), class_="asked")
    body: list[Content] = [tag("p", prose(trouble), class_="oops")] if trouble else []
    if compared:
        totals = [f"{count(number)} {what}" for what, number in compared.totals.items() if number]
        body.append(tag("p", "; ".join(totals) or "Neither run listed anything."))
        body += [_differing(*one) for one in compared.differing]
        if compared.more:
            body.append(
                tag("p", f"and {count(compared.more, 'more image differs', 'more images differ')}", class_="quiet")
            )
    return page("Two runs", tag("h1", "Two runs beside each other"), form, body)


def _differing(name: str, what: str, sides: Sequence[tuple[str, str, str]]) -> Markup:
    figures = [
        tag("figure",
            tag("img", src=address, alt=f"{run}: {name}", loading="lazy")
            if address else tag("span", status, class_="thumb none"),
            tag("figcaption", tag("code", run), " ", status_word(status) if status else "not listed"))
        for run, status, address in sides
    ]  # fmt: skip
    return tag(
        "section", tag("h3", image_name(name)), tag("p", what, class_="quiet"), tag("div", figures, class_="couple")
    )
