"""Tests of one group run in one process, one after another, with the pytest and pytest-xdist that are installed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """
import os, pathlib, pytest

@pytest.mark.xdist_group("one")
@pytest.mark.parametrize("number", range(8))
def test_it(number):
    pathlib.Path(f"{number}.ran").write_text(str(os.getpid()))
"""


def test_tests_of_a_group_run_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "test_group.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadgroup"]

    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    ran = [path.read_text() for path in tmp_path.glob("*.ran")]
    assert len(ran) == 8
    assert len(set(ran)) == 1
