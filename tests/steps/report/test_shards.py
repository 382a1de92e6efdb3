from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.made_runs import MadeRun, make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.report import shards as shown

if TYPE_CHECKING:
    from pathlib import Path

BEGAN = 1.7e9


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    made = make_run(tmp_path / "store")
    made.list(["a.jpg"])
    made.add(made.row("a.jpg"))
    return made


def say(made: MadeRun, shard: int, *, step: int = 1, **changes: object) -> None:
    """What a container says that worked on a shard from 10 seconds after the one before, for 20 seconds."""
    began = BEGAN + 10 * shard
    progress = ShardProgress(
        label=made.run.pipeline.labels[step - 1], shard=shard, total=5, done=5, began=began, updated=began + 20
    ).model_copy(update=changes)
    made.store.write(keys.shard_progress(made.run.id, step, shard), progress.model_dump_json().encode())


def page(made: MadeRun, folder: Path) -> str:
    """The section of the report; "" where there is none."""
    collect(made.store, made.run, output=folder)
    found = re.search(r'<section id="use".*?</section>', (folder / "index.html").read_text(), re.DOTALL)
    return found[0].replace("\N{NO-BREAK SPACE}", " ") if found else ""


def bars(section: str) -> list[tuple[float, float]]:
    """Where each bar begins and how wide it is, in thousandths of the time that is shown."""
    return [(float(x), float(w)) for x, w in re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', section)]


def test_shards_stand_on_one_time_scale_in_the_order_in_which_they_began(made: MadeRun, tmp_path: Path) -> None:
    for shard in (2, 0, 1):
        say(made, shard)

    section = page(made, tmp_path / "report")

    assert bars(section) == [(0, 500), (250, 500), (500, 500)]
    assert "shard 1: 5 of 5 images in 20 s" in section


def test_steps_in_containers_of_their_own_share_the_scale(made: MadeRun, tmp_path: Path) -> None:
    say(made, 0)
    say(made, 0, step=2, began=BEGAN + 20, updated=BEGAN + 40)

    section = page(made, tmp_path / "report")

    assert bars(section) == [(0, 500), (500, 500)]
    assert section.count("<svg") == 2


def test_what_was_used_stands_beside_what_there_was(made: MadeRun, tmp_path: Path) -> None:
    say(made, 0, workers=2, memory=300_000_000, memory_limit=4_000_000_000, ms={"decode": 15_000, "fetch": 9000})
    say(made, 1, workers=2, memory=500_000_000, memory_limit=2_000_000_000, ms={"scale": 5000})

    row = re.search(r"<tbody>.*?</tbody>", page(made, tmp_path / "report"), re.DOTALL)

    assert row
    assert re.findall(r">([^<>]+)<", row[0]) == ["scale", "2", "20 s", "1 min 20 s", "25.0 %", "500 MB", "2.0 GB"]


def test_a_shard_that_was_given_up_is_told_from_others(made: MadeRun, tmp_path: Path) -> None:
    say(made, 0)
    say(made, 1, error="OSError: no room", done=2)

    section = page(made, tmp_path / "report")

    assert section.count('class="failed"') == 1
    assert "shard 1: 2 of 5 images in 20 s, given up" in section


def test_of_many_shards_those_are_shown_that_took_longest(
    made: MadeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown, "LANES", 3)
    for shard in range(9):
        say(made, shard, updated=BEGAN + 10 * shard + (90 if shard % 4 == 0 else 1))

    section = page(made, tmp_path / "report")

    assert re.findall(r"<title>shard (\d)", section) == ["0", "4", "8"]
    assert "the 3 of 9 that took longest" in section


def test_a_clock_that_went_back_makes_no_bar_that_ends_before_it_begins(made: MadeRun, tmp_path: Path) -> None:
    say(made, 0, updated=BEGAN - 1000)
    say(made, 1, updated=BEGAN - 1000)

    assert all(x >= 0 and 0 < wide <= 1000 for x, wide in bars(page(made, tmp_path / "report")))


def test_there_is_no_section_where_no_container_said_when_it_began(made: MadeRun, tmp_path: Path) -> None:
    assert not page(made, tmp_path / "one")
    say(made, 0, began=0.0)
    assert not page(made, tmp_path / "two")
