"""Whether pictures could be put into a folder, asked before anything is computed for it."""

from __future__ import annotations

import errno
import shutil
import tempfile
from typing import TYPE_CHECKING

from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.text import size

if TYPE_CHECKING:
    from pathlib import Path

PROBE = 1 << 20  # bytes that are written to see whether any can be
FULL = {errno.ENOSPC, errno.EDQUOT}


def check_destination(folder: Path) -> None:
    """Raises ImgflowError where a folder cannot be made, or nothing can be written to it. Leaves no trace."""
    there = next((path for path in (folder, *folder.absolute().parents) if path.exists() or path.is_symlink()), folder)
    if not there.is_dir():
        kind = "a link that leads nowhere" if there.is_symlink() and not there.exists() else "a file"
        raise ImgflowError(f"{folder} cannot be a folder for pictures: {there} is {kind}", "give another OUT_DIR")
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(PROBE))
            probe.flush()
    except OSError as error:
        if error.errno in FULL:
            raise ImgflowError(
                f"{folder} cannot take pictures: {there} is full, {size(shutil.disk_usage(there).free)} are free",
                "free some space, or give another OUT_DIR",
            ) from error
        raise ImgflowError(
            f"{folder} cannot take pictures: nothing can be written to {there}: {error.strerror}",
            "give this user the right to write there, or give another OUT_DIR",
        ) from error
