"""Boxes that were found against boxes that are there: pure functions, no store and no run.

Matching and average precision are those of COCO (Lin et al. 2014; cocoapi, ``COCOeval``) at one overlap: the most
certain box takes the box that is there with which it overlaps most, each is taken once, and the precision is averaged
over 101 recalls. No more than that: neither COCO's limit of 100 boxes per image nor its areas.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from imgflow_steps.records.findings import Box

RECALLS = 101
SIDES = (16, 32, 96)  # pixels at which boxes are told apart by their side
COVERED = 0.95  # share of a box from which on it counts as covered
NOTHING = ""  # the label of what is not there, or was not found


@dataclass(frozen=True, slots=True)
class Truth:
    """A box that is there; of a ``crowd``, several things in one box, none need be found and any may be."""

    box: Box
    crowd: bool = False


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    shared = common(one, other)
    return shared / (one.w * one.h + other.w * other.h - shared) if shared else 0.0


def common(one: Box, other: Box) -> float:
    """The area that two boxes share, in pixels."""
    across = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    down = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    return max(0.0, across) * max(0.0, down)


def matched(found: Sequence[Box], there: Sequence[Box], iou: float) -> list[int]:
    """Of each box that was found, the place of the one that it takes, -1 for none; ``found`` is most certain first."""
    free, taken = set(range(len(there))), []
    for box in found:
        best = max(free, key=lambda place: (overlap(box, there[place]), -place), default=-1)
        if best >= 0 and overlap(box, there[best]) >= iou:
            free.discard(best)
            taken.append(best)
        else:
            taken.append(-1)
    return taken


def average_precision(scored: Iterable[tuple[float, bool]], there: int) -> float | None:
    """The mean precision at 101 recalls; None where nothing is there. ``scored``: score, and whether it is right."""
    if not there:
        return None
    right, recalls, precisions = 0, [], []
    for number, (_, hit) in enumerate(sorted(scored, key=lambda one: -one[0]), 1):
        right += hit
        recalls.append(right / there)
        precisions.append(right / number)
    for i in range(len(precisions) - 1, 0, -1):
        precisions[i - 1] = max(precisions[i - 1], precisions[i])
    places = (bisect_left(recalls, i / (RECALLS - 1)) for i in range(RECALLS))
    return sum(precisions[place] for place in places if place < len(precisions)) / RECALLS


@dataclass(slots=True)
class Label:
    """How one label was found; images are those that were compared."""

    truth: int = 0  # boxes that are there
    tp: int = 0
    fp: int = 0
    covered: int = 0
    scored: list[tuple[float, bool]] = field(default_factory=list)

    @property
    def fn(self) -> int:
        """False negatives: the number of boxes that are there and were not found."""
        return self.truth - self.tp

    @property
    def precision(self) -> float | None:
        """The share of what was found that is there."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None

    @property
    def recall(self) -> float | None:
        """The share of what is there that was found."""
        return self.tp / self.truth if self.truth else None

    @property
    def coverage(self) -> float | None:
        """The share of what is there that is covered."""
        return self.covered / self.truth if self.truth else None

    @property
    def ap(self) -> float | None:
        """Average precision."""
        return average_precision(self.scored, self.truth)


