"""Which image a computing process is at: what remains of it when the process does not."""

from __future__ import annotations

import mmap
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

NOTE = struct.Struct("dq")  # the monotonic clock when computing began, then the image's number
NOBODY, OPENING = -1, -2  # in place of a number


class Journal:
    """A file that says which image a process computes, and since when.

    Waiting for the store is not computing, so a slow store never makes an image a suspect. The file is written
    through memory: a system call would hand the interpreter to a store's thread, twice for every image.

    Each of the two values is written at once, the clock before the number, and read at once, the number before the
    clock, so an image is never taken for another one or for older than it is. ``struct.pack_into`` would not do: it
    fills the place with zeros first. Nor would reading the file: some processors copy it byte by byte meanwhile.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(NOTE.pack(0, NOBODY))
        with path.open("r+b") as file:
            self._note = mmap.mmap(file.fileno(), NOTE.size)
        self._clock, self._number = memoryview(self._note)[:8].cast("d"), memoryview(self._note)[8:].cast("q")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clock.release()
        self._number.release()
        self._note.close()

    @contextmanager
    def computing(self, number: int, seconds: float) -> Iterator[None]:
        """Say that the image is being computed; unsaid only when that ends in order.

        After ``seconds`` of processor time, of all its threads together, the system ends the process by SIGPROF. Unlike
        the clock on the wall, that measures the image and not what else the machine has to do.
        """
        self._clock[0] = time.monotonic()
        self._number[0] = number
        signal.setitimer(signal.ITIMER_PROF, seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self._number[0] = NOBODY

    @contextmanager
    def opening(self, seconds: float) -> Iterator[None]:
        """Say that a step is being opened, such as a model, for which no image answers; else as ``computing``."""
        with self.computing(OPENING, seconds):
            yield


def suspect(journal: Path) -> tuple[int, float] | None:
    """The image that a process computes or died over, and for how many seconds; None between two."""
    number, seconds = _read(journal)
    return (number, seconds) if number >= 0 else None


def opening(journal: Path) -> float:
    """For how many seconds a process has been opening a step, or had when it died; 0 while it does not."""
    number, seconds = _read(journal)
    return seconds if number == OPENING else 0.0


def _read(journal: Path) -> tuple[int, float]:
    try:
        with (
            journal.open("rb") as file,
            mmap.mmap(file.fileno(), NOTE.size, access=mmap.ACCESS_READ) as note,
            memoryview(note)[8:].cast("q") as number,
            memoryview(note)[:8].cast("d") as clock,
        ):
            return number[0], time.monotonic() - clock[0]
    except (OSError, ValueError):  # it is not there, or empty
        return NOBODY, 0.0
