"""Tables that people read: on a narrow terminal, and in Excel."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.terminals import in_terminal

from imgflow_cli.output import fitting

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store


@pytest.fixture
def answered(imgflow: Cli, demo: Store) -> Store:
    assert imgflow("submit", "-m", "Demo", "--steps", "scale:50%", "--run", "one").code == 0
    return demo


@pytest.mark.usefixtures("answered")
def test_a_table_has_the_columns_that_have_room_and_names_the_others(imgflow: Cli) -> None:
    shown, code = in_terminal("query", "SELECT * FROM results", COLUMNS="80")
    wide, _ = in_terminal("query", "SELECT * FROM results", "-o", "wide", COLUMNS="80")

    assert code == 0
    lines = shown.splitlines()
    table = [line for line in lines if not line.startswith(("not shown", "engine"))]
    assert table[0].split()[:3] == ["MUNICIPALITY", "IMAGE", "STATUS"]
    assert max(map(len, table)) <= 80
    [note] = [line for line in lines if line.startswith("not shown: ")]
    assert note.endswith("; -o wide shows all columns")
    assert "SHA256" not in table[0]
    assert "SHA256" in wide
    assert "not shown" not in wide
    assert "SHA256" in imgflow("query", "SELECT * FROM results").out  # a pipe has any width


def test_the_first_column_is_always_there_and_long_cells_are_cut() -> None:
    names, rows, hidden = fitting(["A", "B"], [["x" * 100, "y"]], 20)

    assert (names, hidden) == (["A"], ["B"])
    assert rows == [["x" * 39 + "…"]]
    assert fitting([], [], 80) == ([], [], [])


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(("flag", "delimiter"), [(";", ";"), ("tab", "\t")])
def test_excel_opens_the_table_of_a_run_and_an_answer(imgflow: Cli, flag: str, delimiter: str) -> None:
    assert imgflow("fetch", "one", "plain").code == 0
    assert imgflow("fetch", "one", "out", "--delimiter", flag).code == 0
    answer = imgflow("query", "SELECT image, status FROM results ORDER BY 1", "-o", "csv", "--delimiter", flag).out

    plain = list(csv.reader(Path("plain/one.csv").read_text(encoding="utf-8").splitlines()))
    written = Path("out/one.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfimage" + delimiter.encode())
    assert list(csv.reader(written.decode("utf-8-sig").splitlines(), delimiter=delimiter)) == plain
    assert answer.startswith(f"\ufeffimage{delimiter}status\n0.jpg{delimiter}processed\n")
    assert imgflow("query", "SELECT 1 AS one", "-o", "csv").out == "one\n1\n"


def test_a_delimiter_of_what_is_not_a_csv_is_wrong_usage(imgflow: Cli) -> None:
    assert imgflow("query", "SELECT 1", "--delimiter", ";").code == 2
