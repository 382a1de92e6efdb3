"""What processes hear that compute, and who starts them."""

from __future__ import annotations

import subprocess
import sys

INTERRUPTED = """
import os, signal, threading, time
from imgflow_steps.spawn import deaf

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
