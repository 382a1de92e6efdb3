"""ingest: what is copied, what is left out, and how that is told."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_cli import transfers
from imgflow_steps.records import keys
from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli


@pytest.fixture(autouse=True)
def photos() -> Path:
    path = photographs.folder(Path("photos"), 4)
    (path / "notes.txt").write_text("not a photograph")
    (path / "empty.jpg").write_bytes(b"")
    return path


def test_photographs_are_copied_once_under_their_paths(imgflow: Cli, store: Store) -> None:
    first = imgflow("ingest", "photos", "-m", "Östra Göinge", "-o", "json")
    second = imgflow("ingest", "photos", "-m", "Östra Göinge", "-o", "json")

    assert (first.code, second.code) == (0, 0)
    assert (first.json["copied"], second.json["copied"], second.json["present"]) == (4, 0, 4)
    assert first.json["refused"] == {"not an image": 1, "empty file": 1}
    assert store.stat(keys.images("Östra Göinge") + "a/000.jpg")


def test_what_is_left_out_is_told_with_its_reason(imgflow: Cli) -> None:
    done = imgflow("ingest", "photos", "-m", "Demo")

    assert done.out.startswith("Demo: 4 copied (")
    assert "1 skipped: empty file" in done.out
    assert "empty.jpg: empty file: it has no bytes" in done.err
    assert "notes.txt" not in done.err
    assert "imgflow submit --municipality Demo" in done.err


def test_an_archive_or_a_table_in_a_folder_is_named_with_what_brings_it_in(imgflow: Cli) -> None:
    assert "not opened" not in imgflow("ingest", "photos", "-m", "Demo").err
    Path("photos/Kamera März.ZIP").write_bytes(b"PK")
    Path("photos/Bilder.xlsx").write_bytes(b"PK")

    done = imgflow("ingest", "photos", "-m", "Demo")

    assert done.code == 0
    assert ".xlsx and .zip files in it are not opened; to bring in one of them: imgflow ingest FILE" in done.err


def test_what_was_ingested_is_submitted_by_its_name(imgflow: Cli) -> None:
    imgflow("ingest", "photos", "-m", "{{=1+1}}'; rm -rf / #")

    done = imgflow("submit", "-m", "{{=1+1}}'; rm -rf / #", "--workers", "1", "-o", "json")

    assert done.json["counts"]["processed"] == 4


def test_a_list_comes_from_standard_input_whatever_its_bytes(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(os.fsdecode(b"b\xe5d.jpg")).write_bytes(b"x")
    listed = io.TextIOWrapper(io.BytesIO(b"photos/a/000.jpg\nb\xe5d.jpg\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", listed)

    done = imgflow("ingest", "-", "-m", "Demo", "-o", "json")

    assert (done.json["copied"], done.json["refused"]) == (1, {"impossible name": 1})


def test_a_kind_of_file_that_is_no_source_is_named(imgflow: Cli) -> None:
    assert "photos/notes.txt is not a directory, zip" in imgflow("ingest", "photos/notes.txt", "-m", "Demo").err
    assert "are about a table, and photos is not a table" in imgflow("ingest", "photos", "-m", "Demo", "--id", "x").err


def test_a_directory_that_is_not_there_is_named(imgflow: Cli) -> None:
    done = imgflow("ingest", "nowhere", "-m", "Demo")

    assert done.code == 2
    assert "nowhere is not there" in done.err


def test_where_nothing_was_copied_nothing_is_to_be_submitted(imgflow: Cli) -> None:
    Path("void").mkdir()

    done = imgflow("ingest", "void", "-m", "Demo")

    assert done.code == 0
    assert done.err.endswith("there was no photograph to copy in void\n")


def test_ctrl_c_says_that_the_same_command_goes_on(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(transfers, "ingest", interrupt)

    done = imgflow("ingest", "photos", "-m", "Demo")

    assert done.code == 130
    assert "run the same command again to resume" in done.err


def test_rows_and_columns_of_a_table_are_told_at_the_end(imgflow: Cli) -> None:
    Path("photos/list.csv").write_bytes("file;straße;preis\na/000.jpg;Königstraße;9,99\n".encode("cp1252"))

    told = imgflow("ingest", "photos/list.csv", "-m", "Demo")
    document = imgflow("ingest", "photos/list.csv", "-m", "Demo", "--encoding", "cp1252", "-o", "json")

    assert told.out.endswith("1 row in the catalog, with file (text), straße (text), preis (number)\n")
    assert "as cp1252" in told.err
    assert document.json["catalog"] == {"rows": 1, "columns": {"file": "text", "straße": "text", "preis": "number"}}
    assert "as cp1252" not in document.err


def test_a_workbook_of_another_kind_and_an_encoding_without_a_table_are_answered(imgflow: Cli) -> None:
    Path("photos/list.ods").write_bytes(b"PK\x03\x04")

    assert "save it as .xlsx or as 'CSV UTF-8'" in imgflow("ingest", "photos/list.ods", "-m", "Demo").err
    assert "--encoding are about a table" in imgflow("ingest", "photos", "-m", "Demo", "--encoding", "cp1252").err
