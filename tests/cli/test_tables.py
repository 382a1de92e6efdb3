"""Tables that people read: on a narrow terminal, and in Excel."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.terminals import in_terminal

from imgflow_cli.columns import folded
from imgflow_cli.commands.runs import COLUMNS, WIDE
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
    starts = next(i for i, line in enumerate(lines) if line.startswith("MUNICIPALITY"))
    table, notes = lines[starts:], " ".join(lines[:starts])
    assert table[0].split()[:3] == ["MUNICIPALITY", "IMAGE", "STATUS"]
    assert max(map(len, table)) <= 80
    assert "note: not shown: " in notes
    assert notes.endswith("; -o wide shows all columns")
    assert "SHA256" not in table[0]
    assert "SHA256" in wide
    assert "not shown" not in wide
    assert "SHA256" in imgflow("query", "SELECT * FROM results").out  # a pipe has any width


def test_the_first_column_is_always_there_and_long_cells_are_cut() -> None:
    names, rows, hidden = fitting(["A", "B"], [["x" * 100, "y"]], 20)

    assert (names, hidden) == (["A"], ["B"])
    assert rows == [["x" * 39 + "…"]]
    assert fitting([], [], 80) == ([], [], [])


def test_words_of_the_last_column_continue_below_it_where_a_terminal_has_no_room() -> None:
    rows = [["CHECK", "SEEN"], ["space", "many bytes are free in /a/long/path/that/is/copied"], ["store", "ok"]]

    assert list(folded(rows, 34)) == [
        "CHECK  SEEN",
        "space  many bytes are free in",
        "       /a/long/path/that/is/copied",
        "store  ok",
    ]
    assert list(folded(rows, 80))[1] == "space  many bytes are free in /a/long/path/that/is/copied"


def test_columns_without_room_stand_below_the_first_ones() -> None:
    rows = [
        ["NAME", "STATUS", "ENGINE", "WHY"],
        ["a-long-name", "ok", "local", "it is so"],
        ["b", "failed", "argo", ""],
    ]

    assert list(folded(rows, 20)) == [
        "NAME         STATUS",
        "  ENGINE  WHY",
        "a-long-name  ok",
        "  local   it is so",
        "b            failed",
        "  argo",
    ]


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize("command", [("doctor",), ("tune", "one"), ("steps",), ("prune", "-o", "wide")])
def test_tables_of_sentences_are_no_wider_than_a_terminal(command: tuple[str, ...]) -> None:
    shown, _ = in_terminal(*command, COLUMNS="80")

    assert max(len(line) for line in shown.splitlines() if str(Path.cwd()) not in line) <= 80


@pytest.mark.usefixtures("answered")
@pytest.mark.parametrize(("flag", "delimiter"), [(";", ";"), ("tab", "\t")])
def test_excel_opens_the_table_of_a_run_and_an_answer(imgflow: Cli, flag: str, delimiter: str) -> None:
    assert imgflow("fetch", "one", "plain").code == 0
    assert imgflow("fetch", "one", "out", "--delimiter", flag).code == 0
    answer = imgflow("query", "SELECT image, status FROM results ORDER BY 1", "-o", "csv", "--delimiter", flag).out

    plain = list(csv.reader(Path("plain/one.csv").read_text(encoding="utf-8").splitlines()))
    written = Path("out/one.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfimage" + delimiter.encode())
    cells = list(csv.reader(written.decode("utf-8-sig").splitlines(), delimiter=delimiter))
    assert [row[0] for row in cells] == [row[0] for row in plain]
    assert {len(row) for row in cells} == {len(plain[0])}
    assert answer.startswith(f"\ufeffimage{delimiter}status\n0.jpg{delimiter}processed\n")
    assert imgflow("query", "SELECT 1 AS one", "-o", "csv").out == "one\n1\n"


def test_a_delimiter_of_what_is_not_a_csv_is_wrong_usage(imgflow: Cli) -> None:
    assert imgflow("query", "SELECT 1", "--delimiter", ";").code == 2


@pytest.mark.usefixtures("answered")
def test_where_columns_end_at_semicolons_excel_reads_decimals_with_a_comma(imgflow: Cli) -> None:
    asked = "SELECT 48.0140083 AS degrees, -0.5::DOUBLE AS less, 7 AS whole, DATE '2026-05-01' AS day"
    assert imgflow("query", asked, "-o", "csv", "--delimiter", ";").out.split()[1] == "48,0140083;-0,5;7;2026-05-01"
    assert imgflow("query", asked, "-o", "csv", "--delimiter", "tab").out.split()[-3:] == ["-0.5", "7", "2026-05-01"]
    assert imgflow("query", asked, "-o", "csv").out.split()[1] == "48.0140083,-0.5,7,2026-05-01"

    assert imgflow("fetch", "one", "plain").code == 0
    assert imgflow("fetch", "one", "out", "--delimiter", ";").code == 0
    [plain, written] = [
        list(csv.DictReader(Path(path).read_text(encoding="utf-8-sig").splitlines(), delimiter=delimiter))
        for path, delimiter in (("plain/one.csv", ","), ("out/one.csv", ";"))
    ]
    assert all("." in row["ms"] for row in plain if row["status"] == "processed")
    assert [row["ms"] for row in written] == [row["ms"].replace(".", ",") for row in plain]
    assert [row["image"] for row in written] == [row["image"] for row in plain]


@pytest.mark.usefixtures("answered")
def test_runs_are_a_line_each_on_a_narrow_terminal(imgflow: Cli) -> None:
    name = "freiburg-20260501-174717-b986"  # as long as the names that it makes
    assert imgflow("submit", "-m", "Demo", "--steps", "scale:50%", "--run", name).code == 0

    narrow, _ = in_terminal("ls", COLUMNS="80")
    wide, _ = in_terminal("ls", "-o", "wide", COLUMNS="80")

    header, first, *_ = [line for line in narrow.splitlines() if not line.startswith("engine")]
    assert header.split() == ["NAME", "STATUS", "PROCESSED", "CACHED", "REJECTED", "FAILED"]
    assert first.startswith(name)
    assert max(map(len, narrow.splitlines())) <= 80
    assert wide.split()[:13] == [*COLUMNS, *WIDE]
    assert max(map(len, wide.splitlines())) <= 80
    assert "LISTED  PROCESSED  CACHED" in imgflow("ls").out  # a pipe has any width
