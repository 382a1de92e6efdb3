"""Processes as Linux shows them below /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    listed = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # threads come and go
            listed += file.read_text().split()
    own = sorted(map(int, listed))
    return own + [p for child in own for p in children(child)]


def command_line(pid: int) -> str:
    """What a process runs; "" when it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""
