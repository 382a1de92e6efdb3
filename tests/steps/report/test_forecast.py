"""The report holds what list expected beside what came out, and says nothing where nobody expected anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.made_runs import MadeRun, make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.prediction import Basis, Prediction, Range, StepPrediction


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    """A run whose two images took 12.5 ms each to decode, from half a second after the listing on."""
    made = make_run(tmp_path)
    made.list(["a.jpg", "b.jpg"])
    listing = Listing(listed=2, todo=2, ended=1.7e9 - 0.5)
    made.store.write(keys.listing_json(made.run.id), listing.model_dump_json().encode())
    made.add(made.row("a.jpg"), made.row("b.jpg", ended=1.7e9 + 0.5))
    return made


def step(name: str, seconds: float) -> StepPrediction:
    basis = Basis(run="utrecht-0", municipality="Utrecht", images=70, like="pipeline")
    return StepPrediction(step=name, seconds=seconds, low=seconds / 2, high=seconds * 2, basis=basis)


def section(made: MadeRun, expected: Prediction) -> str:
    made.store.write(keys.prediction_json(made.run.id), expected.model_dump_json().encode())
    collect(made.store, made.run, output=None)
    page = made.read(keys.report(made.run.id) + "index.html").replace("\N{NO-BREAK SPACE}", " ")
    found = re.search(r'<section id="expected".*?</section>', page, re.DOTALL)
    return re.sub(r"<[^>]+>+", "|", found[0]) if found else ""


def test_every_step_says_whether_it_took_what_was_expected(made: MadeRun) -> None:
    steps = [step("decode", 0.020), step("scale", 0.5)]
    text = section(made, Prediction(images=2, steps=steps, unknown=["infer"]))

    assert re.search(r"\|decode\|+20 ms\|+10 ms to 40 ms\|+25 ms\|+within\|", text)
    assert re.search(r"\|scale\|+500 ms\|+250 ms to 1 s\|+0 ms\|+less\|", text)
    assert re.search(r"\|infer\|+\N{EN DASH}\|+\N{EN DASH}\|+0 ms\|", text)
    assert re.search(r"\|core time\|+520 ms\|+260 ms to 1 s\|+25 ms\|+less\|", text)
    assert "Expected from 70 images of run utrecht-0: the same pipeline." in text
    assert "on the clock" not in text


def test_the_clock_is_compared_where_every_step_was_known(made: MadeRun) -> None:
    wall = Range(seconds=0.9, low=0.8, high=0.95)
    text = section(made, Prediction(images=3, steps=[step("decode", 0.020)], wall=wall, pace="2 processes always busy"))

    assert re.search(r"\|on the clock\|+900 ms\|+800 ms to 950 ms\|+1 s\|+more\|", text)
    assert "with 2 processes always busy" in text
    assert "It was for 3 images, and 2 were computed." in text


def test_a_run_of_which_nothing_was_known_has_no_such_section(made: MadeRun) -> None:
    assert section(made, Prediction(images=2, unknown=["decode"])) == ""


def test_a_run_that_nobody_made_a_prediction_for_has_no_such_section(made: MadeRun) -> None:
    collect(made.store, made.run, output=None)
    assert 'id="expected"' not in made.read(keys.report(made.run.id) + "index.html")
