"""Outlines of what was found, laid over a picture in its page: its bytes stay as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.sample import MANUAL
from imgflow_steps.records import findings
from imgflow_steps.report.figures import count
from imgflow_steps.report.markup import Markup, tag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from imgflow_steps.records.findings import Box
    from imgflow_steps.records.row import Published
    from imgflow_workflows.runs.story import Story

LETTERS = 40  # lines of text that would fit the longer side
SMALLEST = 12  # pixels of a letter: a picture is shown no larger than it is


@dataclass(frozen=True, slots=True)
class Outlines:
    """What was found in a picture of this size, in its own pixels, each with whether people gave it."""

    width: int
    height: int
    boxes: tuple[tuple[Box, bool], ...]

    def over(self) -> Markup:
        """A drawing that covers a picture which is shown whole in the middle of its place."""
        letters = max(SMALLEST, max(self.width, self.height) / LETTERS)
        shown = [
            tag(
                "g",
                tag("rect", x=_plain(box.x), y=_plain(box.y), width=_plain(box.w), height=_plain(box.h)),
                self._label(box, letters, given=given),
                class_="given" if given else None,
            )
            for box, given in self.boxes
        ]
        view = f"0 0 {self.width} {self.height}"
        return tag("svg", shown, viewBox=view, font_size=_plain(letters), class_="boxes", aria_hidden="true")

    def _label(self, box: Box, letters: float, *, given: bool) -> Markup:
        """Above its box, from the side of the box that has more room beside it."""
        right = box.x + box.w / 2 > self.width / 2
        x, anchor = (box.x + box.w, "end") if right else (box.x, None)
        y = max(letters, box.y - letters / 4)
        return tag("text", _words(box, given=given), x=_plain(x), y=_plain(y), text_anchor=anchor)

    def switch(self) -> Markup:
        """What turns the drawing on and off, without any script."""
        what = f"Outline what was found: {count(len(self.boxes), 'box', 'boxes')}"
        return tag("label", tag("input", type="checkbox", checked="", class_="outlines"), " ", what, class_="quiet")


def of(row: Mapping[str, Any], story: Story, *, original: bool) -> Outlines | None:
    """What the newest run of an image found in its result, or in the photograph where that is shown alone."""
    made = (output for chapter in story.chapters if chapter.row for output in chapter.row.outputs)
    key, sha256 = row.get("output_key") or "", row.get("output_sha256") or ""
    told = next((one for one in made if (one.key, one.sha256) == (key, sha256)), None)
    if told is None:
        return None
    outlines = _in_source(row, told) if original else _in_picture(told)
    return outlines if outlines.boxes else None


def _in_picture(told: Published) -> Outlines:
    seen = ((box.seen(told.at, told.width, told.height), given) for box, given in _found(told))
    return Outlines(told.width, told.height, tuple((box, given) for box, given in seen if box))


def _in_source(row: Mapping[str, Any], told: Published) -> Outlines:
    return Outlines(int(row["width"]), int(row["height"]), tuple(_found(told)))


def _found(told: Published) -> Iterator[tuple[Box, bool]]:
    for name, boxes in findings.boxes(told.found).items():
        yield from ((box, name == MANUAL) for box in boxes)


def _words(box: Box, *, given: bool) -> str:
    return box.label if given else f"{box.label} {box.score:.2f}"


def _plain(number: float) -> str:
    return f"{number:.1f}"
