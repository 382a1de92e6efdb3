"""Processes that know nothing of the program that starts them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
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
