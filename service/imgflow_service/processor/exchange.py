"""How a picture gets into a computing process and back: through memory that both have, no pipe, no disk."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from imgflow_steps.worker.journal import Journal, opening, suspect

KEPT = 64 << 20  # bytes that stay with a slot from one picture to the next: fresh pages cost time


class Slot:
    """What one computing process is handed at a time: a picture, room for results, the journal of who computes what."""

    def __init__(self) -> None:
        self._image, self.image = _shared("image")
        self._results, self.results = _shared("results")
        self._journal, self.journal = _shared("journal")

    @property
    def shared(self) -> tuple[int, ...]:
        """Descriptors that a computing process is given, by the same numbers."""
        return (self._image, self._results, self._journal) if sys.platform == "linux" else ()

    def put(self, image: bytes | memoryview) -> None:
        """Lay a picture into it."""
        _shrink(self._image)
        _shrink(self._results)
        at = 0
        while at < len(image):
            at += os.pwrite(self._image, memoryview(image)[at:], at)

    def begin(self) -> None:
        """Nothing is computed yet: a process that died has left in the journal what it was at."""
        with Journal(self.journal):
            pass

    @property
    def seconds(self) -> float:
        """For how long its picture has been computed, or a step for it been opened; 0 while a process starts."""
        at = suspect(self.journal)
        return at[1] if at else opening(self.journal)

    def take(self, sizes: Sequence[int]) -> list[bytes]:
        """The results, one after another."""
        taken, at = [], 0
        for size in sizes:
            taken.append(_read(self._results, at, size))
            at += size
        return taken

    def close(self) -> None:
        """Give the memory back."""
        for number, path in ((self._image, self.image), (self._results, self.results), (self._journal, self.journal)):
            os.close(number)
            if not path.is_relative_to("/proc"):
                path.unlink()


def _shared(name: str) -> tuple[int, Path]:
    """A file that lives in memory where Linux is, and its name for every process that has the descriptor."""
    if sys.platform == "linux":
        number = os.memfd_create(f"imgflow-{name}")
        return number, Path(f"/proc/self/fd/{number}")
    number, path = tempfile.mkstemp(prefix=f"imgflow-{name}-")
    return number, Path(path)


def _shrink(number: int) -> None:
    if os.fstat(number).st_size > KEPT:
        os.ftruncate(number, 0)


def _read(number: int, at: int, size: int) -> bytes:
    parts = []
    while size and (part := os.pread(number, size, at)):
        parts.append(part)
        at, size = at + len(part), size - len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
