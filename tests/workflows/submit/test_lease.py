"""One coordinator at a time works on a run: on every engine, whatever machine it is on, and however another died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.local_runs import PLAIN, dataset

from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.records import keys, lease
from imgflow_steps.records.lease import Lease
from imgflow_steps.records.run import Run, load, save
from imgflow_steps.records.summary import Phase, read_summary
from imgflow_steps.store import ChangedError, Store, UnavailableError, leftovers
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.runs import state
from imgflow_workflows.submit import launch
from imgflow_workflows.submit.follow import Follower
from imgflow_workflows.submit.lease import check_idle
from imgflow_workflows.submit.request import Request

OTHER = parse({"steps": [{"scale": {"width": 20, "height": 20}}]})


@pytest.fixture
def store(directory_store: Store) -> Store:
    dataset(directory_store, 3)
    return directory_store


class Nobody:
    """A display that shows nothing."""

    def show(self, progress: object) -> None:
        """Not at all."""


class Workflows:
    """A detached engine, as Argo is: it starts a Workflow and returns."""

    name = "argo"
    detached = True
    place = "namespace city"

    def __init__(self) -> None:
        self.phases: dict[str, Phase] = {}
        self.submitted: list[Run] = []

    def submit(self, run: Run) -> None:
        self.submitted.append(run)
        self.phases[run.id] = Phase.RUNNING

    def abandon(self) -> None:
        """Nothing of a run goes on here."""

    def phase(self, run: str) -> Phase | None:
        return self.phases.get(run)


def start(store: Store, engine: Any = None, pipeline: Pipeline = PLAIN, **request: Any) -> list[str]:
    """Start the run "mine" and give what was said."""
    run = Run(id="mine", municipality="Demo", pipeline=pipeline, created=time.time(), engine="local")
    said: list[str] = []
    engine = engine or LocalEngine(store, workers=1)
    wanted = Request(run, {}, **request)
    launch.start(wanted, engine, store, Follower(said.append, said.append, lambda _: nullcontext(Nobody()), "imgflow"))
    return said


def held_by(store: Store, **facts: Any) -> Lease:
    """Somebody else's lease; by default of another machine."""
    other = Lease(run="mine", engine="local", holder="ada@elsewhere", since=time.time(), token="hers", mark="0-1-2")
    other = other.model_copy(update=facts)
    lease.place(store, other)
    return other


def mark_of_a_dead_process() -> str:
    script = "from imgflow_steps.store import leftovers; print(leftovers.mark())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_run_that_ended_leaves_no_lease(store: Store) -> None:
    start(store)

    assert store.stat(keys.lease("mine")) is None
    assert [found.key for found in store.entries("runs/mine/lease")] == []


def test_a_second_coordinator_is_told_who_works_on_the_run_and_changes_nothing(store: Store) -> None:
    held_by(store)

    with pytest.raises(ImgflowError) as raised:
        start(store)

    assert "ada@elsewhere works on run mine with engine local since 20" in str(raised.value)
    assert "imgflow retry mine --take-over" in raised.value.hint
    assert store.stat(keys.run_json("mine")) is None
    there = lease.read(store, "mine")
    assert there
    assert there[0].token == "hers"


def test_a_dead_process_of_this_machine_keeps_nobody_out(store: Store) -> None:
    held_by(store, mark=mark_of_a_dead_process())

    said = start(store)

    assert any("is dead, and this one resumes the run" in line for line in said)
    assert read_summary(store, "mine")


def test_a_process_of_this_machine_that_lives_keeps_others_out(store: Store) -> None:
    held_by(store, mark=leftovers.mark())

    with pytest.raises(ImgflowError, match="works on run mine"):
        start(store)


