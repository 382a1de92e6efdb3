"""A page of what differs most between two runs: each picture before, after, and how they differ."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imgflow_steps import codec
from imgflow_steps.contract.options import Limits
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.report.figures import count, number
from imgflow_steps.report.markup import Markup, document, section, table, tag
from imgflow_steps.report.pages import image_name
from imgflow_steps.report.report import STYLE, single_file
from imgflow_steps.store import OF_ONE
from imgflow_workflows.results.diff import FETCHES, MEASURED, Change, Comparison, Difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

GAIN = 8  # times that a difference is made larger to be seen
SIDES = ("first", "second", "difference")


def page(store: Store, first: Run, second: Run, comparison: Comparison) -> bytes:
    """The whole page in one file, in the report's style; the pictures of the worst are fetched for it."""
    with ThreadPoolExecutor(FETCHES) as pool:
        shown = list(pool.map(lambda one: _thumbs(store, one), comparison.worst))
    files: dict[str, bytes] = {STYLE.name: STYLE.read_bytes()}
    names = []
    for row, thumbs in enumerate(shown):
        names.append([f"thumbs/{row * len(SIDES) + i:05d}.jpg" if thumb else "" for i, thumb in enumerate(thumbs)])
        files |= {name: thumb for name, thumb in zip(names[-1], thumbs, strict=True) if name}
    files["index.html"] = _document(first, second, comparison, names)
    return single_file(files.__getitem__)


def _thumbs(store: Store, one: Difference) -> list[bytes]:
    """Small JPEGs of both pictures and of their difference; b"" where there is none."""
    pair = [_thumb(store, key) for key in one.keys]
    comparable = all(pair) and one.change is Change.PIXELS
    return [*pair, _difference(*pair) if comparable else b""]


def _thumb(store: Store, key: str) -> bytes:
    try:
        return codec.thumbnail(store.read(key), Limits()) if key else b""
    except (*OF_ONE, Rejected):  # the page does without one picture
        return b""


def _difference(was: bytes, now: bytes) -> bytes:
    """By how much the small pictures differ, ``GAIN`` times: black where they do not."""
    images = [Image.open(BytesIO(data)).convert("RGB") for data in (was, now)]
    one, other = (np.asarray(image, np.int16) for image in images)
    return codec.thumbnail_of(np.minimum(np.abs(one - other) * GAIN, 255).astype(np.uint8))


def _document(first: Run, second: Run, comparison: Comparison, names: Sequence[Sequence[str]]) -> bytes:
    title = f"{second.id} against {first.id}"
    rows = [
        tag("tr", tag("th", change.value, scope="row"), tag("td", count(n), class_="figure"))
        for change, n in sorted(comparison.changes.items(), key=lambda item: list(Change).index(item[0]))
    ]
    rows.insert(0, tag("tr", tag("th", "the same", scope="row"), tag("td", count(comparison.same), class_="figure")))
    figures = [_figure(one, files) for one, files in zip(comparison.worst, names, strict=True)]
    shown = f"{first.id}, {second.id}, and their difference {GAIN} times"
    note = f"{shown}; the error is the mean over all pixels, in levels of 255."
    return document(
        title,
        tag(
            "main",
            tag("p", "imgflow diff", class_="brand"),
            tag("h1", title),
            section("sum", f"{count(comparison.pictures, 'picture')} compared", table("counts", _HEADS, rows)),
            section(
                "worst",
                f"The {count(len(figures))} that differ most" if len(figures) > 1 else "What differs most",
                tag("p", note, class_="quiet"),
                tag("div", figures, class_="pairs triples"),
            )
            if figures
            else None,
        ),
    )


_HEADS = (("What", None), ("Pictures", "figure"))


def _figure(one: Difference, files: Sequence[str]) -> Markup:
    said = {"piece": one.piece, "error": number(one.error) if one.error else "", "": one.said}
    return tag(
        "figure",
        tag("div", [_side(name, file, one) for name, file in zip(SIDES, files, strict=True)], class_="sides"),
        tag(
            "figcaption",
            image_name(one.image),
            tag("span", one.change.value, class_="quiet"),
            tag("dl", [tag("div", tag("dt", key), tag("dd", value)) for key, value in said.items() if value]),
        ),
    )


def _side(name: str, file: str, one: Difference) -> Markup:
    if file:
        return tag("img", src=file, alt=f"{name}: {one.image}", class_="thumb")
    return tag(
        "span", "no picture" if name in SIDES[:2] or one.change in MEASURED else "not comparable", class_="thumb none"
    )
