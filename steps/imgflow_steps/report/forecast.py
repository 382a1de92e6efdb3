"""What was expected of a run beside what came out: the prediction that list wrote down, judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.records.costs import WAITING
from imgflow_steps.report import charts
from imgflow_steps.report.figures import NONE, count, milliseconds
from imgflow_steps.report.markup import Markup, section, table, tag

if TYPE_CHECKING:
    from imgflow_steps.records.costs import Costs
    from imgflow_steps.records.prediction import Prediction, Range
    from imgflow_steps.report.data import Facts

HEADS = (
    ("Step", None),
    ("Expected", "figure"),
    ("10 % to 90 %", "figure"),
    ("", "stretch"),
    ("Took", "figure"),
    ("", "figure"),
)


def expected(facts: Facts) -> Markup | None:
    """Each step's time as it was expected and as it was, in seconds of one process; nothing where nobody expected."""
    prediction, took = facts.expected, facts.took
    if not (prediction and took and prediction.core.seconds):
        return None
    known = {one.step: one for one in prediction.steps}
    rows = [_row(label, known.get(label), cost.y) for label, cost in took.steps.items()]
    foot = [_row("core time", prediction.core, _known_milliseconds(prediction, took))]
    if prediction.wall and not prediction.unknown:
        foot.append(_row("on the clock", prediction.wall, 1000 * (took.start + took.seconds)))
    return section(
        "expected",
        "Expected and measured",
        table("times expected", HEADS, rows, foot),
        tag("p", " ".join(_notes(prediction, took)), class_="quiet"),
    )


def _known_milliseconds(prediction: Prediction, took: Costs) -> float:
    return sum(took.steps[one.step].y for one in prediction.steps if one.step not in WAITING)


def _row(label: str, one: Range | None, took: float) -> Markup:
    bounds = (1000 * one.low, 1000 * one.high) if one else None
    return tag(
        "tr",
        tag("th", label, scope="row"),
        tag("td", milliseconds(1000 * one.seconds) if one else NONE, class_="figure"),
        tag("td", " to ".join(map(milliseconds, bounds)) if bounds else NONE, class_="figure quiet"),
        tag("td", charts.interval(*bounds, took) if bounds else None, class_="stretch"),
        tag("td", milliseconds(took), class_="figure"),
        tag("td", _verdict(bounds, took), class_="figure quiet"),
    )


def _verdict(bounds: tuple[float, float] | None, took: float) -> str:
    if bounds is None:
        return ""
    low, high = bounds
    return "less" if took < low else "more" if took > high else "within"


def _notes(prediction: Prediction, took: Costs) -> list[str]:
    bases = dict.fromkeys(str(one.basis) for one in prediction.steps)
    notes = [f"Expected from {'; '.join(bases)}."]
    if prediction.wall and not prediction.unknown:
        notes.append(f"On the clock after the listing, with {prediction.pace}.")
    if prediction.images != took.images:
        notes.append(f"It was for {count(prediction.images, 'image')}, and {count(took.images)} were computed.")
    return notes
