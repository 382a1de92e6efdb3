"""Runs that go on without the command that started them, as on a cluster."""

from __future__ import annotations

import itertools
import time
from collections.abc import Container, Iterator
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_cli.commands import engine as engine_commands
from imgflow_cli.commands import runs, submit
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import Store, UnavailableError
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.runs import state as known_runs
from imgflow_workflows.standing import Standing
from imgflow_workflows.submit import follow

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


class Elsewhere:
    """A detached engine: the run is submitted, and is over the second time somebody asks."""

    name = "argo"
    detached = True
    place = "namespace imgflow"

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = 0
        self.stopped: list[str] = []
        self.deleted: list[str] = []
        self.submitted: list[Run] = []

    def submit(self, run: Run) -> None:
        self.submitted.append(run)

    def abandon(self) -> None:
        """Nothing of a run goes on here."""

    def phase(self, run: str) -> Phase | None:
        if run not in {one.id for one in self.submitted}:
            return None
        self.asked += 1
        if self.asked < 2:
            return Phase.RUNNING
        [mine] = [one for one in self.submitted if one.id == run]
        LocalEngine(self._store, workers=1).submit(mine)
        return Phase.SUCCEEDED

    def standing(self, run: str, since: float) -> Standing | None:
        phase = self.phase(run)
        return Standing(phase) if phase else None

    def stop(self, run: str) -> None:
        self.stopped.append(run)

    def delete(self, run: str) -> None:
        self.deleted.append(run)

    def logs(self, run: str, *, step: str = "", failed: bool = False, follow: bool = False) -> Iterator[str]:
        yield f"{run} {step} {failed} {follow}"
        yield "an image called \x1b[2Jclear.jpg"


@pytest.fixture
def engine(demo: Store, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    engine = Elsewhere(demo)
    monkeypatch.setattr(follow, "POLL", 0.01)
    for module in (submit, runs, engine_commands):
        monkeypatch.setattr(module, "open_engine", lambda *_: engine)
    monkeypatch.setattr(known_runs, "open_argo", lambda *_: engine)
    monkeypatch.setenv("IMGFLOW_ENGINE", "argo")
    monkeypatch.setenv("IMGFLOW_STORE", "./.imgflow")
    return engine


def test_near_duplicates_are_looked_for_elsewhere_too_before_the_run_begins(
    imgflow: Cli, engine: Elsewhere, demo: Store
) -> None:
    demo.write(keys.images("Demo") + "9.jpg", photographs.jpeg(0))

    done = imgflow("submit", "-m", "Demo", "--once", "--steps", "rotate:90", "--run", "mine", "--watch")

    assert done.code == 0
    assert [run.pipeline.labels for run in engine.submitted] == [["scale", "grayscale"], ["rotate"]]
    assert "Skipped       1 near-duplicate of other images" in done.out


def test_submit_returns_at_once_and_says_how_to_follow(imgflow: Cli, engine: Elsewhere) -> None:
    done = imgflow("submit", "-m", "Demo", "-n", "photos", "--run", "mine")

    assert done.code == 0
    assert done.err.splitlines()[0] == "engine argo in namespace photos, store ./.imgflow"
    assert "imgflow --namespace photos watch mine" in done.err
    assert engine.asked == 0
    assert engine.submitted[0].list.layout == "auto"


@pytest.mark.parametrize("flag", ["--watch", "--wait"])
def test_submit_waits_when_asked(imgflow: Cli, engine: Elsewhere, flag: str) -> None:
    done = imgflow("submit", "-m", "Demo", flag, "-o", "json")

    assert done.code == 0
    assert done.json["counts"]["processed"] == 3
    assert ("list" in done.err) == (flag == "--watch")


@pytest.mark.parametrize(("lost", "code"), [((2, 3), 0), ((1,), 5), (range(2, 10_000), 5)])
def test_a_run_is_followed_over_a_short_loss_of_the_cluster_but_not_where_it_was_never_seen(
    imgflow: Cli, engine: Elsewhere, monkeypatch: pytest.MonkeyPatch, lost: Container[int], code: int
) -> None:
    looks = itertools.count(1)

    def phase(run: str) -> Phase | None:
        if not engine.submitted:
            return None
        look = next(looks)
        if look in lost:
            raise UnavailableError(f"look {look}: the cluster does not answer")
        return Phase.RUNNING if look < 3 else Elsewhere.phase(engine, run)

    monkeypatch.setattr(engine, "phase", phase)
    monkeypatch.setattr(follow, "LOST", 0.5)

    done = imgflow("submit", "-m", "Demo", "--run", "other", "--watch")

    assert done.code == code
    assert ("cannot be seen at the moment" in done.err) == (lost != (1,))
    assert done.err.count("cannot be seen") <= 1


def test_a_run_that_ends_without_a_summary_has_failed_and_is_not_pending_for_ever(
    imgflow: Cli, engine: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "phase", lambda _: Phase.FAILED)

    done = imgflow("submit", "-m", "Demo", "--run", "mine", "--wait", "-o", "json")

    assert done.code == 1
    assert done.json["status"] == "failed"
    assert "imgflow doctor mine" in done.json["message"]
    assert imgflow("get", "mine", "-o", "json").json["exit"] == 1


def test_a_run_that_is_under_way_is_not_started_again(imgflow: Cli, engine: Elsewhere) -> None:
    imgflow("submit", "--municipality", "Demo", "--run", "mine")

    again = imgflow("submit", "--municipality", "Demo", "--run", "mine")

    assert again.code == 0
    assert "run mine is under way already" in again.err
    assert len(engine.submitted) == 1


def test_ctrl_c_ends_only_the_following(imgflow: Cli, engine: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    imgflow("submit", "-m", "Demo", "--run", "mine")
    monkeypatch.setattr(engine, "phase", lambda _: Phase.RUNNING)

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(follow, "time", SimpleNamespace(sleep=interrupt, monotonic=time.monotonic))
    done = imgflow("watch", "mine")

    assert done.code == 130
    assert "continues without this terminal" in done.err
    assert "imgflow stop mine" in done.err
    assert imgflow("get", "mine", "-o", "json").json["status"] == "running"


def test_stop_delete_and_logs_go_to_the_engine(imgflow: Cli, engine: Elsewhere) -> None:
    imgflow("submit", "-m", "Demo", "--run", "mine")

    logs = imgflow("logs", "mine", "--step", "scale", "--failed", "-f")
    imgflow("stop", "mine")
    imgflow("delete", "mine", "--yes")

    assert logs.out.splitlines() == ["mine scale True True", "an image called \\x1b[2Jclear.jpg"]
    assert engine.stopped == engine.deleted == ["mine"]


def test_a_step_that_a_run_lacks_has_no_logs_and_those_it_has_are_named(imgflow: Cli, engine: Elsewhere) -> None:
    imgflow("submit", "-m", "Demo", "--run", "mine", "-q")

    done = imgflow("logs", "mine", "--step", "scael")

    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "Error: run mine has no step 'scael'",
        "it has list, scale, grayscale, infer, fused, collect",
    ]


def test_logs_that_are_empty_are_said_to_be(imgflow: Cli, engine: Elsewhere, monkeypatch: pytest.MonkeyPatch) -> None:
    imgflow("submit", "-m", "Demo", "--run", "mine", "-q")
    monkeypatch.setattr(Elsewhere, "logs", lambda *_, **__: iter(()))

    done = imgflow("logs", "mine", "--failed", "--step", "scale")

    assert (done.code, done.out) == (0, "")
    assert done.err == "Run mine has no logs of containers that failed of step scale.\n"
