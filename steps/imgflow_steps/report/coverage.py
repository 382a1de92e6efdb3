"""What a run has covered, counted; memory does not grow with the images."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.sample import MANUAL
from imgflow_steps.report.statistics import Spread

if TYPE_CHECKING:
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.records.row import Row

LEAST = 24  # pictures with the least certain boxes
NONE_NAMED = 24  # images in which nothing was found that are named
GROUPS = {"0": 0, "1 to 2": 2, "3 to 9": 9, "10 or more": None}  # boxes of a picture, up to this number

Box = tuple[str, float, float, float, float, float]  # label, score, left, upper, width, height


@dataclass(slots=True)
class Coverage:
    """Boxes and pictures of a run with a step that covers things; memory does not grow with their number."""

    labels: tuple[str, ...] = ()  # that are covered; () is all of them
    score: float = 0.0  # from which on
    pictures: Counter[str] = field(default_factory=Counter)  # by how many boxes are covered
    covered: int = 0  # boxes that models found
    manual: int = 0  # boxes that people gave, all of which are covered
    by_people: int = 0  # images of which they said what to cover, or that there is nothing
    left: int = 0  # boxes that were found and are to stay visible
    sides: Spread = field(default_factory=Spread)  # the longer one, in pixels of the upright original
    scores: Spread = field(default_factory=Spread)
    shares: Spread = field(default_factory=Spread)  # of a picture that is covered
    none: list[str] = field(default_factory=list)  # the first images in which nothing is covered
    _least: list[tuple[float, int, Row, Box]] = field(default_factory=list)
    _ties: Iterator[int] = field(default_factory=lambda: count(0, -1))

    @classmethod
    def of(cls, pipeline: Pipeline) -> Coverage | None:
        """What the first step of a pipeline that covers something is to cover; None where there is none."""
        for call in pipeline.steps:
            if call.step.hides:
                params = call.params.model_dump()
                return cls(tuple(params.get("labels", ())), params.get("score", 0.0))
        return None

    def add(self, row: Row) -> None:
        """Count the pictures of one image."""
        least: Box | None = None
        for output in row.outputs:
            told = output.found.get("redacted")
            if not isinstance(told, Mapping):
                continue
            number = int(told["count"])
            self.pictures[_group(number)] += 1
            self.shares.add(float(told["share"]))
            if not number and len(self.none) < NONE_NAMED and row.image not in self.none[-1:]:
                self.none.append(row.image)
        found = row.outputs[0].found if row.outputs else {}
        if MANUAL in found:
            self.by_people += 1
            self.manual += int(found[MANUAL]["count"])
        for box in _boxes(found):
            if (self.labels and box[0] not in self.labels) or box[1] < self.score:
                self.left += 1
                continue
            self.covered += 1
            self.sides.add(max(box[4:]))
            self.scores.add(box[1])
            least = min(least or box, box, key=lambda one: one[1])
        if least:
            heapq.heappush(self._least, (-least[1], next(self._ties), row, least))
            if len(self._least) > LEAST:
                heapq.heappop(self._least)

    @property
    def least(self) -> list[tuple[Row, Box]]:
        """Images with the least certain boxes that are covered, the least certain first, and that box."""
        return [(row, box) for _, _, row, box in sorted(self._least, key=lambda one: (-one[0], -one[1]))]


def _group(number: int) -> str:
    return next(name for name, most in GROUPS.items() if most is None or number <= most)


def _boxes(found: Mapping[str, Any]) -> Iterator[Box]:
    """Boxes of every model before the step that covers them; a row keeps the order of steps."""
    for name, told in found.items():
        if name == "redacted":
            return
        if isinstance(told, Mapping) and "boxes" in told and name != MANUAL:
            yield from (tuple(box) for box in told["boxes"])
