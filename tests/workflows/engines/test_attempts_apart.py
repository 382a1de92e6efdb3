"""After a retry the pause between two attempts is nobody's work, wherever time is told."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from tests.local_runs import PLAIN
from tests.made_runs import make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.list import List
from imgflow_steps.list.work import run as list_images
from imgflow_steps.records import documents, keys
from imgflow_steps.records.listing import Listing
from imgflow_steps.records.progress import ShardProgress
from imgflow_steps.records.row import Status
from imgflow_steps.records.run import Attempt, Run, Work, save, worked
from imgflow_steps.records.summary import Phase, Summary
from imgflow_steps.report.account import Account
from imgflow_workflows.submit.attempts import attempts, once_more_after
from imgflow_workflows.tuning import RunFigures, propose

DAY = 86_400.0


def test_a_report_counts_the_time_of_each_attempt_and_no_pause(tmp_path: Path) -> None:
    made = make_run(tmp_path / "store")
    first, second = made.run.created, made.run.created + DAY
    run = made.run.model_copy(update={"created": second, "earlier": (Attempt(began=first, ended=first + 20),)})
    save(made.store, run)
    made.list([f"{n}.jpg" for n in range(6)])
    ended = [first + 1, first + 11, first + 9, second + 2, second + 3, second + 4]
    made.add(*(made.row(f"{n}.jpg", ended=when, ms={"decode": 1000.0}) for n, when in enumerate(ended)))

    summary = collect(made.store, run, output=None)
    page = made.read(keys.report(run.id) + "index.html")

    assert summary.attempts == 2
    told = re.search(r"6\simages in ([^,]*),", page)
    assert told
    assert re.sub(r"\s", " ", told[1]) == "14 s"  # 11 and 3
    assert set(re.findall(r"Images finished over time, attempt (\d)", page)) == {"1", "2"}


def test_one_attempt_is_not_numbered() -> None:
    account = Account(run="mine")

    assert account.seconds == 0
    assert account.spans == {}


def test_the_work_of_a_run_is_that_of_its_attempts() -> None:
    earlier = (Attempt(began=100, ended=160), Attempt(began=1000, ended=1010))
    run = Run(id="mine", municipality="Demo", pipeline=PLAIN, created=5000.0, earlier=earlier)

    assert worked(run, 5005.0) == 75


@pytest.mark.parametrize("killed", [False, True])
def test_an_attempt_ended_when_it_said_so_or_was_last_heard_of(tmp_path: Path, *, killed: bool) -> None:
    made = make_run(tmp_path / "store")
    began = made.run.created
    made.list(["a.jpg"])
    said = made.read(keys.listing_json(made.run.id)).replace('"todo":0', '"todo":4')
    made.store.write(keys.listing_json(made.run.id), said.encode())
    progress = ShardProgress(label="infer", shard=0, total=4, done=3, rejected=1, updated=began + 7)
    made.store.write(keys.shard_progress(made.run.id, 3, 0), progress.model_dump_json().encode())
    if not killed:
        made.add(made.row("a.jpg"))
        collect(made.store, made.run, output=None)

    [found] = attempts(made.store, made.run.id)

    assert found.began == began
    assert found.ended == pytest.approx(began + 7 if killed else time.time(), abs=60)
    assert found.status is (Phase.INTERRUPTED if killed else Phase.SUCCEEDED)
    assert found.work == Work(todo=4, processed=2, rejected=1)
    assert found.work.left == 1


def test_a_retry_on_a_machine_whose_clock_is_late_asks_again_for_what_a_cluster_rejected(tmp_path: Path) -> None:
    """The cluster's clock is two minutes ahead of the machine that retries one minute later."""
    made = make_run(tmp_path / "store")
    made.list(["a.jpg"])
    made.store.write(keys.images("Utrecht") + "a.jpg", b"no picture")
    version = made.store.stat(keys.images("Utrecht") + "a.jpg").version  # type: ignore[union-attr]  # it is there
    now = time.time()
    made.add(made.row("a.jpg", Status.REJECTED, version=version, ended=now + 119))
    save(made.store, made.run)
    collect(made.store, made.run, output=None)
    ended = documents.read(Summary, made.store, keys.summary_json(made.run.id)).model_copy(update={"ended": now + 120})
    made.store.write(keys.summary_json(made.run.id), ended.model_dump_json().encode())

    once_more = made.run.model_copy(update={"created": now + 60, "list": List(retry="rejected")})
    retried = once_more_after(once_more, attempts(made.store, made.run.id))

    assert retried.created == now + 120
    assert list_images(made.store, retried).todo == 1


def test_a_run_that_is_new_has_no_attempt_before(tmp_path: Path) -> None:
    assert attempts(make_run(tmp_path / "store").store, "another") == ()


def test_tune_after_a_retry_speaks_of_the_whole_run() -> None:
    run = Run(id="mine", municipality="Demo", pipeline=PLAIN, engine="local", workers=2, created=1.0)
    whole = Listing(listed=1000, todo=1000, shards=2, shard_size=500, layout="fused")
    rest = Listing(listed=1000, todo=3, processed=997, shards=2, shard_size=2, layout="fused")
    shards = [ShardProgress(label="grayscale", shard=n, total=9, done=9, ms={"scale": 90.0}) for n in range(2)]

    [before] = propose(RunFigures(run, whole, shards))
    [after] = propose(RunFigures(run, rest, shards))

    assert (after.now, after.proposed) == (before.now, before.proposed) == ("500", "500")
