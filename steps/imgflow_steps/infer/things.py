"""Boxes of a picture: the best of what a detector said, each once, as a row has them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imgflow_steps.contract.sample import Rejected
from imgflow_steps.infer.decoders import Candidates
from imgflow_steps.pixels import places

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from imgflow_steps.contract.sample import Affine
    from imgflow_steps.infer import Infer

DIGITS = 4  # of a score
WITHIN = 0.8  # of its own area inside a better box of the label: a part of it that a piece's edge has cut


def joined(parts: Sequence[Candidates]) -> Candidates:
    """What was said of several pieces of a picture."""
    return Candidates(
        np.concatenate([part.boxes for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )


def certain(found: Candidates, least: float) -> Candidates:
    """Those that are certain enough."""
    return _picked(found, found.scores >= least)


def chosen(found: Candidates, params: Infer, name: Callable[[int], str], *, pieces: bool) -> Candidates:
    """Those that are certain enough and asked for, none twice, the best first.

    Raises Rejected where a number is not finite.
    """
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise Rejected("model-failed", "the model gave a box or a score that is not a finite number")
    wanted = (found.scores >= params.score) & (found.boxes[:, 2:] > found.boxes[:, :2]).all(axis=1)
    if params.only:
        wanted &= np.isin(found.labels, [n for n in np.unique(found.labels) if name(int(n)) in params.only])
    kept = _picked(found, wanted)
    order = np.lexsort((kept.boxes[:, 0], kept.boxes[:, 1], kept.labels, -kept.scores))
    kept = _picked(kept, order)
    return _picked(kept, _once(kept, params.overlap, pieces=pieces))


def _picked(found: Candidates, which: NDArray[Any] | list[int]) -> Candidates:
    return Candidates(found.boxes[which], found.scores[which], found.labels[which])


def _once(found: Candidates, overlap: float, *, pieces: bool) -> list[int]:
    """Greedy suppression within a label: places of those that stay, best first."""
    boxes, left = found.boxes, np.ones(len(found.scores), bool)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    stay = []
    for i in range(len(left)):
        if not left[i]:
            continue
        stay.append(i)
        rest = np.nonzero(left & (found.labels == found.labels[i]))[0]
        rest = rest[rest > i]
        common = np.minimum(boxes[rest, 2:], boxes[i, 2:]) - np.maximum(boxes[rest, :2], boxes[i, :2])
        shared = np.maximum(common, 0).prod(axis=1)
        same = shared > overlap * (area[rest] + area[i] - shared)
        if pieces:
            same |= shared >= WITHIN * area[rest]
        left[rest[same]] = False
    return stay


@dataclass(frozen=True, slots=True)
class Told:
    """How candidates are told in a row: ``names`` of labels by number, ``most`` boxes."""

    names: tuple[str, ...]
    most: int
    otherwise: str = ""  # what a thing is called where there are no names; "" is its number

    def row(self, found: Candidates, at: Affine) -> dict[str, Any]:
        """``count``, ``labels``, ``best`` and ``boxes``: label, score, left, upper, width, height in source pixels."""
        boxes = [
            [self.name(int(label)), round(float(score), DIGITS), *_source(at, box)]
            for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True)
        ]
        kept = boxes[: self.most]
        labels = Counter(box[0] for box in kept)
        told = {"count": len(kept), "labels": dict(sorted(labels.items())), "best": kept[0][1] if kept else 0.0}
        return {**told, **({"more": len(boxes) - len(kept)} if len(boxes) > len(kept) else {}), "boxes": kept}

    def name(self, number: int) -> str:
        """What a label is called."""
        return self.names[number] if 0 <= number < len(self.names) else self.otherwise or str(number)


def _source(at: Affine, box: NDArray[np.float64]) -> list[float]:
    left, upper, right, lower = places.around(at, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
    return [round(left, 1), round(upper, 1), round(right - left, 1), round(lower - upper, 1)]
