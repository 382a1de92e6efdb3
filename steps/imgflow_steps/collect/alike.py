"""Near-duplicates in the report: the largest groups, with their pictures side by side."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps import keys
from imgflow_steps.collect import pages
from imgflow_steps.collect.figures import box, count, size
from imgflow_steps.collect.markup import Markup, section, tag
from imgflow_steps.collect.results import read_at
from imgflow_steps.duplicates import MOST
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imgflow_steps.collect.facts import Facts
    from imgflow_steps.contract import Row
    from imgflow_steps.duplicates import Duplicates
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store

GROUPS = 12  # shown
SHOWN = 4  # images of a group with a picture
LEFT_OUT = 60  # images that are named, of those that a run leaves out…
READ = 64 << 10  # …within so many bytes of its table
NAMED = 12  # images of a group that are named


@dataclass(frozen=True, slots=True)
class Group:
    """Images that look alike: how many, and the first of them; all others are called duplicates of the very first."""

    images: int
    rows: list[Row]

    @property
    def shown(self) -> list[tuple[Row, str]]:
        """Those with a picture, and its key, "" for none: thumbnails where all have one, else what was made of them."""
        some = self.rows[:SHOWN]
        small = all(row.thumbs for row in some)
        return [(row, next(iter(row.thumbs if small else [output.key for output in row.outputs]), "")) for row in some]


def groups(spooled: Path, found: Duplicates) -> list[Group]:
    """The largest groups, the largest first."""
    return [
        Group(images, [read_at(spooled, place) for place in places]) for images, places in found.largest(GROUPS, NAMED)
    ]


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
        "the first image of each group."
    )
    rest = summary.duplicate_groups - len(facts.alike)
    return section(
        "alike",
        "Near-duplicates",
        tag("p", told) if summary.duplicates else None,
        tag("p", doubt) if doubt else None,
        _left_out(facts) if facts.run.left_out else None,
        tag("ul", [_group(group, facts.thumbs) for group in facts.alike], class_="groups") if facts.alike else None,
        tag("p", f"and {count(rest, 'smaller group')}, in results.csv", class_="quiet") if rest else None,
    )


def _left_out(facts: Facts) -> list[Markup]:
    shown = [
        tag("li", tag("span", pages.image_name(image), " looks like ", pages.image_name(first)))
        for image, first in facts.left_out
    ]
    number = count(facts.run.left_out, "near-duplicate")
    told = [
        f"Left out of this run, as asked: {number} of other images, named in ",
        tag("code", keys.left_out(facts.run.id)),
    ]
    if not shown:
        return [tag("p", told)]
    more = tag("summary", f"the first {count(len(shown))}" if len(shown) < facts.run.left_out else "which")
    return [tag("p", told), tag("details", more, tag("ul", shown, class_="examples"))]


def read_left_out(store: Store, run: Run) -> list[tuple[str, str]]:
    """The first near-duplicates that a run leaves out, and what each looks like."""
    if not run.left_out:
        return []
    try:
        begin = store.read_range(keys.left_out(run.id), 0, READ)
    except NotFoundError:
        return []
    lines = list(csv.reader(io.StringIO(begin.decode(errors="ignore"), newline="")))
    whole = lines[1:-1] if len(begin) == READ else lines[1:]
    return [(image, first) for image, first in whole[:LEFT_OUT]]


def _doubt(facts: Facts) -> str:
    """What was not looked for, "" where everything was."""
    near, asked = facts.summary.near, facts.run.collect.near
    if near is None:
        return f"Not looked for: only up to {count(MOST, 'image')} are compared."
    if near < asked:
        return f"So many images are nearly alike that only equal hashes were looked for, not those {asked} bits apart."
    return ""


def _group(group: Group, thumbs: Mapping[str, str]) -> Markup:
    named = group.rows[SHOWN:]
    rest = group.images - len(group.rows)
    more = [pages.image_name(row.image) for row in named] + ([f"and {count(rest)} more"] if rest else [])
    return tag(
        "li",
        tag("h3", count(group.images, "image")),
        tag("div", [_image(row, thumbs.get(key)) for row, key in group.shown], class_="alike"),
        tag("p", [[", " if i else None, one] for i, one in enumerate(more)], class_="quiet") if more else None,
    )


def _image(row: Row, file: str | None) -> Markup:
    shown = (
        tag("img", src=file, alt=row.image, loading="lazy", class_="thumb")
        if file
        else tag("span", "no picture", class_="thumb none")
    )
    about = f"{box(row.width, row.height)} {row.format}, {size(row.bytes)}"
    return tag("figure", shown, tag("figcaption", pages.image_name(row.image), tag("span", about, class_="quiet")))