def test_a_lease_that_nobody_renews_expires(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    held_by(store)
    monkeypatch.setattr(lease, "LASTS", -1.0)

    said = start(store)

    assert any("nothing was heard" in line and "ada@elsewhere" in line for line in said)


def test_a_run_is_taken_over_when_that_is_asked_for(store: Store) -> None:
    held_by(store)

    said = start(store, take_over=True)

    assert "note: run mine is taken over from ada@elsewhere" in said
    assert read_summary(store, "mine")


def test_whoever_lost_a_run_ends_and_writes_nothing_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW", 0.05)
    raised: list[BaseException] = []

    def first() -> None:
        try:
            start(store, Waiting(store, workers=1))
        except ImgflowError as error:
            raised.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    until = time.monotonic() + 20
    while not (there := lease.read(store, "mine")) or not there[0].renewed:
        assert time.monotonic() < until
        time.sleep(0.02)
    start(store, take_over=True)
    ended = read_summary(store, "mine")
    thread.join(30)

    assert [str(error) for error in raised]
    assert "was taken over by" in str(raised[0])
    assert read_summary(store, "mine") == ended
    assert ended
    assert ended.status is Phase.SUCCEEDED


class Waiting(LocalEngine):
    """At work until it is told to abandon the run."""

    def submit(self, run: Run) -> None:
        if not self._abandoned.wait(30):
            pytest.fail("nobody told it")
        raise InterruptedError


def test_two_submits_of_one_name_with_other_pipelines_do_not_both_succeed(store: Store) -> None:
    """The second one looked for the run before the first one had written it."""
    engine = Workflows()
    start(store, engine)

    with pytest.raises(ImgflowError, match="is there already, of Demo with another pipeline"):
        start(store, engine, OTHER)

    assert [run.pipeline for run in engine.submitted] == [PLAIN]
    assert load(store, "mine").pipeline == PLAIN


def test_the_same_submit_twice_starts_one_workflow(store: Store) -> None:
    engine = Workflows()
    start(store, engine)

    said = start(store, engine)

    assert said == ["run mine is under way already; nothing was started"]
    assert len(engine.submitted) == 1


def test_a_run_of_a_cluster_is_not_worked_on_here(store: Store) -> None:
    start(store, Workflows())

    with pytest.raises(ImgflowError, match="engine argo in namespace city since"):
        start(store)


def test_a_workflow_that_ended_or_is_gone_keeps_nobody_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Workflows()
    start(store, engine)
    engine.phases.clear()
    with pytest.raises(ImgflowError, match="works on run mine"):  # it may be about to start
        start(store, engine)
    monkeypatch.setattr(lease, "LASTS", -1.0)

    start(store, engine)

    assert len(engine.submitted) == 2


def test_a_submit_that_fails_leaves_no_lease(store: Store) -> None:
    class Broken(Workflows):
        def submit(self, run: Run) -> None:
            raise ConnectionError(run.id)

    with pytest.raises(ConnectionError):
        start(store, Broken())

    assert store.stat(keys.lease("mine")) is None


def test_a_run_that_somebody_works_on_is_not_deleted(store: Store) -> None:
    held_by(store)

    with pytest.raises(ImgflowError, match="ada@elsewhere works on run mine"):
        check_idle(store, "mine", "imgflow")


def test_a_damaged_lease_keeps_others_out_and_says_nothing_that_it_does_not_know(store: Store) -> None:
    store.write(keys.lease("mine"), b"}damaged")

    with pytest.raises(ImgflowError) as error:
        check_idle(store, "mine", "imgflow")

    assert str(error.value).startswith("another version of imgflow works on run mine, heard of ")


def test_one_that_nobody_works_on_may_be_deleted(store: Store) -> None:
    check_idle(store, "mine", "imgflow")
    held_by(store, mark=mark_of_a_dead_process())

    check_idle(store, "mine", "imgflow")


COMMAND = "import sys; from imgflow_cli.__main__ import main; sys.exit(main())"


@pytest.mark.thorough
def test_a_coordinator_that_was_killed_is_followed_at_once(tmp_path: Path, store: Store) -> None:
    arguments = ["--store", store.url, "--workers", "1"]
    submit = [sys.executable, "-c", COMMAND, "submit", "--municipality", "Demo", "--run", "mine", *arguments]
    first = subprocess.Popen(submit, cwd=tmp_path, stderr=subprocess.PIPE)
    until = time.monotonic() + 60
    while not store.stat(keys.lease("mine")):
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()

    second = subprocess.run(submit, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert second.returncode == 0, second.stderr
    assert "is dead, and this one resumes the run" in second.stderr


def test_a_run_whose_process_is_dead_is_interrupted_at_once_and_runs_while_it_lives(store: Store) -> None:
    save(store, Run(id="mine", municipality="Demo", pipeline=PLAIN, created=time.time(), engine="local"))
    held_by(store, mark=leftovers.mark())
    assert state.read(store, "mine").status is Phase.PENDING
    store.delete([keys.lease("mine")])

    held_by(store, mark=mark_of_a_dead_process())

    assert state.read(store, "mine").status is Phase.INTERRUPTED
    assert [one.status for one in state.every(store)] == [Phase.INTERRUPTED]


def test_a_run_that_says_nothing_for_long_goes_on_as_long_as_its_process_renews_the_lease(store: Store) -> None:
    long_ago = time.time() - 10 * state.SILENCE
    save(store, Run(id="mine", municipality="Demo", pipeline=PLAIN, created=long_ago, engine="local"))
    assert state.read(store, "mine").status is Phase.INTERRUPTED

    held_by(store, mark="")  # of another machine, whose processes nobody sees here

    assert state.read(store, "mine").status is Phase.PENDING


def test_a_store_that_never_gives_the_lease_that_it_lists_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_by(store)

    def read(key: str, version: str = "", size: int = -1) -> bytes:
        raise ChangedError(key)

    monkeypatch.setattr(store, "read", read)

    with pytest.raises(UnavailableError, match=r"lists runs/mine/lease\.json and gives another one"):
        lease.read(store, "mine")
