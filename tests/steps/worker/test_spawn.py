"""What processes hear that compute, and who starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

INTERRUPTED = """
import os, signal, threading, time
from imgflow_steps.worker.spawn import deaf

threading.Thread(target=time.sleep, args=[10], daemon=True).start()  # hears what is sent, also if this thread is deaf
try:
    with deaf():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        print("started")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_waits_until_processes_have_been_told_what_they_are_for() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["started", "interrupted"]


ORPHANED = """
import ctypes, os, sys, time
from imgflow_steps.worker.spawn import Spawn, end_with_parent

def compute(how):
    end_with_parent()
    print(os.getpid(), flush=True)
    if how == "python":
        time.sleep(60)
    ctypes.PyDLL(None).sleep(60)  # with the interpreter in its hand, as a library may

if __name__ == "__main__":
    import orphaned
    Spawn(os.environ).Process(target=orphaned.compute, args=[sys.argv[1]]).start()
    time.sleep(60)
"""


def ended(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"  # of an init that waits for nobody


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes below /proc")
@pytest.mark.parametrize("how", ["python", "native"])
def test_a_process_ends_with_the_one_that_started_it_whatever_it_computes(tmp_path: Path, how: str) -> None:
    (tmp_path / "orphaned.py").write_text(ORPHANED)
    env = {**os.environ, "PYTHONPATH": "."}
    argv = [sys.executable, "orphaned.py", how]
    with subprocess.Popen(argv, cwd=tmp_path, env=env, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert not ended(child)
        parent.kill()

    until = time.monotonic() + 20
    while not ended(child):
        assert time.monotonic() < until, "it computes on"
        time.sleep(0.02)


BEGUN = """
import os, sys
from imgflow_steps.worker.spawn import Spawn

class Told:
    def __reduce__(self):
        return (open, ("/there/is/no/such/file",)) if sys.argv[1] == "gone" else (int, ("no number",))

process = Spawn(os.environ).Process(target=print, args=[Told()])
process.start()
process.join()
print(process.exitcode)
"""


@pytest.mark.parametrize(("what", "shown"), [("gone", False), ("damaged", True)])
def test_a_process_whose_starter_has_given_up_says_nothing_and_any_other_fault_is_shown(what: str, shown: bool) -> None:
    done = subprocess.run([sys.executable, "-c", BEGUN, what], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["1"]
    assert ("Traceback" in done.stderr) == shown


LOCKED = """
import os, signal
from multiprocessing import resource_tracker
from imgflow_steps.worker.spawn import Spawn

lock = Spawn({}).RLock()
print(lock._semlock.name, flush=True)
os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there locks are files")
def test_a_lock_of_processes_that_were_all_killed_goes_with_the_next_temporary_folder() -> None:
    killed = subprocess.run([sys.executable, "-c", LOCKED], capture_output=True, text=True, check=False)
    lock = Path("/dev/shm", f"sem.{killed.stdout.strip().removeprefix('/')}")
    assert lock.exists()

    following = "from imgflow_steps.store.leftovers import Temporary; Temporary().cleanup()"
    subprocess.run([sys.executable, "-c", following], check=True)

    try:
        assert not lock.exists()
    finally:
        lock.unlink(missing_ok=True)
