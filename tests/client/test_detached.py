"""Runs that go on without the notebook that started them, as on a cluster."""

from __future__ import annotations

import pytest
from tests.cli.test_detached import Elsewhere

import imgflow
from imgflow import session
from imgflow_workflows.errors import ExitCode


@pytest.fixture
def engine(flow: imgflow.Flow, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    engine = Elsewhere(flow._session.store)
    monkeypatch.setattr(session, "open_engine", lambda *_: engine)
    return engine


def test_submit_returns_at_once_and_wait_follows(flow: imgflow.Flow, engine: Elsewhere) -> None:
    run = flow.submit("Fashion", steps="scale:5x5", sample=2, run="away")
    assert run.status == "pending"
    with pytest.raises(imgflow.ImgflowError, match="run away is pending and has no results yet") as caught:
        run.images()
    assert "watch away` brings them" in caught.value.hint

    assert run.wait().status == "succeeded"

    assert run.counts.listed == 2


def test_an_interrupt_ends_only_the_waiting(
    flow: imgflow.Flow, engine: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = flow.submit("Fashion", steps="scale:4x4", sample=2, run="followed")

    def interrupt(_run: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "phase", interrupt)
    with pytest.raises(imgflow.ImgflowError, match="run followed continues") as caught:
        run.wait()

    assert caught.value.code is ExitCode.INTERRUPTED
    assert run.status == "pending"
    run.stop()
    assert engine.stopped == ["followed"]
