"""submit --where and --sample: some images of a municipality, chosen once and written down beside the run."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.catalogs import FIRST, fashion

from imgflow_steps.records import keys
from imgflow_steps.records.run import load
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Outcome

QUICK = ("submit", "-m", "Fashion", "--steps", "scale:16x16", "--workers", "1")
SUMMER = "season = 'Summer' and gender = 'Women'"


@pytest.fixture
def shop(imgflow: Cli, store: Store) -> Store:
    fashion(Path("shop"), 40)
    assert imgflow("ingest", "shop/styles.csv", "-m", "Fashion").code == 0
    return store


def fitting(imgflow: Cli, where: str) -> list[str]:
    rows = imgflow("query", f"SELECT image FROM catalog WHERE {where} ORDER BY image", "-o", "json").json
    return [row["image"] for row in rows]


def selected(store: Store, done: Outcome) -> list[str]:
    return [json.loads(line) for line in store.read(keys.selection(done.json["run"])).splitlines()]


def results(imgflow: Cli) -> list[str]:
    return [row["image"] for row in imgflow("query", "SELECT image FROM results ORDER BY image", "-o", "json").json]


def test_a_condition_chooses_the_images_of_a_run(imgflow: Cli, shop: Store) -> None:
    wanted = fitting(imgflow, SUMMER)

    done = imgflow(*QUICK, "--where", SUMMER, "-o", "json")

    assert 0 < len(wanted) < 40
    assert done.json["counts"]["processed"] == done.json["counts"]["listed"] == len(wanted)
    assert selected(shop, done) == wanted == results(imgflow)
    assert load(shop, done.json["run"]).selection == keys.selection(done.json["run"])


def test_what_is_asked_in_sql_does_not_travel_in_run_json(imgflow: Cli, shop: Store) -> None:
    done = imgflow(*QUICK, "--where", SUMMER, "-o", "json")

    assert b"Summer" not in shop.read(keys.run_json(done.json["run"]))


def test_the_rest_is_done_when_all_are_asked_for(imgflow: Cli, shop: Store) -> None:
    first = imgflow(*QUICK, "--where", SUMMER, "-o", "json").json["counts"]["processed"]

    counts = imgflow(*QUICK, "-o", "json").json["counts"]

    assert (counts["listed"], counts["processed"], counts["cached"]) == (40, 40 - first, first)


def test_retry_goes_on_with_what_was_chosen_then(imgflow: Cli, shop: Store) -> None:
    run = imgflow(*QUICK, "--where", SUMMER, "-o", "json").json
    (Path("shop") / "styles.csv").write_text(f"id,gender,season\n{FIRST},Women,Summer\n{FIRST + 1},Women,Summer\n")
    imgflow("ingest", "shop/styles.csv", "-m", "Fashion")

    again = imgflow("retry", run["run"], "-o", "json").json

    assert again["counts"]["listed"] == run["counts"]["listed"]


@pytest.mark.parametrize("where", [(), ("--where", "year > 0")])
def test_a_seed_draws_the_same_sample_every_time(imgflow: Cli, shop: Store, where: tuple[str, ...]) -> None:
    drawn = [
        selected(shop, imgflow(*QUICK, *where, "--sample", "7", "--seed", seed, "-o", "json"))
        for seed in ("1", "1", "2")
    ]

    assert [len(images) for images in drawn] == [7, 7, 7]
    assert drawn[0] == drawn[1] == sorted(drawn[1]) != drawn[2]


def test_both_ways_of_drawing_draw_the_same(imgflow: Cli, shop: Store) -> None:
    some = imgflow(*QUICK, "--sample", "9", "--seed", "3", "-o", "json")
    same = imgflow(*QUICK, "--sample", "9", "--seed", "3", "--where", "true", "-o", "json")

    assert selected(shop, some) == selected(shop, same)


def test_plan_says_how_many_are_chosen_and_writes_nothing(imgflow: Cli, shop: Store) -> None:
    before = list(shop.entries())

    planned = imgflow("plan", "-m", "Fashion", "--where", SUMMER, "-o", "json").json

    assert planned["listing"]["listed"] == len(fitting(imgflow, SUMMER))
    assert list(shop.entries()) == before


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--where", "sesaon = 'Summer'"), '"season"'),
        (("--where", "season = 'Monsoon'"), "no image of Fashion fits"),
        (("--where", "season = "), "syntax error"),
        (("--where", "true); DROP TABLE catalog; SELECT (1"), "syntax error"),
        (("--sample", "-1"), "greater than or equal to 0"),
        (("--where", "true", "--source", "shop"), "not of a --source"),
    ],
)
def test_a_choice_that_cannot_be_gives_one_error_and_leaves_the_store_as_it_was(
    imgflow: Cli, shop: Store, flags: tuple[str, ...], error: str
) -> None:
    before = list(shop.entries())

    done = imgflow(*QUICK, *flags)

    assert done.code == 2
    assert error in done.err
    assert list(shop.entries()) == before


def test_chosen_images_that_are_not_there_are_counted_and_told(imgflow: Cli, shop: Store) -> None:
    shop.delete([keys.images("Fashion") + f"{FIRST + i}.jpg" for i in range(2)])
    wanted = ("-m", "Fashion", "--steps", "scale:16x16", "--where", f"image < '{FIRST + 3}.jpg'")

    done = imgflow("submit", *wanted, "--workers", "1", "-o", "json")

    assert (done.json["counts"]["listed"], done.json["absent"]) == (1, 2)
    assert "Not there     2 chosen images, which the dataset does not hold" in imgflow("get", "@latest").out
    assert "2 chosen images not there" in imgflow("plan", *wanted).out
    doctor = imgflow("doctor", "@latest")
    assert "2 chosen images are not there (some-absent)" in doctor.out
    assert f"seen: {FIRST}.jpg" in doctor.out
    assert "Nothing is wrong with it." not in doctor.out
    assert doctor.code == 0


def test_a_municipality_without_a_catalog_is_told_how_to_get_one(imgflow: Cli, demo: Store) -> None:
    done = imgflow("submit", "-m", "Demo", "--where", "true")

    assert done.code == 2
    assert "Demo has no catalog" in done.err


@pytest.mark.parametrize(
    ("where", "column"),
    [("Season = 'Monsoon'", "season"), ("taken >= '2026-05-01'", "taken"), ("season = '`x`'", "season")],
    ids=["catalog", "file", "shell"],
)
def test_a_condition_without_a_hit_is_answered_with_a_command_that_shows_the_values_there_are(
    imgflow: Cli, shop: Store, where: str, column: str
) -> None:
    done = imgflow(*QUICK, "--where", where)

    [command] = re.findall(r"`imgflow (query .*)` shows which values there are", done.err)
    rows = imgflow(*shlex.split(command), "-o", "json").json
    assert done.code == 2
    assert all(list(row) == [column] for row in rows)
    assert len(rows) == len({row[column] for row in rows}) > 0
