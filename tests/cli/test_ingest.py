"""ingest: what is copied, what is left out, and how that is told."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_cli import copies
from imgflow_steps import keys
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
    assert "1 left out: empty file" in done.out
    assert "empty.jpg: empty file: it has no bytes" in done.err
    assert "notes.txt" not in done.err
    assert "imgflow submit --municipality Demo" in done.err


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
    assert "photos/notes.txt is no directory, zip" in imgflow("ingest", "photos/notes.txt", "-m", "Demo").err
    assert "--id and --path name columns" in imgflow("ingest", "photos", "-m", "Demo", "--id", "x").err


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

    monkeypatch.setattr(copies, "ingest", interrupt)

    done = imgflow("ingest", "photos", "-m", "Demo")

    assert done.code == 130
    assert "the same command goes on" in done.err
