from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.made_runs import MadeRun, make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.run import Attempt, Work
from imgflow_steps.records.summary import Phase
from imgflow_steps.report.figures import NONE

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400.0


def retried(folder: Path, *earlier: Attempt) -> str:
    """The section of a run with these attempts before the last one, which does two of three images."""
    made = make_run(folder / "store")
    run = made.run.model_copy(update={"created": 1.7e9 + DAY, "earlier": earlier})
    made = MadeRun(made.store, run)
    made.list(["a.jpg", "b.jpg", "c.jpg"])
    listing = made.read(keys.listing_json(run.id)).replace('"todo":0', '"todo":3')
    made.store.write(keys.listing_json(run.id), listing.encode())
    made.add(made.row("a.jpg", ended=1.7e9 + DAY + 5))
    said = ShardProgress(label="infer", shard=0, total=3, done=2, rejected=1, began=run.created, updated=run.created)
    made.store.write(keys.shard_progress(run.id, 3, 0), said.model_dump_json().encode())
    collect(made.store, run, output=folder / "report")
    page = (folder / "report/index.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    found = re.search(r'<section id="attempts".*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def rows(section: str) -> list[list[str]]:
    body = re.search(r"<tbody>.*?</tbody>", section, re.DOTALL)
    assert body
    return [re.findall(r">([^<>]+)<", row) for row in re.findall(r"<tr>.*?</tr>", body[0])]


def test_each_attempt_has_its_own_times_and_counts(tmp_path: Path) -> None:
    work = Work(todo=9, processed=4, rejected=1, failed=1)
    section = retried(
        tmp_path,
        Attempt(began=1.7e9, ended=1.7e9 + 90, status=Phase.INTERRUPTED, work=work),
        Attempt(began=1.7e9 + 100, ended=1.7e9 + 130),
    )

    first, second, last = rows(section)
    assert first == [
        *("1", "interrupted", "2023-11-14 22:13 UTC", "2023-11-14 22:14 UTC", "1 min 30 s"),
        *("9", "4", "1", "1", "3"),
    ]
    assert second[1] == NONE  # of an imgflow that did not write down how it ended…
    assert second[4:] == ["30 s", NONE, NONE, NONE, NONE, NONE]  # …nor what it did
    assert last[:3] == ["3", "failed", "2023-11-15 22:13 UTC"]
    assert last[5:] == ["3", "1", "1", "0", "1"]


def test_pauses_are_named_and_counted_as_nobody_s_work(tmp_path: Path) -> None:
    section = retried(tmp_path, Attempt(began=1.7e9, ended=1.7e9 + DAY - 3600))

    assert "The pauses between them, 1 h in all" in section


def test_a_run_of_one_attempt_has_no_table_of_them(tmp_path: Path) -> None:
    assert retried(tmp_path) == ""
