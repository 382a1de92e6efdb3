"""What a container says of its shard, also where the store takes nothing more of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.made_runs import MadeRun, make_run

from imgflow_steps.records.progress import read_progress
from imgflow_steps.records.row import Status
from imgflow_steps.store import KeyRefusedError
from imgflow_steps.worker.batch import Batch
from imgflow_steps.worker.checkpoint import Checkpoint
from imgflow_steps.worker.quarantine import Suspects


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    return make_run(tmp_path / "store")


def shard(made: MadeRun, folder: Path) -> Checkpoint:
    whole = Batch(made.run, made.store.url, 0, 1, 3, (), input=None, output=None, journal=folder / "journal")
    return Checkpoint(made.store, whole, 1, 1, lambda _: None, Suspects((), ()))


def test_that_the_store_refuses_rows_is_told_as_the_cause_for_which_a_shard_was_given_up(
    made: MadeRun, tmp_path: Path
) -> None:
    made.store.write(made.run.rows.removesuffix("/"), b"a file where the folder of rows would be")

    with pytest.raises(KeyRefusedError), shard(made, tmp_path) as meter:
        meter.count([made.row("a.jpg", Status.REJECTED)], keep=True)

    told = read_progress(made.store, made.run.id, 3, 0)
    assert told
    assert "KeyRefusedError: " in told.error
