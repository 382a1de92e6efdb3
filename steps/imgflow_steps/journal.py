"""Which image a computing process is at: what remains of it when the process does not."""

from __future__ import annotations

import mmap
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

NOTE = struct.Struct("dq")  # the monotonic clock when computing began, then the image's number: who reads one
NUMBER = struct.Struct("q")  # while the other is written never takes an image for older than it is
NOBODY = -1


class Journal:
    """A file that says which image a process computes, and since when.

    Waiting for the store is not computing, so a slow store never makes an image a suspect. The file is written
    through memory: a system call would hand the interpreter to a store's thread, twice for every image.
    """

    def __init__(self, path: Path) -> None:
        path.write_bytes(NOTE.pack(0, NOBODY))
        with path.open("r+b") as file:
            self._note = mmap.mmap(file.fileno(), NOTE.size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._note.close()

    @contextmanager
    def computing(self, number: int) -> Iterator[None]:
        """Say that the image is being computed; unsaid only when that ends in order."""
        NOTE.pack_into(self._note, 0, time.monotonic(), number)
        yield
        NUMBER.pack_into(self._note, NOTE.size - NUMBER.size, NOBODY)


def suspect(journal: Path) -> tuple[int, float] | None:
    """The image that a process computes or died over, and for how many seconds; None between two."""
    try:
        since, number = NOTE.unpack(journal.read_bytes())
    except (OSError, struct.error):
        return None
    return None if number == NOBODY else (number, time.monotonic() - since)
