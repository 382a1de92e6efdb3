"""evaluate: what a run found against what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imgflow_cli.flags import OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Voice, document, emit, table
from imgflow_cli.saved import check_savable, save
from imgflow_steps.store import Store
from imgflow_workflows.connect import where
from imgflow_workflows.evaluation import truth as truths
from imgflow_workflows.evaluation.evaluate import Evaluation, side_name
from imgflow_workflows.evaluation.evaluate import evaluate as compare
from imgflow_workflows.evaluation.scores import Label
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted

ANOTHER = "choose another file with --page"


@takes_settings(*PLACES)
def evaluate(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    truth: Annotated[
        Path,
        typer.Argument(
            metavar="TRUTH", help="COCO's .json, a folder of YOLO, or a .csv or .parquet: image, label, x, y, w, h."
        ),
    ],
    iou: Annotated[
        float, typer.Option(min=0.05, max=1, metavar="SHARE", help="Overlap from which on a box is found.")
    ] = 0.5,
    score: Annotated[float, typer.Option(min=0, max=1, help="Leave out what is less certain.")] = 0.0,
    name: Annotated[str, typer.Option(metavar="NAME", help="One finder of several, such as objects_2.")] = "",
    page: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page of it, as one HTML file.")] = None,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Compare what a run found with what is there: precision, recall, average precision, misses by size.

    Images are compared that the truth names and the run has processed. TRUTH is the number of boxes that are there: TP
    were found, FN were not; FP were found where nothing is. For a run with redact, coverage is the share of
    boxes that are covered by 95 % or more, found or not.
    """
    voice = Voice(quiet=quiet)
    check_savable(page, ANOTHER)
    voice.say(where(resolved))
    known = state.read(store, state.find(store, run))
    state.check_ended(store, known, resolved.command)
    made = compare(store, known.run, truths.read(truth), iou=iou, score=score, name=name)
    if output in {"json", "yaml"}:
        document(made.document(), output)
    elif output == "name":
        emit(made.run)
    else:
        _in_words(made)
    for names, why in ((made.absent, "not in the run"), (made.unprocessed, "in the run, without a result")):
        if names:
            voice.note(f"of the truth, {why}: {counted(len(names), 'image')}, such as {names[0]}")
    whole = made.scores.whole
    if whole.truth and not whole.tp:
        voice.note(
            f"none of the truth was found; `{resolved.command} why IMAGE --boxes FILE` shows what was found in one"
        )
    if page:
        _write(page, known, made)
        voice.say(f"the page is in {page}")


def _in_words(made: Evaluation) -> None:
    heads = ["LABEL", "TRUTH", "TP", "FP", "FN", "PRECISION", "RECALL", "AP"]
    rows = [_row(label, one, one.ap, made) for label, one in sorted(made.scores.labels.items())]
    rows.append(_row("all", made.scores.whole, made.scores.mean_ap, made))
    table([*heads, *(["COVERED"] if made.hides else [])], rows)
    emit("")
    sides = made.scores.sides.items()
    table(["SIDE", "TRUTH", "FN"], [(side_name(i), side["truth"], side["fn"]) for i, side in sides])


def _row(name: str, label: Label, ap: float | None, made: Evaluation) -> list[object]:
    shares = [_share(label.precision), _share(label.recall), _share(ap)]
    covered = [_share(label.coverage)] if made.hides else []
    return [name, label.truth, label.tp, label.fp, label.fn, *shares, *covered]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _write(page: Path, known: state.RunState, made: Evaluation) -> None:
    from imgflow_workflows.evaluation.page import page as draw  # noqa: PLC0415 - rarely asked for

    save(page, draw(known.run, made), ANOTHER)
