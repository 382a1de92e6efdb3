"""A little of ``make fuzz``, always the same: no target crashes, hangs or answers what cannot be right."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from tests.fuzz import __main__ as fuzz
from tests.fuzz import child
from tests.fuzz.__main__ import Tally
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS, Target
from tests.thorough import THOROUGH

CASES = {"tables": 2, "archives": 20}
USUALLY = 60


@pytest.mark.parametrize("name", TARGETS)
def test_what_strangers_send_ends_as_an_answer(name: str) -> None:
    for number in range(CASES.get(name, USUALLY) * (5 if THOROUGH else 1)):
        assert child.case(name, 2026, number), number


@pytest.mark.parametrize("name", TARGETS)
def test_what_a_target_begins_with_is_read(name: str) -> None:
    target = TARGETS[name]
    answers = {seed: target.answer(data, Random(1)) for seed, data in target.seeds().items()}
    assert any("made" in answer or "files" in answer for answer in answers.values()), answers
    doubted = {seed for seed, answer in answers.items() if answer in child.DOUBTS}
    assert not doubted


def test_a_case_is_the_same_whenever_it_is_asked_for() -> None:
    seeds = [b"one of several", b"another one"]
    assert mutated(seeds, Random("a")) == mutated(seeds, Random("a"))
    assert len({mutated(seeds, Random(str(n))) for n in range(50)}) > 40
    assert child.given("forms", 1, 5) == child.given("forms", 1, 5) != child.given("forms", 1, 6)


PROGRAM = """
import os
from tests.fuzz import child
from tests.fuzz.targets import TARGETS, Target
answers = iter([lambda: "made", lambda: 1 / 0, os.abort])
TARGETS["deadly"] = Target(lambda: {"a": b"abc"}, lambda data, random: next(answers)())
child.main()
"""


@pytest.mark.thorough
def test_what_ends_its_process_and_what_raises_is_found_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    monkeypatch.setitem(TARGETS, "deadly", Target(lambda: {"a": b"abc"}, lambda _, __: "made"))
    monkeypatch.setattr(fuzz, "KEPT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))

    tally = Tally()
    fuzz.run_once("deadly", 1, tally, 60, [str(tmp_path / "program.py")])

    assert (tally.cases, dict(tally.answers)) == (3, {"made": 1, "finding": 1})
    raised, ended = tally.findings
    assert raised.startswith("case 1 of --target deadly --seed 1: ZeroDivisionError")
    assert ended.startswith("case 2 of --target deadly --seed 1: its process ended with -6")
    assert (tmp_path / "deadly-1-2").read_bytes() == child.given("deadly", 1, 2)
