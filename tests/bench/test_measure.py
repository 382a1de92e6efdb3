from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bench.measure import Line, geometric_mean, interleave, line, times
from tests import photographs

from bench import chart, contenders, measure, results, table

TOLD = {"command": "make bench", "made": "2024-05-17", "machine": {"processor": "Abacus", "cores": 2}}
FASTER = line("One", "naive Pillow / imgflow", [4.0], goal=3)
SLOWER = line("One", "abacus / imgflow", [8.0])
BOUND = line("One", "imgflow / floor", [1.5], goal=1.4, at_most=True)


def test_contenders_take_turns_and_the_first_round_does_not_count() -> None:
    said = []

    costs = interleave({name: lambda name=name: float(said.append(name) or len(said)) for name in "ab"}, rounds=3)

    assert "".join(said) == "ab" + "ab" + "ba" + "ab"
    assert costs == {"a": [3, 6, 7], "b": [4, 5, 8]}


def test_a_ratio_is_made_within_each_round() -> None:
    assert times({"ours": [1, 100], "theirs": [2, 300]}, "ours", "theirs") == [2, 3]


def test_images_count_alike_however_long_they_take() -> None:
    assert geometric_mean([[4.0, 1.0], [9.0, 1.0]]) == pytest.approx([6, 1])


def test_a_line_tells_median_and_interquartile_range() -> None:
    told = line("One", "a / b", [1.0, 2.0, 3.0, 4.0, 100.0], goal=2.5)

    assert (told.ratio, told.iqr, told.reached) == (3, 2, True)
    assert "unsteady" in told.note
    assert "unsteady" not in line("One", "a / b", [3.0, 3.01, 3.02]).note


def test_a_goal_may_be_an_upper_bound() -> None:
    assert BOUND.reached is False
    assert line("One", "a / b", [1.3], goal=1.4, at_most=True).reached is True


def test_a_figure_does_not_count_where_quality_fails() -> None:
    assert line("One", "a / b", [9.0], goal=2, void=True).reached is False


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    absent = Line("One", "abacus / imgflow", goal=2, note="not measured: not installed")

    assert absent.reached is None
    assert "| abacus / imgflow | - |  | ≥ 2x |  | not measured: not installed |" in table.markdown([absent])


def test_the_chart_has_everybody_s_speed_in_multiples_of_the_naive_one() -> None:
    speeds = {name: speed for name, (speed, _) in chart.speeds([FASTER, SLOWER, BOUND]).items()}

    assert speeds == {"imgflow": 4, "naive Pillow": 1, "abacus": 0.5}
    assert chart.speeds([SLOWER]) == {}


def test_the_readme_has_the_committed_figures() -> None:
    readme = results.README.read_text(encoding="utf-8")

    assert results.retell(readme, *results.read()) == readme


def test_a_section_that_is_measured_anew_stands_where_it_stood(tmp_path: Path) -> None:
    one, two = replace(FASTER, module="one"), replace(BOUND, module="two")
    about = {**TOLD, "seconds": 1, "rounds": 7, "versions": {"python": "3"}, "photographs": []}
    results.write(tmp_path, [one, two], about)

    lines, told = results.together(("one", "two"), [replace(one, ratio=5.0)], about | {"made": "2024-06-01"}, tmp_path)

    assert [(line.name, line.ratio) for line in lines] == [(one.name, 5.0), (two.name, 1.5)]
    assert (told["made"], told["seconds"]) == ("2024-06-01", 1)
    with pytest.raises(ValueError, match="another machine"):
        results.together(("one", "two"), [one], about | {"machine": {"processor": "Another", "cores": 2}}, tmp_path)


def test_only_the_marked_part_of_the_readme_is_written_anew() -> None:
    told = results.retell(f"before\n{results.BEGIN}old\n{results.END}after\n", [FASTER, SLOWER], TOLD)

    assert told.startswith(f"before\n{results.BEGIN}")
    assert told.endswith(f"{results.END}after\n")
    assert "| One: naive Pillow / imgflow | 4.00x | ≥ 3x | yes |" in told
    assert "abacus" not in told
    assert "old" not in told


def _contender(shrink: Callable[[bytes], object], missing: str = "") -> contenders.Contender:
    return contenders.Contender("another", shrink, bytes, np.asarray, missing=missing)


def test_a_contender_that_does_not_work_is_named_with_the_reason_whatever_it_is(tmp_path: Path) -> None:
    tool = tmp_path / "convert"
    tool.write_text("#!/bin/sh\necho this converts units >&2\nexit 1\n")
    tool.chmod(0o755)

    def broken(_: bytes) -> object:
        raise AttributeError("no such symbol")

    by_program = contenders.able(_contender(lambda _: measure.command([str(tool)])()), b"")
    by_library = contenders.able(_contender(broken), b"")
    absent = contenders.able(_contender(broken, missing="not installed"), b"")
    well = contenders.able(_contender(lambda data: data), b"picture")

    assert "cannot be measured" in by_program.missing
    assert "this converts units" in by_program.missing
    assert by_library.missing == "not measured: cannot be measured, because of AttributeError: no such symbol"
    assert absent.missing == "not installed"
    assert well.missing == ""


@pytest.mark.parametrize("script", ["exit 1", "echo something else", "cat"])
def test_a_command_called_convert_that_is_not_imagemagick_leaves_the_others_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    for name in ("magick", "convert-im6.q16", "convert"):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    made = contenders.able(contenders.imagemagick((64, 64), grey=True), photographs.jpeg(1))

    assert made.missing.startswith("not measured: cannot be measured, because of") == (script != "cat")
