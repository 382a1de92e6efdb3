"""What models found, as tables that SQL asks: each thing once, in pixels of the upright source, with whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests import found

from imgflow_steps.records.row import Published
from imgflow_workflows.catalog import ask

if TYPE_CHECKING:
    from pathlib import Path

    from tests.made_runs import MadeRun

STREET = found.things(["face", 0.93, 10.0, 20.0, 30.0, 40.0], ["plate", 0.5, 0.0, 0.0, 64.0, 16.0])


def asked(run: MadeRun, sql: str) -> list[dict[str, Any]]:
    with ask.select(run.store, sql) as answer:
        rows: list[dict[str, Any]] = answer.read_all().to_pylist()
    return rows


def outputs(*found: dict[str, Any]) -> list[Published]:
    return [
        Published(key=f"out/{number}", sha256="0" * 64, width=8, height=8, piece=f"{number}", found=one)
        for number, one in enumerate(found)
    ]


def test_a_thing_is_a_row_with_its_place_and_whose_it_is(tmp_path: Path) -> None:
    run = found.made(tmp_path)
    found.add(run, {"a.jpg": {"objects": STREET}, "b.jpg": {"objects": found.things()}})

    first, second = asked(run, "SELECT * FROM findings ORDER BY score DESC")

    assert first == {
        "municipality": "Utrecht",
        "image": "a.jpg",
        "piece": "",
        "run": "utrecht-1",
        "step": "infer",
        "name": "objects",
        "model": "fafafafafafa",
        "label": "face",
        "score": 0.93,
        "x": 10.0,
        "y": 20.0,
        "w": 30.0,
        "h": 40.0,
        "side": 34.6,
    }
    assert (second["label"], second["side"]) == ("plate", 32.0)


def test_what_was_found_before_a_picture_was_cut_up_is_there_once(tmp_path: Path) -> None:
    run = found.made(tmp_path)
    run.list(["a.jpg"])
    later = found.things(["sign", 0.4, 1.0, 2.0, 3.0, 4.0])
    run.add(run.row("a.jpg", outputs=outputs({"objects": STREET, "signs": later}, {"objects": STREET})))

    rows = asked(run, "SELECT name, piece, label FROM findings ORDER BY ALL")

    assert [tuple(row.values()) for row in rows] == [
        ("objects", "", "face"),
        ("objects", "", "plate"),
        ("signs", "0", "sign"),
    ]


def test_vectors_are_compared_by_the_angle_between_them(tmp_path: Path) -> None:
    run = found.made(tmp_path, {"infer": {"model": found.LIKE, "read": "vector", "name": "like"}})
    found.add(
        run,
        {
            "a.jpg": {"like": found.vector(1, 0)},
            "b.jpg": {"like": found.vector(2, 2)},
            "c.jpg": {"like": found.vector(0, 3)},
        },
    )

    rows = asked(
        run,
        """SELECT b.image, round(list_cosine_similarity(a.vector, b.vector)::DOUBLE, 3) AS alike, b.length, b.model
           FROM vectors a JOIN vectors b USING (name) WHERE a.image = 'a.jpg' ORDER BY alike DESC""",
    )

    assert asked(run, "SELECT vector FROM vectors WHERE image = 'b.jpg'") == [{"vector": [2.0, 2.0]}]
    assert [tuple(row.values()) for row in rows] == [
        ("a.jpg", 1.0, 2, "7e7e7e7e7e7e"),
        ("b.jpg", 0.707, 2, "7e7e7e7e7e7e"),
        ("c.jpg", 0.0, 2, "7e7e7e7e7e7e"),
    ]


@pytest.mark.parametrize(
    ("steps", "names", "told"),
    [
        (["infer", {"infer": {"model": found.FACES}}], ["objects"], [("infer.2", "fafafafafafa")]),
        (
            [{"infer": {"model": found.FACES}}, {"infer": {"model": found.LIKE}}],
            ["objects", "objects_2"],
            [("infer.1", "fafafafafafa"), ("infer.2", "7e7e7e7e7e7e")],
        ),
        (
            [{"infer": {"model": found.FACES}}, {"infer": {"model": found.LIKE, "name": "plates_2"}}],
            ["objects", "plates_2"],
            [("infer.1", "fafafafafafa"), ("infer.2", "7e7e7e7e7e7e")],
        ),
        ([{"infer": {"model": found.FACES}}, {"infer": {"model": found.LIKE}}], ["objects"], [(None, None)]),
    ],
)
def test_the_step_and_the_model_are_named_where_only_one_can_have_said_it(
    tmp_path: Path, steps: list[Any], names: list[str], told: list[tuple[str | None, str | None]]
) -> None:
    run = found.made(tmp_path, *steps)
    one = found.things(["face", 0.9, 1.0, 1.0, 2.0, 2.0])
    found.add(run, {"a.jpg": dict.fromkeys(names, one)})

    rows = asked(run, "SELECT step, model FROM findings ORDER BY name")

    assert [(row["step"], row["model"]) for row in rows] == told


def test_tables_are_written_in_parts_of_which_none_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "ROWS", 3)
    run = found.made(tmp_path)
    found.add(run, {f"{i}.jpg": {"objects": STREET, "like": found.vector(i, 1)} for i in range(8)})

    [counts] = asked(
        run,
        """SELECT (SELECT count(*) FROM findings) AS things, (SELECT count(*) FROM vectors) AS vectors,
                  (SELECT count(*) FROM results) AS results""",
    )

    assert counts == {"things": 16, "vectors": 8, "results": 8}


def test_without_any_model_the_tables_are_there_and_empty(tmp_path: Path) -> None:
    run = found.made(tmp_path, "scale")

    assert asked(run, "SELECT label, side FROM findings") == asked(run, "SELECT vector FROM vectors") == []


def test_results_tell_how_long_a_vector_is_and_not_its_numbers(tmp_path: Path) -> None:
    run = found.made(tmp_path)
    found.add(run, {"a.jpg": {"like": found.vector(1, 2), "vector": "north"}})

    [row] = asked(run, "SELECT COLUMNS('found_.*') FROM results")

    assert row == {"found_like.length": 2, "found_vector": "north"}
