"""What kind of source something is, by its name and content."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_workflows.faults import ImgflowError
from imgflow_workflows.ingest.archive import Tar, Zip, archive_kind
from imgflow_workflows.ingest.files import FileList
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.ingest.table import SUFFIXES, Table
from imgflow_workflows.ingest.web import Web

if TYPE_CHECKING:
    from imgflow_workflows.ingest.copying import Source


def source_of(
    text: str, ids: str = "", paths: str = "", *, hosts: Iterable[str], lenient: bool, say: Callable[[str], None]
) -> Source:
    """A directory, an archive, a table, or for ``-`` the list on standard input.

    ``ids`` and ``paths`` are columns of a table, ``hosts`` those that URLs may name; ``say`` is told what is guessed.
    Raises ImgflowError for what is none of these, and where columns are given and it is no table.
    """
    path = Path(text)
    web = Web(frozenset(map(str.lower, hosts)))
    table = path.suffix.lower() in SUFFIXES and not path.is_dir()
    if (ids or paths) and not table:
        raise ImgflowError(
            f"--id and --path name columns of a table, and {text} is none", "give a .csv or .parquet file"
        )
    if text == "-":
        return FileList(map(os.fsdecode, sys.stdin.buffer), lenient, web)
    if table:
        return Table(path, ids, paths, lenient, say, web)
    match archive_kind(path) if path.is_file() else "":
        case "zip":
            return Zip(path)
        case "tar":
            return Tar(path)
    if path.is_file():
        raise ImgflowError(
            f"{path} is no directory, zip, tar, .csv, .tsv or .parquet", "give one of them, or - for a list"
        )
    return Folder(path)
