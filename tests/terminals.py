"""Commands on a terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys

IMGFLOW = [sys.executable, "-m", "imgflow_cli"]


def in_terminal(*arguments: str, **environment: str) -> tuple[str, int]:
    """Everything a command shows on a terminal, and its exit code."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment}
    process = subprocess.Popen([*IMGFLOW, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            data = os.read(ours, 1 << 16)
        except OSError:  # Linux's way of saying that the other side is closed
            break
        if not data:
            break
        shown += data
    os.close(ours)
    return shown.decode(), process.wait(timeout=30)
