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
from tests.servers import Proxy, Server

from imgflow_steps.store import DeniedError
from imgflow_workflows.engines import jobs
from imgflow_workflows.engines.local import LocalEngine
from imgflow_workflows.errors import translate

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


def full(work: Callable[..., Any], refuses: str, number: int) -> Callable[..., Any]:
    """The step, on a disk that has no room left, or no more for this user."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    def begin(*given: Any, **named: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(refuses, refuse)
            return work(*given, **named)

    return begin


@pytest.mark.parametrize("refuses", ["pathlib.Path.replace", "tempfile.mkdtemp"], ids=["store", "temporary"])
@pytest.mark.parametrize("step", ["list", "collect"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_ends_a_run_with_1_and_the_same_run_goes_on(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch, step: str, refuses: str, number: int
) -> None:
    photographs.folder(Path("in"), 2)
    monkeypatch.setattr(jobs, "PAUSE", 0.0)
    work = import_module(f"imgflow_steps.{step}.work")
    command = ("submit", "-m", "Demo", "--source", "in", "--run", "mine", "--steps", "scale:20x20")

    with monkeypatch.context() as patch:
        patch.setattr(work, "run", full(work.run, refuses, number))
        done = imgflow(*command)

    assert (done.code, os.strerror(number) in done.err) == (1, True), done.err
    assert "retry mine" in done.err
    assert imgflow("retry", "mine").code == 0


@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_server_that_is_full_ends_a_run_with_1_and_the_same_run_goes_on(
    imgflow: Cli, moto_server: Server, monkeypatch: pytest.MonkeyPatch, *, from_the_start: bool
) -> None:
    photographs.folder(Path("in"), 2)
    monkeypatch.setattr(jobs, "PAUSE", 0.0)
    proxy = Proxy(moto_server)
    try:
        for name, value in moto_server.behind(proxy).environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("IMGFLOW_STORE", moto_server.new_bucket())
        part = "" if from_the_start else "/results/"
        proxy.rule = lambda method, path: "full" if method == "PUT" and part in path else ""
        done = imgflow("submit", "-m", "Demo", "--source", "in", "--run", "mine", "--steps", "scale:20x20")
        proxy.rule = lambda _method, _path: ""

        told = done.err if from_the_start else imgflow("doctor", "mine").out
        assert (done.code, "free some space on the server" in told) == (1, True), done.err + told
        if not from_the_start:
            assert imgflow("retry", "mine").code == 0
    finally:
        proxy.close()


def test_a_run_that_a_store_refuses_ends_with_5_says_why_and_how_it_goes_on(
    imgflow: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs.folder(Path("in"), 2)

    def refuse(*_: object) -> None:
        raise DeniedError("the bucket says no")

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "submit", refuse)
        done = imgflow("submit", "-m", "Demo", "--source", "in", "--run", "mine", "--steps", "scale:20x20")

    assert (done.code, "the bucket says no" in done.err, "retry mine" in done.err) == (5, True, True), done.err
    assert "the bucket says no" in imgflow("doctor", "mine").out
    assert "failed" in imgflow("get", "mine").out
    assert imgflow("retry", "mine").code == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_foreseen_where_the_system_names_no_file(number: int) -> None:
    known = translate(OSError(number, os.strerror(number)))

    assert known
    assert (known.code, os.strerror(number) in known.message) == (1, True)
