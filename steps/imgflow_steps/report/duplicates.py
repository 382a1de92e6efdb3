"""Near-duplicates in the report: the largest groups, with their pictures side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.records.duplicates import MOST
from imgflow_steps.report import pages
from imgflow_steps.report.data import SHOWN, Group
from imgflow_steps.report.figures import box, count, size
from imgflow_steps.report.markup import Markup, prose, section, tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_steps.records.row import Row
    from imgflow_steps.report.data import Facts


def near_duplicates(facts: Facts) -> Markup | None:
    """How many images look like another one, and which."""
    summary = facts.summary
    doubt = _doubt(facts)
    if not (summary.duplicates or doubt or facts.run.left_out):
        return None
    told = (
        f"{count(summary.duplicates, 'image looks', 'images look')} like another one, in "
        f"{count(summary.duplicate_groups, 'group')}: the same picture in another size, format or quality, or a little "
        "lighter or darker. Mirrored, turned and cropped ones are not found. Column duplicate_of of results.csv names "
        "the first image of each group; a run with --once skips the others, and `imgflow view` shows all side by side."
    )
    rest = summary.duplicate_groups - len(facts.alike)
    return section(
        "alike",
        "Near-duplicates",
        tag("p", prose(told)) if summary.duplicates else None,
        tag("p", doubt) if doubt else None,
        _left_out(facts) if facts.run.left_out else None,
        tag("ul", [_group(group, facts) for group in facts.alike], class_="groups") if facts.alike else None,
        tag("p", f"and {count(rest, 'more group')}, in results.csv", class_="quiet") if rest else None,
    )


def _left_out(facts: Facts) -> list[Markup]:
    shown = [
        tag("li", tag("span", pages.image_name(image), " looks like ", pages.image_name(first)))
        for image, first in facts.left_out
    ]
    number = count(facts.run.left_out, "near-duplicate")
    told = [
        f"Skipped in this run by --once: {number} of other images, listed in ",
        tag("code", keys.left_out(facts.run.id)),
    ]
    if not shown:
        return [tag("p", told)]
    more = tag("summary", f"the first {count(len(shown))}" if len(shown) < facts.run.left_out else "which")
    return [tag("p", told), tag("details", more, tag("ul", shown, class_="examples"))]


def _doubt(facts: Facts) -> str:
    """What was not looked for, "" where everything was."""
    near, asked = facts.summary.near, facts.run.collect.near
    if near is None:
        return f"Not looked for: only up to {count(MOST, 'image')} are compared."
    if near < asked:
        return (
            f"This many images are nearly alike that only equal hashes were looked for, not those {asked} bits apart."
        )
    return ""


def _group(group: Group, facts: Facts) -> Markup:
    named = group.rows[SHOWN:]
    rest = group.images - len(group.rows)
    more = [pages.image_link(row.image, facts.places) for row in named] + ([f"and {count(rest)} more"] if rest else [])
    return tag(
        "li",
        tag("h3", count(group.images, "image")),
        tag("div", [_image(row, facts.thumbs.get(key), facts.places) for row, key in group.shown], class_="alike"),
        tag("p", [[", " if i else None, one] for i, one in enumerate(more)], class_="quiet") if more else None,
    )


def _image(row: Row, file: str | None, places: Mapping[str, str]) -> Markup:
    shown = (
        tag("img", src=file, alt=row.image, loading="lazy", class_="thumb")
        if file
        else tag("span", "no picture", class_="thumb none")
    )
    about = f"{box(row.width, row.height)} {row.format}, {size(row.bytes)}"
    return tag(
        "figure", shown, tag("figcaption", pages.image_link(row.image, places), tag("span", about, class_="quiet"))
    )
