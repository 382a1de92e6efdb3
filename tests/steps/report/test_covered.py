"""The report of a run that covers things says how much, and which boxes a person should look at, in order."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from tests import found
from tests.made_runs import MadeRun

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records.row import Published, Row
from imgflow_steps.report.coverage import LEAST, Coverage

if TYPE_CHECKING:
    from pathlib import Path

INFER: dict[str, Any] = {"infer": {"model": found.FACES}}


def box(score: float, side: float = 40.0, label: str = "face") -> list[Any]:
    return [label, score, 10.0, 10.0, side, side / 2]


def told(*boxes: list[Any], count: int, share: float = 0.01, **after: Any) -> dict[str, Any]:
    return {"objects": found.things(*boxes), "redacted": {"count": count, "share": share}, **after}


def page(made: MadeRun) -> str:
    collect(made.store, made.run, output=None)
    return made.store.read(f"runs/{made.run.id}/report/index.html").decode()


def seen(made: MadeRun, rows: list[Row]) -> Coverage:
    coverage = Coverage.of(made.run.pipeline)
    assert coverage
    for row in rows:
        coverage.add(row)
    return coverage


def row(made: MadeRun, image: str, said: dict[str, Any], pieces: int = 1) -> Row:
    outputs = [
        Published(
            key=f"out/{image}{n}", sha256="0" * 64, width=8, height=8, piece=f"p{n}" if pieces > 1 else "", found=said
        )
        for n in range(pieces)
    ]
    return made.row(image, outputs=outputs)


def test_boxes_and_pictures_are_counted_and_what_a_later_model_sees_is_not(tmp_path: Path) -> None:
    made = found.made(tmp_path, INFER, {"redact": {"score": 0.5}}, INFER)
    coverage = seen(
        made,
        [
            row(made, "a.jpg", told(box(0.9), box(0.4), count=1, objects_2=found.things(box(0.6)))),
            row(made, "b.jpg", told(count=0, share=0.0)),
            row(made, "c.jpg", told(*[box(0.7)] * 12, count=12, share=0.4), pieces=2),
        ],
    )
    assert dict(coverage.pictures) == {"1 to 2": 1, "0": 1, "10 or more": 2}
    assert (coverage.covered, coverage.left, coverage.none) == (13, 1, ["b.jpg"])
    assert (coverage.sides.high, coverage.scores.low, coverage.shares.high) == (40.0, 0.7, 0.4)


def test_the_least_certain_boxes_come_first_and_only_those_that_are_covered(tmp_path: Path) -> None:
    made = found.made(tmp_path, INFER, {"redact": {"labels": ["face"]}})
    rows = [
        row(made, f"{n:02}.jpg", told(box(0.99), box(0.3 + n / 100), box(0.26, label="tree"), count=2))
        for n in range(LEAST + 6)
    ]
    least = seen(made, rows[::-1]).least
    assert [one.image for one, _ in least] == [f"{n:02}.jpg" for n in range(LEAST)]
    assert least[0][1][:2] == ("face", 0.3)


def test_a_run_that_covers_nothing_has_no_such_section(tmp_path: Path) -> None:
    assert Coverage.of(found.made(tmp_path, INFER).run.pipeline) is None


def test_the_page_says_it_in_words_and_shows_what_was_published_alone(tmp_path: Path) -> None:
    made = found.made(tmp_path, INFER, "redact")
    found.add(made, {"a.jpg": told(box(0.31), box(0.9), count=2, share=0.02), "<b>.jpg": told(count=0, share=0.0)})
    shown = page(made)
    part = shown[shown.index('id="covered"') : shown.index('id="pipeline"')]
    section = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))
    assert "What was covered" in section
    assert "2 boxes" in section
    assert "no box that was found" in section
    assert "0.31" in section
    assert "Nothing was found to cover in 1 picture" in section
    assert html.unescape(part[: part.index("</section>")]).count("<b>.jpg") == 1
    assert "<b>" not in shown
