"""What a killed process leaves is removed by the next one, and nothing of a process that lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgflow_steps.store import leftovers
from imgflow_steps.worker import reach

WRITES = """
import os, signal, sys
from pathlib import Path
from imgflow_steps.store import leftovers, open_store
from imgflow_steps.store.arriving import arriving
store = open_store(sys.argv[1])
store.write("known", b"1")
with leftovers.temporary() as folder, arriving(Path(sys.argv[2])) as part, store._placing("cut") as unfinished:
    (folder / "file").write_bytes(b"2")
    part.write_bytes(b"3")
    unfinished.write_bytes(b"4")
    print("ready", flush=True)
    signal.pause()
"""


def every(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def use(tmp_path: Path) -> None:
    """Touch the same places as ``WRITES``, in a process of its own."""
    script = """
import sys
from pathlib import Path
from imgflow_steps.store import leftovers, open_store
store = open_store(sys.argv[1])
store.write("new", b"5")
store.download("new", Path(sys.argv[2]).with_name("other"))
with leftovers.temporary():
    pass
"""
    subprocess.run([sys.executable, "-c", script, *places(tmp_path)], env=environment(tmp_path), check=True)


def places(tmp_path: Path) -> list[str]:
    return [str(tmp_path / "store"), str(tmp_path / "out" / "file")]


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp_path / "temporary")}


@pytest.fixture
def writing(tmp_path: Path) -> subprocess.Popen[str]:
    """A process that has begun to write in three places."""
    for name in ("out", "temporary"):
        (tmp_path / name).mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES, *places(tmp_path)],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def test_what_a_killed_process_had_begun_to_write_goes_when_the_next_one_writes_there(
    tmp_path: Path, writing: subprocess.Popen[str]
) -> None:
    begun = every(tmp_path)
    writing.kill()
    writing.communicate()

    use(tmp_path)

    assert len(begun) == 4
    assert every(tmp_path) == {"store/known", "store/new", "out/other"}


def test_what_a_process_that_lives_has_begun_to_write_stays(tmp_path: Path, writing: subprocess.Popen[str]) -> None:
    begun = every(tmp_path)

    use(tmp_path)
    there = every(tmp_path)
    writing.kill()
    writing.communicate()

    assert begun <= there


def test_a_container_marks_its_files_as_whoever_starts_it_says(tmp_path: Path) -> None:
    """Its own name for itself is known to nobody outside, who could not tell what it left once it is gone."""
    named = leftovers.machine_of("container")
    script = "from imgflow_steps.store import leftovers; print(leftovers.mark())"
    told = {**os.environ, leftovers.MACHINE: named}
    for given in (told, reach.environment(told)):  # also what decodes photographs there, with little of it
        done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True)
        assert done.stdout.startswith(f"{named}-")
    (tmp_path / f"{named}-7-1234-abcd").touch()
    (tmp_path / f"{leftovers.machine_of('other')}-7-1234-abcd").touch()

    leftovers.sweep(tmp_path, ended=named)

    assert [path.name for path in tmp_path.iterdir()] == [f"{leftovers.machine_of('other')}-7-1234-abcd"]


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ((), False),
        ((1, "999999999"), True),  # no such process
        ((2, "1"), True),  # the number is somebody else's now
        ((0, "00000000"), False),  # of another machine: nobody here can tell
    ],
)
def test_a_mark_is_dead_when_its_process_on_this_machine_is(change: tuple[int, str] | tuple[()], gone: bool) -> None:
    parts = leftovers.mark().split("-")
    if change:
        parts[change[0]] = change[1]

    assert leftovers.dead(f"{'-'.join(parts)}-rest") is gone


def test_what_carries_no_mark_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "imgflow-report.html").write_text("somebody's own")

    leftovers.sweep(tmp_path, leftovers.FOLDER)

    assert every(tmp_path) == {"imgflow-report.html"}
