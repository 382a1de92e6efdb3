"""The file that somebody means by a path, however it is written: with backslashes, in other case, composed or not."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path
from stat import S_ISREG

FOLDERS = 32  # whose names are remembered at the same time


class Files:
    """The files below a folder, and beside it where a path leads out of it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = lru_cache(FOLDERS)(_names)

    def find(self, path: str) -> tuple[str, os.stat_result] | None:
        """A file's path as it is called on disk, relative as ``path`` is, and its status; None where there is none.

        It is the very path where that leads to a file, else the only one that is written like it.
        """
        spellings = list(dict.fromkeys(_spellings(path)))
        for found in chain(spellings, filter(None, map(self._alike, spellings))):
            if status := file_status(self._place(found)):
                return found, status
        return None

    def _place(self, path: str) -> str:
        return path if path.startswith("/") else f"{self._folder}/{path}"

    def _alike(self, path: str) -> str:
        """The path as it is on disk, a part after the other; "" where a part is not there or may be several."""
        found = "/" if path.startswith("/") else ""
        for part in filter(None, path.split("/")):
            if part in {".", ".."}:
                found += f"{part}/"
                continue
            name = self._names(self._place(found)).get(folded(part))
            if not name:
                return ""
            found += f"{name}/"
        return found.removesuffix("/")


def file_status(path: str) -> os.stat_result | None:
    """The status of a regular file; None for anything else."""
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path each for millions of files is slow
    except (OSError, ValueError):
        return None
    return status if S_ISREG(status.st_mode) else None


def folded(name: str) -> str:
    """What two names share that a person takes for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def below(path: str) -> str:
    """A photograph's name by the path that a table or list gives: without what leads out of its folder."""
    parts = os.path.normpath(path).split("/")
    while parts and parts[0] in {"", ".", ".."}:
        del parts[0]
    return "/".join(parts)


def _spellings(path: str) -> Iterator[str]:
    for plain in (path, path.strip()):
        for slashed in (plain, plain.replace("\\", "/")):
            yield slashed
            yield unicodedata.normalize("NFC", slashed)
            yield unicodedata.normalize("NFD", slashed)


def _names(folder: str) -> dict[str, str]:
    """Names in a folder by their folded form; "" where several share it."""
    names: dict[str, str] = {}
    try:
        with os.scandir(folder) as found:
            for entry in found:
                plain = folded(entry.name)
                names[plain] = "" if plain in names else entry.name
    except OSError:
        return {}
    return names
