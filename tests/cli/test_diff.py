"""diff: what a person and a program are told of two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store


@pytest.fixture(autouse=True)
def runs(imgflow: Cli, demo: Store) -> None:
    for name, quality in (("one", "90"), ("two", "20")):
        steps = ("--steps", "scale:48x48", "--set", f"output.quality={quality}", "--run", name, "--workers", "1")
        assert imgflow("submit", "-m", "Demo", *steps).code == 0


def test_pictures_that_differ_are_a_table_and_a_sum(imgflow: Cli) -> None:
    done = imgflow("diff", "one", "two", "--worst", "2")

    header, first, _, summed = done.out.splitlines()
    assert done.code == 0
    assert header.split() == ["IMAGE", "CHANGE", "ERROR", "SAID"]
    assert "other pixels" in first
    assert (
        summed
        == "two against one: 3 pictures compared · 0 the same · 3 other pixels · 1 image rejected or failed in both"
    )


def test_programs_get_the_same_as_one_document_and_names_as_lines(imgflow: Cli) -> None:
    said = imgflow("diff", "one", "two", "-o", "json").json

    assert (said["first"], said["second"], said["pictures"], said["changes"]) == ("one", "two", 3, {"pixels": 3})
    assert said["worst"][0]["error"] >= said["worst"][-1]["error"] > 0
    assert imgflow("diff", "one", "two", "-o", "name").out.splitlines() == ["0.jpg", "1.jpg", "2.jpg"]


def test_more_than_is_allowed_fails_the_command(imgflow: Cli) -> None:
    assert imgflow("diff", "one", "two", "--fail-over", "255").code == 0
    assert imgflow("diff", "one", "one", "--fail-over", "0").code == 0

    done = imgflow("diff", "one", "two", "--fail-over", "0")

    assert done.code == 1
    assert "3 differ by more than --fail-over 0" in done.err


def test_the_page_is_written_where_it_is_told(imgflow: Cli) -> None:
    assert imgflow("diff", "one", "two", "--page", "out.html").code == 0
    assert "two against one" in Path("out.html").read_text()
    assert imgflow("diff", "one", "two", "--page", "nowhere/out.html").code == 2


def test_a_run_that_has_no_results_yet_is_named(imgflow: Cli, store: Store) -> None:
    store.delete(["runs/two/results.jsonl"])

    done = imgflow("diff", "one", "two")

    assert done.code == 1
    assert "run two is succeeded and has no results yet" in done.err
    assert imgflow("diff", "one", "three").code == 2
