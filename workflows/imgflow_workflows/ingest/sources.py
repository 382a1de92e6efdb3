"""What kind of source something is, by its name and content."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from imgflow_steps.records.admission import ADMISSION, Admission
from imgflow_steps.store.web import Web
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.ingest.archive import Tar, Zip, archive_kind
from imgflow_workflows.ingest.files import FileList, lines_of
from imgflow_workflows.ingest.folder import Folder
from imgflow_workflows.ingest.table import SUFFIXES, Table

if TYPE_CHECKING:
    from imgflow_workflows.transfer.copying import Source

FILES = SUFFIXES | {".zip", ".tar", ".tgz"}  # sources of their own, which are not opened where a folder holds them
WORKBOOKS = frozenset({".xls", ".xlsb", ".ods", ".numbers"})


def source_of(
    text: str,
    ids: str = "",
    paths: str = "",
    *,
    hosts: Iterable[str],
    lenient: bool,
    say: Callable[[str], None],
    encoding: str = "",
    sheet: str = "",
    rules: Admission = ADMISSION,
    follow: bool = False,
    checksum: bool = False,
) -> Source:
    """A directory, an archive, a table, or for ``-`` the list on standard input.

    ``ids`` and ``paths`` are columns of a table, ``encoding`` is how it is written and ``sheet`` that of a workbook;
    ``hosts`` are those that URLs may name, and ``say`` gets notes on what is guessed. ``rules`` decide what is copied,
    ``follow``: also what links lead to that leave the directory, ``checksum`` that content is compared.
    Raises ImgflowError for what is none of these, and where columns are given and it is no table.
    """
    path = Path(text)
    web = Web(frozenset(map(str.lower, hosts)))
    table = path.suffix.lower() in SUFFIXES and not path.is_dir()
    if (ids or paths or encoding or sheet) and not table:
        raise ImgflowError(
            f"--id, --path, --sheet and --encoding are about a table, and {text} is not a table",
            "give a .csv, .xlsx or .parquet file",
        )
    if path.suffix.lower() in WORKBOOKS and path.is_file():
        raise ImgflowError(
            f"{path} is a workbook of a kind that is not read", "save it as .xlsx or as 'CSV UTF-8' and ingest that"
        )
    if text == "-":
        return FileList(lines_of(sys.stdin.buffer), lenient, web, rules)
    if table:
        return Table(path, ids, paths, lenient, say, web, encoding, sheet, rules)
    match archive_kind(path) if path.is_file() else "":
        case "zip":
            return Zip(path, rules)
        case "tar":
            return Tar(path, rules, checksum)
    if path.is_file():
        raise ImgflowError(
            f"{path} is not a directory, zip, tar, .csv, .tsv, .xlsx or .parquet", "give one of them, or - for a list"
        )
    return Folder(path, rules, follow)
