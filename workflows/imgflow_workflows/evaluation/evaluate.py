"""A run against a truth: which images are compared, what was found in them, and what redact has covered there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.sample import MANUAL
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import findings, keys
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.records.row import Row
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.evaluation.scores import NOTHING, SIDES, Label, Scores
from imgflow_workflows.evaluation.truth import Labelled, Names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_steps.records.findings import Box
    from imgflow_steps.records.run import Run
    from imgflow_steps.redact import Redact
    from imgflow_steps.store import Store

SHOWN = 20  # images of the truth that are named, of those that were not compared
DIGITS = 4
Figures = dict[str, Any]


@dataclass(slots=True)
class Evaluation:
    """How a run came off. ``hides``: the run covers things, so that coverage means something."""

    run: str
    hides: bool
    scores: Scores
    absent: list[str] = field(default_factory=list)  # images of the truth that the run did not list
    unprocessed: list[str] = field(default_factory=list)  # … or that it rejected or failed
    unlabelled: int = 0  # images of the run of which the truth tells nothing

    def document(self) -> Figures:
        """The whole as data; keys are only ever added."""
        scores = self.scores
        return {
            "run": self.run,
            "iou": scores.iou,
            "images": scores.images,
            "absent": len(self.absent),
            "unprocessed": len(self.unprocessed),
            "not_compared": [*self.absent, *self.unprocessed][:SHOWN],
            "unlabelled": self.unlabelled,
            "all": {**self._label(scores.whole), "ap": _rounded(scores.mean_ap)},
            "labels": {name: self._label(label) for name, label in sorted(scores.labels.items())},
            "confusion": [
                {"truth": truth or None, "found": found or None, "count": count}
                for (truth, found), count in sorted(scores.confusion.items())
            ],
            "sides": [
                {"side": side_name(i), "truth": side["truth"], "fn": side["fn"]} for i, side in scores.sides.items()
            ],
        }

    def _label(self, label: Label) -> Figures:
        told = {
            "truth": label.truth,
            "tp": label.tp,
            "fp": label.fp,
            "fn": label.fn,
            "precision": _rounded(label.precision),
            "recall": _rounded(label.recall),
            "ap": _rounded(label.ap),
        }
        return {**told, **({"covered": label.covered, "coverage": _rounded(label.coverage)} if self.hides else {})}

    @property
    def names(self) -> list[str]:
        """Labels as rows and columns of the confusion, the nothing last."""
        return [*sorted({name for pair in self.scores.confusion for name in pair if name}), NOTHING]


def side_name(number: int) -> str:
    """``under 16``, ``16 to 32``, … pixels."""
    if number == 0:
        return f"under {SIDES[0]}"
    return f"{SIDES[number - 1]} to {SIDES[number]}" if number < len(SIDES) else f"from {SIDES[-1]}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)


def evaluate(
    store: Store, run: Run, truth: Mapping[str, Labelled], *, iou: float = 0.5, score: float = 0.0, name: str = ""
) -> Evaluation:
    """Compare what a run that has ended found with a truth, in the images of which both tell.

    ``score`` leaves out what is less certain, ``name`` takes one finder of several. Raises BadParametersError where
    there is nothing to compare.
    """
    made, known = Evaluation(run.id, run.pipeline.hides, Scores(iou)), Names(truth)
    covering: list[Any] = [call.params for call in run.pipeline.steps if call.step.hides]
    finders: set[str] = set()
    with temporary() as folder:
        path = Path(folder, "results.jsonl")
        store.download(keys.results_jsonl(run.id), path)
        for row in read_jsonl(path):
            labelled = known.of(row.image)
            finders.update(finder for output in row.outputs for finder in findings.boxes(output.found))
            if labelled is None:
                made.unlabelled += bool(row.outputs)
            elif not row.outputs:
                made.unprocessed.append(row.image)
            else:
                boxes = [box for box in _found_boxes(row, name) if box.score >= score]
                made.scores.add(boxes, labelled.seen(row), list(_covers(row, covering)))
    made.absent = known.left
    if not finders or (name and name not in finders):
        there = f"it has {', '.join(sorted(finders))}" if finders else "no model of it gives boxes"
        raise BadParametersError(f"run {run.id} found nothing called {name or 'boxes'}; {there}")
    if not made.scores.images:
        raise BadParametersError(f"no image of the truth was processed by run {run.id}: it names {_some(truth)}")
    return made


def _some(truth: Mapping[str, Labelled]) -> str:
    names = list(truth)[:3]
    return ", ".join(names) + (f" and {len(truth) - len(names):,} more" if len(truth) > len(names) else "")


def _found_boxes(row: Row, name: str = "") -> Iterator[Box]:
    for _, finder, value in findings.once(row.outputs):
        if finder == name or (not name and finder != MANUAL):  # what people gave says nothing of a model
            yield from findings.boxes({finder: value}).get(finder, ())


def _covers(row: Row, covering: Iterable[Redact]) -> Iterator[Box]:
    """What redact has covered at least, in source pixels: boxes with their margins, without the grid around them."""
    for params in covering:
        asked = (
            box
            for box in _found_boxes(row)
            if (not params.labels or box.label in params.labels) and box.score >= params.score
        )
        for box in (*asked, *_found_boxes(row, MANUAL)):
            x, y = box.w * params.margin / 100, box.h * params.margin / 100
            yield box._replace(x=box.x - x, y=box.y - y, w=box.w + 2 * x, h=box.h + 2 * y)
