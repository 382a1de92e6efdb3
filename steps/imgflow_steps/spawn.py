"""Processes that know nothing of the program that starts them, nor of Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType, ModuleType
from typing import Any

_LOCK = threading.Lock()


class _Process(SpawnProcess):
    """Python's own would run the caller's script again, up to the line that started it where nothing guards that."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's own name
        with _without_main():
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001 - what start() calls


class Spawn(SpawnContext):
    """Starts Python anew for each process, which imports what it is sent to do and nothing else."""

    Process = _Process


@contextmanager
def _without_main() -> Iterator[None]:
    """What multiprocessing tells a new process of the main module is nothing."""
    with _LOCK:
        main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextmanager
def deaf() -> Iterator[None]:
    """Threads and processes that start inside never hear of Ctrl-C, not even before their first own line.

    Who starts them hears of it at the end.
    """
    resource_tracker.ensure_running()  # Python starts it before the first process, and lifts the block as it does
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _interrupted_later():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _interrupted_later() -> Iterator[None]:
    """Not in the middle, when a process waits to be told what it is for: another thread may hear of Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard: list[tuple[int, FrameType | None]] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: heard.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler or signal.SIG_DFL)
    if heard and callable(handler):
        handler(*heard[0])
