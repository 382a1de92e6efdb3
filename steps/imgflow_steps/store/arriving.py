"""A local file that appears whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from imgflow_steps.store import UnavailableError


@contextmanager
def arriving(path: Path) -> Iterator[Path]:
    """A new path to write to, which takes the place of ``path`` at the end, or is gone after an error.

    It lies beside ``path`` and is never named after it: names may have all of their 255 bytes. A killed
    process leaves it behind, and ``path`` as it was. Raises UnavailableError when it cannot be written.
    """
    part = path.parent / f".{uuid4().hex}.part"
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"cannot write {path}: {error.strerror}; free some space there, or give this user the right to write"
        ) from error
    finally:
        part.unlink(missing_ok=True)
