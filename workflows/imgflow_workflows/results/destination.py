"""Whether pictures could be put into a folder, asked before anything is computed for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from imgflow_steps.store.arriving import FULL
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.text import size

if TYPE_CHECKING:
    from pathlib import Path

PROBE = 1 << 20  # bytes that are written to see whether any can be


def check_destination(folder: Path, argument: str = "OUT_DIR") -> None:
    """Raises ImgflowError where a folder cannot be made, or nothing can be written to it. Leaves no trace.

    ``argument`` is what the folder is called where it was given.
    """
    other = f"give another {argument}"
    # not Path.exists, which raises for what lies below a folder that is locked
    there = next((path for path in (folder, *folder.absolute().parents) if os.path.lexists(path)), folder)
    if not os.path.isdir(there):  # noqa: PTH112 - likewise
        kind = "a file" if os.path.exists(there) else "a link that leads nowhere"  # noqa: PTH110 - likewise
        raise ImgflowError(f"{folder} cannot be a folder for pictures: {there} is {kind}", other)
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
    except OSError as error:
        if error.errno in FULL:
            raise ImgflowError(
                f"{folder} cannot take pictures: {there} is full or over a limit: {error.strerror}, "
                f"{size(shutil.disk_usage(there).free)} are free",
                f"free some space, raise the quota or `ulimit -f`, or {other}",
            ) from error
        raise ImgflowError(
            f"{folder} cannot take pictures: nothing can be written to {there}: {error.strerror}",
            f"give this user the right to write there, or {other}",
        ) from error
