"""What is given as "" is a variable of the shell that was not set, never a wish for the default."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.mark.parametrize(
    ("command", "what"),
    [
        (("submit", "-m", "Demo", "--source", ""), "--source"),
        (("submit", "-m", "Demo", "--source="), "--source"),
        (("submit", "-m", "Demo", "--where", ""), "--where"),
        (("submit", "-m", "Demo", "--steps="), "--steps"),
        (("submit", "-m", "Demo", "--run", ""), "--run"),
        (("plan", "-m", ""), "-m"),
        (("process", "", "out"), "an argument"),
        (("ingest", "", "-m", "Other"), "an argument"),
        (("fetch", "@latest", ""), "an argument"),
        (("--store", "", "ls"), "--store"),
    ],
)
def test_a_flag_or_an_argument_that_is_empty_is_refused(imgflow: Cli, command: tuple[str, ...], what: str) -> None:
    photographs.folder(Path("in"), 1)
    assert imgflow("ingest", "in", "-m", "Demo").code == 0
    before = sorted(Path().rglob("*"))

    done = imgflow(*command)

    assert done.code == 2
    assert f"{what} is given, but empty" in done.err
    assert sorted(Path().rglob("*")) == before


def test_what_may_be_empty_and_what_only_looks_so_are_taken(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 1)
    assert imgflow("ingest", "in", "-m", "Demo").code == 0

    assert imgflow("ls", "--kube-context", "").code == 0
    assert imgflow("query", "select '' as x --=").code == 0
