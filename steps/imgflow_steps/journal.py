"""Which image a computing process is at: what remains of it when the process does not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self


class Journal:
    """A file that says which image a process computes, and since when; empty between two images.

    Waiting for the store is not computing, so a slow store never makes an image a suspect.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def computing(self, number: int) -> Iterator[None]:
        """Say that the image is being computed; unsaid only when that ends in order."""
        os.pwrite(self._file.fileno(), f"{number} {time.monotonic()}\n".ljust(48).encode(), 0)
        yield
        os.pwrite(self._file.fileno(), b" " * 48, 0)


def suspect(journal: Path) -> tuple[int, float] | None:
    """The image that a process computes or died over, and for how many seconds; None between two."""
    try:
        number, since = journal.read_text().split()
    except (OSError, ValueError):
        return None
    return int(number), time.monotonic() - float(since)
