"""An evaluation as a page in the report's style: one file, no script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.report import charts
from imgflow_steps.report.figures import NONE, count, share
from imgflow_steps.report.markup import Content, Markup, document, section, table, tag
from imgflow_steps.report.report import STYLE, single_file
from imgflow_workflows.evaluation.evaluate import SHOWN, side_name
from imgflow_workflows.evaluation.scores import COVERED, NOTHING

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_workflows.evaluation.evaluate import Evaluation
    from imgflow_workflows.evaluation.scores import Label


def page(run: Run, made: Evaluation) -> bytes:
    """The whole page."""
    title = f"{run.municipality} · run {run.id} against the truth"
    scores = made.scores
    facts = [
        count(scores.images, "image"),
        count(scores.whole.truth, "box", "boxes") + " in the truth",
        count(scores.whole.tp + scores.whole.fp, "box", "boxes") + " found",
        f"overlap {scores.iou:g} at least",
    ]
    index = document(
        title,
        tag(
            "main",
            tag("p", "imgflow evaluate", class_="brand"),
            tag("h1", title),
            tag("p", [tag("span", fact) for fact in facts], class_="facts"),
            _labels(made),
            _sides(made),
            _confusion(made),
            _not_compared(made),
        ),
    )
    return single_file({"index.html": index, STYLE.name: STYLE.read_bytes()}.__getitem__)


def _labels(made: Evaluation) -> Markup:
    heads: list[tuple[str, str | None]] = [("Label", None), ("Truth", "figure"), ("TP", "figure")]
    heads += [("FP", "figure"), ("FN", "figure"), ("Precision", "figure"), ("Recall", "figure")]
    heads += [("AP", "figure"), *([("Covered", "figure")] if made.hides else [])]
    rows = [_label(tag("bdi", name), label, label.ap, made) for name, label in sorted(made.scores.labels.items())]
    foot = _label("all", made.scores.whole, made.scores.mean_ap, made)
    notes = [
        "Truth is the number of boxes that are there. TP were found, FN were not; FP were found where nothing is.",
        "AP is the precision averaged over 101 recalls, as COCO computes it; that of all labels is their mean.",
        f"Covered are boxes of which redact has covered {COVERED:.0%} at least." if made.hides else "",
    ]
    return section(
        "labels", "By label", table("labels", heads, rows, foot), [tag("p", n, class_="quiet") for n in notes if n]
    )


def _label(name: Content, label: Label, ap: float | None, made: Evaluation) -> Markup:
    numbers: list[str] = [count(label.truth), count(label.tp), count(label.fp), count(label.fn)]
    numbers += [_share(label.precision), _share(label.recall), NONE if ap is None else f"{ap:.3f}"]
    if made.hides:
        numbers.append(f"{count(label.covered)} ({share(label.covered, label.truth)})" if label.truth else NONE)
    return tag("tr", tag("th", name, scope="row"), [tag("td", text, class_="figure") for text in numbers])


def _share(value: float | None) -> str:
    return NONE if value is None else share(value, 1)


def _sides(made: Evaluation) -> Markup:
    heads = (("Side in pixels", None), ("", "stretch"), ("FN", "figure"), ("Truth", "figure"), ("Share", "figure"))
    rows = [
        tag(
            "tr",
            tag("th", side_name(number), scope="row"),
            tag("td", charts.bar(side["fn"], side["truth"]), class_="stretch"),
            tag("td", count(side["fn"]), class_="figure"),
            tag("td", count(side["truth"]), class_="figure"),
            tag("td", share(side["fn"], side["truth"]) if side["truth"] else NONE, class_="figure quiet"),
        )
        for number, side in made.scores.sides.items()
    ]
    note = "The side is that of a square of the same area, in pixels of the upright photograph."
    return section("sides", "Missed by size", table("bars", heads, rows), tag("p", note, class_="quiet"))


def _confusion(made: Evaluation) -> Markup:
    names = made.names
    heads = [("Truth \\ found", None), *((name or "nothing", "figure") for name in names)]
    rows = [
        tag(
            "tr",
            tag("th", tag("bdi", there) if there else "nothing", scope="row"),
            [tag("td", _cell(made, there, found), class_="figure") for found in names],
        )
        for there in names
    ]
    note = "A row is what is there, a column what was found in its place; the last row what was found where nothing is."
    return section("confusion", "What was taken for what", table("labels", heads, rows), tag("p", note, class_="quiet"))


def _cell(made: Evaluation, there: str, found: str) -> Content:
    number = made.scores.confusion[there, found]
    if there == found == NOTHING:
        return ""
    text = count(number) if number else NONE
    return tag("b", text) if there == found and number else text


def _not_compared(made: Evaluation) -> Markup | None:
    several = {"not in the run": made.absent, "in the run, without a result": made.unprocessed}
    parts = [
        tag("p", f"Of the truth, {why}: {count(len(names), 'image')}, such as {', '.join(names[:SHOWN])}.")
        for why, names in several.items()
        if names
    ]
    if made.unlabelled:
        parts.append(tag("p", f"Of the run, not in the truth: {count(made.unlabelled, 'image')}."))
    return section("rest", "Not compared", parts) if parts else None
