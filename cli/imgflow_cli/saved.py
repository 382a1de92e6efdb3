"""A file that a command saves for a person: asked for before the work, and after it whole or as it was."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from imgflow_steps.store.arriving import replacing
from imgflow_workflows.errors import ImgflowError

FORMS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
PROBE = 1 << 14  # bytes that are written to see whether any can be


def form_of(path: Path) -> str:
    """The format of a picture by its name. Raises ImgflowError."""
    try:
        return FORMS[path.suffix.lower()]
    except KeyError:
        raise ImgflowError(f"{path} is not the name of a picture", f"its suffix may be {', '.join(FORMS)}") from None


def check_savable(path: Path | None, other: str) -> None:
    """Raises ImgflowError where no file can be written at ``path``; ``other`` says what to do. Leaves no trace.

    None is a file that nobody wants.
    """
    if path is None:
        return
    with _in_words(path, other):
        target = _target(path)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if _replaceable(target):
            with tempfile.TemporaryFile(dir=target.parent) as probe:
                probe.write(bytes(PROBE))
                probe.flush()


def save(path: Path, data: bytes, other: str) -> None:
    """Write a file; the one that was there stays until all is written. Raises ImgflowError as ``check_savable``."""
    with _in_words(path, other):
        target = _target(path)
        if not _replaceable(target):
            target.write_bytes(data)
            return
        with replacing(target) as part:
            part.write_bytes(data)


def _target(path: Path) -> Path:
    with suppress(FileNotFoundError):
        path.stat()  # raises for a link to itself, and below a file
    return Path(os.path.realpath(path))


def _replaceable(target: Path) -> bool:
    """Whether a new file can take its place: not that of /dev/stdout, nor where only the file itself is writable."""
    if target.exists():
        return target.is_file() and os.access(target.parent, os.W_OK)
    return True


@contextmanager
def _in_words(path: Path, other: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImgflowError(f"{path} cannot be written: {error.strerror}", other) from error
