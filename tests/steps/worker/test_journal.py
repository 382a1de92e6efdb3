"""What a computing process says of the image that it is at, read by another process at any moment."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from imgflow_steps.worker.journal import NOBODY, Journal, opening, suspect

WRITER = """
import sys
from pathlib import Path
from imgflow_steps.worker.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    with journal.computing(7, 60):
        pass
"""
READS = 100_000
OLD = 30.0  # seconds: no image is computed for so long here


def test_no_moment_shows_another_image_or_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout
            assert writer.stdout.readline()
            seen = [suspect(path) for _ in range(READS)]
        finally:
            writer.kill()

    assert {found[0] for found in seen if found} == {7}
    assert max(found[1] for found in seen if found) < OLD
    assert None in seen


def test_a_journal_says_which_image_is_computed_and_since_when_and_nothing_between_two(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal(path) as journal:
        before = suspect(path)
        with journal.computing(3, 60):
            time.sleep(0.01)
            during = suspect(path)
        after = suspect(path)
        with journal.opening(60):
            opens = opening(path)

    assert during
    assert during[0] == 3
    assert 0.01 <= during[1] < OLD
    assert opens > 0
    assert before is after is None
    assert NOBODY < 0
