"""A disk that is full where a run lists or collects is this machine's fault, not a store that cannot be reached."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests import photographs

from imgflow_workflows.engines import jobs

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def full(work: Callable[..., Any], refuses: str) -> Callable[..., Any]:
    """The step, on a disk that has no room left."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def begin(*given: Any, **named: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refuses, refuse)
            return work(*given, **named)

    return begin


@pytest.mark.parametrize("refuses", ["pathlib.Path.replace", "tempfile.mkdtemp"], ids=["store", "temporary"])
@pytest.mark.parametrize("step", ["list", "collect"])
def test_a_full_disk_ends_a_run_with_1_and_the_same_run_goes_on(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch, step: str, refuses: str
) -> None:
    photographs.folder(Path("in"), 2)
    monkeypatch.setattr(jobs, "PAUSE", 0.0)
    work = import_module(f"imgflow_steps.{step}.work")
    command = ("submit", "-m", "Demo", "--source", "in", "--run", "mine", "--steps", "scale:20x20")

    with monkeypatch.context() as patch:
        patch.setattr(work, "run", full(work.run, refuses))
        done = imgflow(*command)

    assert (done.code, "No space left on device" in done.err) == (1, True), done.err
    assert "retry mine" in done.err
    assert imgflow("retry", "mine").code == 0
