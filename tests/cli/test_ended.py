"""What is asked of a run that has ended is answered so, and not as if it were under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def test_a_run_that_has_ended_is_not_said_to_wait_for_ctrl_c(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--steps", "scale:50%", "--run", "one")

    done = imgflow("stop", "one")

    assert done.code == 2
    assert "run one has ended: succeeded" in done.err
    assert "Ctrl-C" not in done.err
