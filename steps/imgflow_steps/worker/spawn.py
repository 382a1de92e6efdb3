"""Processes that know nothing of the program that starts them, nor of Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import current_process, parent_process, resource_tracker, util
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType, ModuleType
from typing import Any

from imgflow_steps.store import leftovers

_LOCK = threading.Lock()
# Who starts a process may give up meanwhile, and with it what it was to be told; that is nothing to tell people.
_QUIET = (
    "import sys; sys.excepthook = lambda kind, *more: "
    "issubclass(kind, (FileNotFoundError, EOFError, ConnectionError)) or sys.__excepthook__(kind, *more)\n"
)


class _Process(SpawnProcess):
    """Python's own would run the caller's script again, up to the line that started it where nothing guards that."""

    environment: Mapping[str, str]
    keep: Sequence[int]

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's own name
        with _without_main(), _beginning_with(process_obj.environment, process_obj.keep):
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001 - what start() calls


class Spawn(SpawnContext):
    """Starts Python anew for each process, which imports what it is sent to do and nothing else.

    A process begins with this environment, not with that of whoever starts it, and with these descriptors beside its
    own pipes: no other of them, also none that a library has left open to programs that are started.
    """

    def __init__(self, environment: Mapping[str, str], keep: Sequence[int] = ()) -> None:
        super().__init__()
        self._environment, self._keep = dict(environment), tuple(keep)

    def Process(self, *args: Any, **kwargs: Any) -> _Process:  # type: ignore[override]  # noqa: N802 - multiprocessing's
        """A process to start."""
        process = _Process(*args, **kwargs)
        process.environment, process.keep = self._environment, self._keep
        return process

    def RLock(self) -> Any:  # noqa: N802 - multiprocessing's
        """A lock whose file in /dev/shm says whose it is, for it outlives processes that are all killed at once."""
        if sys.platform != "linux":  # elsewhere it is no file, and its name may not be so long
            return super().RLock()
        settings = current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001 - what a name is made of
        before = settings["semprefix"]
        settings["semprefix"] = f"/{leftovers.FOLDER}{leftovers.mark()}"
        try:
            return super().RLock()
        finally:
            settings["semprefix"] = before


def end_with_parent() -> None:
    """Called by a process that was started so: it dies at once when its parent does, however that dies.

    The parent holds the other end of a pipe, which the system closes. Linux then sends a signal, so that a library
    that never lets Python have its turn ends as well; elsewhere a thread waits. (Linux's "parent death signal" comes
    when the thread ends that started a process, which here may be one of many.)
    """
    parent = parent_process()
    if parent is None:
        return
    pipe = parent.sentinel
    if sys.platform == "linux":
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # ends the process
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_follow, args=[pipe], name="parent", daemon=True).start()


def _follow(pipe: int) -> None:
    wait([pipe])
    os.kill(os.getpid(), signal.SIGKILL)


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
def _beginning_with(environment: Mapping[str, str], keep: Sequence[int]) -> Iterator[None]:
    """What this thread starts meanwhile gets this environment: multiprocessing itself knows only the caller's."""
    own, here = util.spawnv_passfds, threading.get_ident()

    def start(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
        if threading.get_ident() != here:
            return own(path, args, passfds)
        passed = sorted({*passfds, *keep})
        *flags, code, fork = args  # … -c CODE --multiprocessing-fork
        started = subprocess.Popen(  # noqa: S603 - Python itself
            [*flags, _QUIET + code, fork],
            executable=path,
            env=dict(environment),
            pass_fds=passed,
            restore_signals=False,
        )
        started.returncode = 0  # multiprocessing waits for it, by its number
        return started.pid

    util.spawnv_passfds = start
    try:
        yield
    finally:
        util.spawnv_passfds = own


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
