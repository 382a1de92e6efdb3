"""From a run's documents to the lines of the display."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Console

from imgflow_cli.output import Voice
from imgflow_cli.progress import Plain, block
from imgflow_steps.contract.job import Counts
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import Progress, ShardProgress
from imgflow_steps.records.run import Run
from imgflow_steps.records.summary import Phase, Summary
from imgflow_workflows.runs.progress import Line, Pace, Watcher, describe, notes

if TYPE_CHECKING:
    import pytest

RUN = Run(id="r", municipality="Demo", pipeline=parse({"steps": ["scale", "grayscale", "scale"]}))


def progress(layout: str, *steps: ShardProgress, ended: bool = False) -> Progress:
    listing = Listing(listed=12, todo=10, cached=1, rejected=1, shards=1, layout=layout)
    summary = Summary(run="r", municipality="Demo", digest="", status=Phase.SUCCEEDED, exit=0, counts=Counts(listed=12))
    return Progress(
        run="r",
        phase=Phase.RUNNING,
        listing=listing,
        steps={step.label: step for step in steps},
        summary=summary if ended else None,
    )


def step(label: str, done: int, rejected: int = 0, updated: float = 0.0) -> ShardProgress:
    return ShardProgress(label=label, shard=0, total=10, done=done, rejected=rejected, updated=updated)


def test_before_list_has_ended_there_is_one_line() -> None:
    lines = Watcher(RUN).lines(Progress(run="r", phase=Phase.PENDING))

    assert lines == [Line("list")]


def test_every_step_has_its_line_in_order_with_its_own_verdicts() -> None:
    shown = progress("steps", step("scale.1", 10, rejected=2), step("grayscale", 7, rejected=3), step("scale.3", 4))

    lines = Watcher(RUN).lines(shown)

    assert [line.label for line in lines] == ["list", "scale.1", "grayscale", "scale.3", "collect"]
    assert [line.done for line in lines[1:4]] == [10, 7, 4]
    assert [line.rejected for line in lines] == [1, 2, 1, 0, 0]
    assert [line.ended for line in lines] == [True, True, False, False, False]


def test_a_fused_run_moves_all_lines_together() -> None:
    lines = Watcher(RUN).lines(progress("fused", step("scale.3", 6, rejected=1)))

    assert [line.done for line in lines[1:4]] == [6, 6, 6]
    assert [line.rejected for line in lines[1:4]] == [0, 0, 1]


def test_nothing_to_do_needs_no_lines_for_steps() -> None:
    nothing = progress("fused", ended=True)
    assert nothing.listing
    nothing.listing.todo = 0

    assert [(line.label, line.ended) for line in Watcher(RUN).lines(nothing)] == [("list", True), ("collect", True)]


def test_a_pace_is_measured_by_the_clock_of_those_who_count() -> None:
    pace, now = Pace(), time.time()

    assert pace(now - 4, 0) == 0
    assert pace(now - 4, 0) == 0
    assert pace(now - 2, 30) == 15
    assert round(pace(now, 40), 6) == 10


def test_a_pace_forgets_what_was_long_ago_and_ends_in_silence() -> None:
    pace, now = Pace(), time.time()
    pace(now - 100, 0)
    pace(now - 10, 1000)

    assert round(pace(now, 1010), 6) == 1
    assert Pace()(now - 60, 5) == 0


def test_a_line_in_words_says_what_matters() -> None:
    line = Line("scale", 30, 90, rejected=2, failed=1, rate=12.0)

    assert notes(line) == "2 rejected · 1 failed"
    assert describe(line) == "scale: 30/90 · 2 rejected · 1 failed · 12.0/s · 5.0s left"
    assert describe(Line("collect")) == "collect …"
    assert describe(Line("collect", ended=True)) == "collect: done"


def test_plain_lines_say_each_phase_once_and_that_the_last_one_ended(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Plain(RUN, Voice())
    all_done = [step(label, 10) for label in RUN.pipeline.labels]

    for ended in (False, False, True):
        shown.show(progress("fused", *all_done, ended=ended))

    assert capsys.readouterr().err.splitlines() == ["collect …", "collect: done"]


def test_plain_lines_say_how_far_a_phase_came_before_the_next_one(capsys: pytest.CaptureFixture[str]) -> None:
    for layout, label in (("fused", "scale.1 → grayscale → scale.3"), ("steps", "scale.3")):
        shown = Plain(RUN, Voice())
        before = [step(label, 10) for label in RUN.pipeline.labels[:2]]
        for last, ended in ((step("scale.3", 7), False), (step("scale.3", 10, rejected=1), True)):
            shown.show(progress(layout, *before, last, ended=ended))

        said = capsys.readouterr().err.splitlines()
        assert said == [f"{label}: 7/10", f"{label}: 10/10 · 1 rejected", "collect: done"]


def test_on_a_narrow_terminal_the_bar_gives_way_to_the_numbers() -> None:
    lines = [Line("grayscale", 1037, 1200, rate=15.9), Line("collect")]

    narrow, wide = (drawn(lines, columns) for columns in (50, 120))

    for shown in (narrow, wide):
        assert "1,037/1,200 15.9/s 10s left" in shown
    assert "grayscale ━" in narrow
    assert "━" * 20 in wide


def drawn(lines: list[Line], columns: int) -> str:
    console = Console(width=columns, force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(block(lines, ""))
    return shown.get()
