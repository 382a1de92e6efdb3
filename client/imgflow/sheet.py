"""Pictures beside each other, to be looked at in a notebook."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from imgflow_steps.report.markup import Markup, tag

if TYPE_CHECKING:
    from PIL.Image import Image

MOST = 60  # pictures of a sheet: a notebook keeps all of them


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """Small JPEGs and what stands below them. A notebook shows it; nothing in it runs."""

    pictures: list[tuple[str, bytes]]

    def __repr__(self) -> str:
        """How many there are; the pictures are for notebooks."""
        return f"ContactSheet({len(self.pictures)} pictures)"

    def _repr_html_(self) -> str:
        return strip(tag("figure", thumbnail(data, name), _caption(name), style=FIGURE) for name, data in self.pictures)


FIGURE = "margin:0;width:min-content;min-width:6em"  # the name below a tiny picture is a few words, not letters
STRIP = "display:flex;flex-wrap:wrap;gap:12px;align-items:flex-end"
CAPTION = "font-size:smaller;overflow-wrap:anywhere"


def contact_sheet(pictures: Iterable[tuple[str, Image]], limit: int = MOST) -> ContactSheet:
    """The first pictures of ``run.images()`` and the like beside each other, ``limit`` at most."""
    from imgflow_steps.codec import thumbnail_of  # noqa: PLC0415 - loads Pillow
    from imgflow_steps.pixels.arrays import to_pixels  # noqa: PLC0415 - likewise

    return ContactSheet([(name, thumbnail_of(to_pixels(image))) for name, image in islice(pictures, limit)])


def strip(content: Iterable[Markup]) -> Markup:
    """Things side by side, as many as fit."""
    return tag("div", content, style=STRIP)


def thumbnail(jpeg: bytes, name: str, style: str = "max-width:none") -> Markup:
    """A small picture, whole in the page."""
    return tag("img", src=f"data:image/jpeg;base64,{b64encode(jpeg).decode()}", alt=name, style=style)


def _caption(name: str) -> Markup:
    return tag("figcaption", name, style=CAPTION)