@dataclass(slots=True)
class Scores:
    """What all images add up to. Memory grows by a number and a truth value for each box that was found."""

    iou: float = 0.5
    images: int = 0
    labels: defaultdict[str, Label] = field(default_factory=lambda: defaultdict(Label))
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)  # what is there, what was found
    sides: dict[int, Counter[str]] = field(default_factory=lambda: {i: Counter() for i in range(len(SIDES) + 1)})

    def add(self, found: Sequence[Box], truth: Sequence[Truth], covers: Sequence[Box] = ()) -> None:
        """Compare one image. ``covers`` are the boxes that redact has covered in it, with their margins."""
        self.images += 1
        there = [one.box for one in truth if not one.crowd]
        crowds = [one.box for one in truth if one.crowd]
        found = sorted(found, key=lambda box: -box.score)
        hits = _by_label(found, there, self.iou)
        ignored = {i for i, box in enumerate(found) if i not in hits and _in_crowd(box, crowds, self.iou)}
        taken = set(hits.values())
        for i, box in enumerate(found):
            if i not in ignored:
                label = self.labels[box.label]
                label.tp += i in hits
                label.fp += i not in hits
                label.scored.append((box.score, i in hits))
        for place, box in enumerate(there):
            self.labels[box.label].truth += 1
            self.labels[box.label].covered += share_covered(box, covers) >= COVERED
            side = self.sides[sum(box.side >= limit for limit in SIDES)]
            side["truth"] += 1
            side["fn"] += place not in taken
        self._confuse(found, there, hits, ignored)

    def _confuse(self, found: Sequence[Box], there: Sequence[Box], hits: Mapping[int, int], ignored: set[int]) -> None:
        """What was taken for what: among those that no box of their own label has taken, whatever their label."""
        self.confusion.update((there[place].label, found[i].label) for i, place in hits.items())
        rest = [i for i in range(len(found)) if i not in hits and i not in ignored]
        left = [place for place in range(len(there)) if place not in set(hits.values())]
        pairs = matched([found[i] for i in rest], [there[place] for place in left], self.iou)
        for i, place in zip(rest, pairs, strict=True):
            self.confusion[there[left[place]].label if place >= 0 else NOTHING, found[i].label] += 1
        missed = set(range(len(left))) - set(pairs)
        self.confusion.update((there[left[place]].label, NOTHING) for place in missed)

    @property
    def whole(self) -> Label:
        """All labels together; their average precision is ``mean_ap``."""
        every = list(self.labels.values())
        return Label(
            truth=sum(one.truth for one in every),
            tp=sum(one.tp for one in every),
            fp=sum(one.fp for one in every),
            covered=sum(one.covered for one in every),
        )

    @property
    def mean_ap(self) -> float | None:
        """The mean over the labels of which there is anything."""
        known = [ap for label in self.labels.values() if (ap := label.ap) is not None]
        return sum(known) / len(known) if known else None


def _by_label(found: Sequence[Box], there: Sequence[Box], iou: float) -> dict[int, int]:
    """Places of what was found and of what it takes, label by label."""
    hits: dict[int, int] = {}
    for label in {box.label for box in found}:
        mine = [i for i, box in enumerate(found) if box.label == label]
        theirs = [i for i, box in enumerate(there) if box.label == label]
        pairs = matched([found[i] for i in mine], [there[i] for i in theirs], iou)
        hits |= {i: theirs[place] for i, place in zip(mine, pairs, strict=True) if place >= 0}
    return hits


def _in_crowd(box: Box, crowds: Iterable[Box], iou: float) -> bool:
    """Whether a box lies in a crowd of its label: by the share of the box itself, as COCO has it."""
    return any(crowd.label == box.label and common(box, crowd) >= iou * box.w * box.h for crowd in crowds)


def share_covered(box: Box, covers: Sequence[Box]) -> float:
    """The share of a box that lies under any of several others; 0 of one without an area."""
    if not box.w * box.h:
        return 0.0
    near = [cover for cover in covers if common(box, cover)]
    across = sorted({min(max(x, box.x), box.x + box.w) for one in near for x in (one.x, one.x + one.w)})
    area = 0.0
    for left, right in pairwise(across):
        area += (right - left) * sum(high - low for low, high in _joined(_spans(near, box, (left + right) / 2)))
    return area / (box.w * box.h)


def _spans(covers: Iterable[Box], box: Box, x: float) -> Iterator[tuple[float, float]]:
    for one in covers:
        if one.x <= x <= one.x + one.w:
            yield max(one.y, box.y), min(one.y + one.h, box.y + box.h)


def _joined(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for low, high in sorted(spans):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return joined
