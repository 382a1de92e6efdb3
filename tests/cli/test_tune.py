"""tune after a real run of the local engine, and where there is nothing to tune by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from imgflow_steps.records import keys
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_tune_proposes_with_a_reason_and_changes_nothing(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--workers", "1", "--run", "first")
    before = [found.key for found in demo.entries()]

    words = imgflow("tune", "first")
    told = imgflow("tune", "@latest", "-o", "json").json
    chart = imgflow("tune", "first", "-o", "yaml")

    assert (words.code, words.out.split()[:4]) == (0, ["SETTING", "NOW", "PROPOSED", "WHY"])
    assert told["run"] == "first"
    assert [one["setting"] for one in told["proposals"]] == ["--shard-size"]
    assert "lose" in told["proposals"][0]["why"]
    assert yaml.safe_load(chart.out) == {}
    assert [found.key for found in demo.entries()] == before


def test_a_run_without_anything_to_compute_says_nothing_about_the_next(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--workers", "1", "--run", "first")
    imgflow("submit", "-m", "Demo", "--run", "second")

    outcome = imgflow("tune", "second")

    assert (outcome.code, outcome.out) == (1, "")
    assert "run second computed nothing" in outcome.err


def test_a_run_that_was_not_listed_yet_is_told_so(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--workers", "1", "--run", "first")
    demo.delete([keys.listing_json("first")])

    outcome = imgflow("tune", "first")

    assert outcome.code == 1
    assert "has not listed its images yet" in outcome.err
