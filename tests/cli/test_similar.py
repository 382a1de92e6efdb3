"""similar: the nearest images first, by what is known of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import found

from imgflow_steps.records.row import Published

if TYPE_CHECKING:
    from tests.cli.conftest import Cli
    from tests.made_runs import MadeRun

    from imgflow_steps.store import Store

VECTORS = {
    "a.jpg": found.vector(1, 0),
    "b.jpg": found.vector(3, 4),
    "c.jpg": found.vector(-3, 0),
    "d.jpg": found.vector(0, 0),
    "e.jpg": found.vector(5, 0.1),
    "f.jpg": found.vector(1, 0, 0),
}


@pytest.fixture
def run() -> MadeRun:
    made = found.made(Path(".imgflow"), {"infer": {"model": found.LIKE, "read": "vector", "name": "like"}})
    made.list([*VECTORS, "broken.jpg"])
    made.add(
        *(
            made.row(
                image,
                dhash=f"{2**number - 1:032x}",
                outputs=[Published(key="", sha256="", width=1, height=1, found={"like": vector})],
            )
            for number, (image, vector) in enumerate(VECTORS.items())
        )
    )
    return made


def test_vectors_are_compared_where_a_model_gave_some(imgflow: Cli, run: MadeRun) -> None:
    told = imgflow("similar", "a.jpg", "-o", "json").json

    assert (told["by"], told["name"], told["run"]) == ("vector", "like", "utrecht-1")
    assert [(one["image"], one["alike"]) for one in told["similar"]] == [
        ("e.jpg", 0.9998),
        ("b.jpg", 0.6),
        ("c.jpg", -1.0),
    ]


def test_hashes_are_compared_when_asked_and_where_there_is_no_vector(imgflow: Cli, run: MadeRun) -> None:
    asked = imgflow("similar", "b.jpg", "--by", "dhash", "--limit", "3", "-o", "json").json
    without = imgflow("similar", "d.jpg", "-l", "1", "-o", "json").json

    assert [(one["image"], one["alike"]) for one in asked["similar"]] == [
        ("a.jpg", 0.9922),
        ("c.jpg", 0.9922),
        ("d.jpg", 0.9844),
    ]
    assert (without["by"], without["similar"][0]["image"]) == ("dhash", "c.jpg")


def test_of_several_pieces_the_nearest_counts(imgflow: Cli, run: MadeRun) -> None:
    pieces = [
        Published(key="", sha256="", width=1, height=1, piece=str(i), found={"like": vector})
        for i, vector in enumerate([found.vector(-1, 0), found.vector(3, 4)])
    ]
    run.add(run.row("c.jpg", ended=1.8e9, outputs=pieces))

    told = imgflow("similar", "b.jpg", "-o", "json").json

    assert told["similar"][0]["image"] == "c.jpg"


def test_a_person_sees_a_table_within_eighty_columns(imgflow: Cli, run: MadeRun) -> None:
    shown = imgflow("similar", "a.jpg")

    assert shown.out.splitlines()[:2] == ["ALIKE   SIZE       IMAGE", "1.000   4000x3000  e.jpg"]
    assert "vectors like" in shown.err
    assert "why e.jpg --municipality Utrecht" in shown.err
    assert max(map(len, (shown.out + shown.err).splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("broken.jpg",), "no result of broken.jpg"),
        (("d.jpg", "--by", "vector"), "read: vector"),
        (("a.jpg", "--by", "dhash"), "blank"),
        (("z.jpg",), "no image"),
    ],
)
def test_what_cannot_be_compared_gives_one_error(
    imgflow: Cli, run: MadeRun, arguments: tuple[str, ...], said: str
) -> None:
    run.add(run.row("a.jpg", ended=1.8e9, dhash=""))

    done = imgflow("similar", *arguments)

    assert done.code == 2
    assert said in done.err


def test_a_run_that_is_named_is_asked_and_not_the_newest(imgflow: Cli, demo: Store) -> None:
    for run, choice in (("first", ()), ("second", ("--sample", "1", "--seed", "1"))):
        imgflow("submit", "-m", "Demo", "--workers", "1", "--run", run, "--set", "scale.width=64", *choice, "-q")

    told = imgflow("similar", "0.jpg", "--run", "first", "-o", "json").json
    foreign = imgflow("similar", "0.jpg", "--run", "first", "-m", "Utrecht")
    unknown = imgflow("similar", "0.jpg", "--run", "frist")

    assert (told["run"], sorted(one["image"] for one in told["similar"])) == ("first", ["1.jpg", "2.jpg"])
    assert "run first is of Demo, not of Utrecht" in foreign.err
    assert "did you mean" in unknown.err.lower()
