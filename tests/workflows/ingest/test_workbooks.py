"""A workbook of Excel is a table: its cells keep their values, and what cannot be read is said before a copy."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from tests import photographs

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import open_store
from imgflow_workflows.catalog.ask import select
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.ingest import workbook
from imgflow_workflows.ingest.sources import source_of
from imgflow_workflows.transfer.copying import ingest

HEADER = ["Pfad", "Jahr", "aufgenommen", "Größe", "ok", "id"]
ROWS = [
    ["a.jpg", 2020, datetime(2020, 5, 1, 12, 30), 1.5, True, "007"],  # noqa: DTZ001 - Excel knows no zone
    ["b.jpg", 2021, date(2021, 5, 2), 2, False, "008"],
]


def made(path: Path, *sheets: tuple[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    for name in ("a.jpg", "b.jpg"):
        (path.parent / name).write_bytes(photographs.jpeg(ord(name[0])))
    return path


def test_cells_keep_their_values_and_a_note_names_the_sheet(tmp_path: Path) -> None:
    path = made(tmp_path / "Fotos.xlsx", ("leer", []), ("Fotos", [[None] * 6, HEADER, ROWS[0], [None] * 6, ROWS[1]]))
    store, notes = open_store(str(tmp_path / "store")), []
    table = source_of(str(path), "", "Pfad", hosts=(), lenient=False, say=notes.append)

    ingest(table, store, "Stadt", tell=lambda _: None)

    with select(store, "SELECT * EXCLUDE (municipality) FROM catalog ORDER BY image", "") as answer:
        rows = [tuple(row.values()) for row in answer.read_all().to_pylist()]
    assert [row[1:3] for row in rows] == [("a.jpg", 2020), ("b.jpg", 2021)]
    assert [str(row[3]) for row in rows] == ["2020-05-01 12:30:00", "2021-05-02 00:00:00"]
    assert [row[4:] for row in rows] == [(1.5, True, "007"), (2.0, False, "008")]
    assert "reading sheet Fotos of Fotos.xlsx" in notes


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_in_a_cell_end_as_those_of_a_csv_do(tmp_path: Path, end: str) -> None:
    rows: list[list[object]] = [["Pfad", f"Not{end}iz"], ["a.jpg", f"one{end}two"], ["b.jpg", "three"]]
    path = made(tmp_path / "Fotos.xlsx", ("Fotos", rows))
    store = open_store(str(tmp_path / "store"))
    table = source_of(str(path), "", "Pfad", hosts=(), lenient=False, say=lambda _: None)

    ingest(table, store, "Stadt", tell=lambda _: None)

    with select(store, "SELECT * EXCLUDE (municipality, image) FROM catalog ORDER BY image", "") as answer:
        assert answer.read_all().to_pylist() == [
            {"Pfad": "a.jpg", "Not\niz": "one\ntwo"},
            {"Pfad": "b.jpg", "Not\niz": "three"},
        ]


def test_text_in_cells_is_read_as_it_is_in_a_csv_of_the_same_language(tmp_path: Path) -> None:
    header = ["Datei", "Datum", "Breite", "Kosten", "Anzahl"]
    rows: list[list[object]] = [
        ["a.jpg", "01.05.2026", "47,99123", "1.234,50", "1,234"],
        ["b.jpg", "31.12.2026", "48,1", "7", "2,345"],
    ]
    store, notes = open_store(str(tmp_path / "store")), []
    path = made(tmp_path / "Fotos.xlsx", ("Fotos", [header, *rows]))

    ingest(
        source_of(str(path), "", "Datei", hosts=(), lenient=False, say=notes.append),
        store,
        "Stadt",
        tell=lambda _: None,
    )

    with select(store, "SELECT * EXCLUDE (municipality) FROM catalog ORDER BY image", "") as answer:
        told = [tuple(row.values())[2:] for row in answer.read_all().to_pylist()]
    assert told == [(date(2026, 5, 1), 47.99123, 1234.5, "1,234"), (date(2026, 12, 31), 48.1, 7.0, "2,345")]
    assert "column Breite: its numbers have a decimal comma" in notes


def test_another_sheet_is_named(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ("one", [["path"], ["a.jpg"]]), ("two", [["path"], ["b.jpg"]]))

    first = workbook.read(path, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_text() == "a.jpg\n"
    assert first.notes == ("reading sheet one of x.xlsx; the others are two; --sheet names another one",)
    workbook.read(path, tmp_path / "rows.csv", "two")
    assert (tmp_path / "rows.csv").read_text() == "b.jpg\n"
    with pytest.raises(BadParametersError, match=r"--sheet three: .* has the sheets one, two"):
        workbook.read(path, tmp_path / "rows.csv", "three")


def test_what_is_not_a_workbook_or_swells_when_it_is_unpacked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.xlsx").write_text("path\na.jpg\n")
    with zipfile.ZipFile(tmp_path / "zip.xlsx", "w") as archive:
        archive.writestr("a.txt", "a")

    for name in ("text.xlsx", "zip.xlsx"):
        with pytest.raises(BadParametersError, match=r"cannot be read as a workbook: .*nothing was copied"):
            workbook.read(tmp_path / name, tmp_path / "rows.csv")
    monkeypatch.setattr(workbook, "UNPACKED", 1000)
    with pytest.raises(BadParametersError, match=r"unpacks to .*, more than 1(\.0)? kB"):
        workbook.read(made(tmp_path / "x.xlsx", ("one", [HEADER, *ROWS])), tmp_path / "rows.csv")


def test_a_sheet_is_only_of_a_table(tmp_path: Path) -> None:
    with pytest.raises(ImgflowError, match="--sheet and --encoding are about a table"):
        source_of(str(tmp_path), "", "", hosts=(), lenient=False, say=print, sheet="one")


def rows_of(path: Path) -> tuple[list[str], tuple[str, ...]]:
    """The lines of the CSV that a workbook becomes, and what was told."""
    told = workbook.read(path, path.with_name("rows.csv"))
    return path.with_name("rows.csv").read_text().splitlines(), told.notes


def test_a_time_at_midnight_does_not_make_text_of_a_column_of_times(tmp_path: Path) -> None:
    times = [[datetime(2026, 1, 1, 13, 5)], [datetime(2026, 1, 2)], [None]]  # noqa: DTZ001 - Excel knows no zone
    days: list[list[object]] = [[date(2026, 1, 1)], [date(2026, 1, 2)]]

    assert rows_of(made(tmp_path / "times.xlsx", ("one", [["at"], *times])))[0][:2] == [
        "2026-01-01 13:05:00",
        "2026-01-02 00:00:00",
    ]
    assert rows_of(made(tmp_path / "days.xlsx", ("one", [["on"], *days])))[0] == ["2026-01-01", "2026-01-02"]


def test_a_duration_of_more_than_a_day_is_written_as_excel_shows_it(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ("one", [["took"], [timedelta(hours=30, minutes=5, seconds=7)]]))

    assert rows_of(path)[0] == ["30:05:07"]


@pytest.mark.parametrize(("seconds", "written"), [(-30, "-00:00:30"), (-5400, "-01:30:00"), (1.25, "00:00:01.250")])
def test_a_duration_keeps_its_sign_and_its_fraction(tmp_path: Path, seconds: float, written: str) -> None:
    path = made(tmp_path / "x.xlsx", ("one", [["took"], [timedelta(seconds=seconds)]]))

    assert rows_of(path)[0] == [written]


def test_a_sheet_that_is_hidden_is_not_taken_before_one_that_people_see(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ("secret", [["path"], ["a.jpg"]]), ("seen", [["path"], ["b.jpg"]]))
    book = openpyxl.load_workbook(path)
    book["secret"].sheet_state = "hidden"
    book.active = 1
    book.save(path)

    lines, notes = rows_of(path)

    assert lines == ["b.jpg"]
    assert notes == ("reading sheet seen of x.xlsx; the others are secret; --sheet names another one",)


def test_cells_that_are_merged_over_rows_are_told_to_have_one_value(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ("one", [["path", "street"], ["a.jpg", "High Street"], ["b.jpg", None]]))
    book = openpyxl.load_workbook(path)
    book["one"].merge_cells("B2:B3")
    book.save(path)

    lines, notes = rows_of(path)

    assert lines == ["a.jpg,High Street", "b.jpg,"]
    assert "1 merged cell of x.xlsx over several rows: only the first of these has the value" in notes


def test_formulas_that_nobody_has_computed_are_told_and_those_with_a_value_are_not(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ("one", [["path", "n"], ["a.jpg", "=1+1"], ["b.jpg", "=2+2"]]))
    lines, notes = rows_of(path)
    with zipfile.ZipFile(path) as book, zipfile.ZipFile(tmp_path / "y.xlsx", "w") as computed:
        for part in book.namelist():
            computed.writestr(part, book.read(part).replace(b"<v></v>", b"<v>2</v>").replace(b"<v />", b"<v>2</v>"))

    told = "2 formulas of x.xlsx without a value, read as empty: open it in Excel and save it"
    assert (lines, told in notes) == (["a.jpg,", "b.jpg,"], True)
    assert rows_of(tmp_path / "y.xlsx") == (["a.jpg,2", "b.jpg,2"], ("reading sheet one of y.xlsx",))


def test_formulas_of_other_sheets_than_the_one_that_is_read_are_nothing_to_be_told(tmp_path: Path) -> None:
    formulas: list[list[object]] = [["path", "n"], ["b.jpg", "=2+2"]]
    path = made(
        tmp_path / "x.xlsx", ("one", [["path"], ["a.jpg"]]), ("two", formulas), ("three", [["path"], ["c.jpg"]])
    )
    book = openpyxl.load_workbook(path)
    book.move_sheet("two", -1)
    book.save(path)

    told = {name: workbook.read(path, tmp_path / "rows.csv", name).notes[1:] for name in ("one", "two", "three")}

    empty = "1 formula of x.xlsx without a value, read as empty: open it in Excel and save it"
    assert told == {"one": (), "two": (empty,), "three": ()}


def test_rows_above_the_header_are_skipped_and_told(tmp_path: Path) -> None:
    rows: list[list[object]] = [["Fotobestand 2026"], [], ["Stand", date(2026, 5, 1)], HEADER, *ROWS]
    path = made(tmp_path / "x.xlsx", ("one", rows))
    store, notes = open_store(str(tmp_path / "store")), list[str]()
    table = source_of(str(path), "", "Pfad", hosts=(), lenient=False, say=notes.append)

    assert ingest(table, store, "Stadt", tell=lambda _: None).copied == 2
    assert list(table.learned.columns) == HEADER
    assert "the columns of x.xlsx are named below its first rows, which are skipped: 'Fotobestand 2026'" in notes


def test_a_formula_that_gives_an_empty_text_is_nothing_to_be_told(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ("one", [["path", "n"], ["a.jpg", '=""']]))
    with zipfile.ZipFile(path) as book, zipfile.ZipFile(tmp_path / "y.xlsx", "w") as computed:
        for part in book.namelist():
            computed.writestr(part, book.read(part).replace(b'<c r="B2">', b'<c r="B2" t="str">'))

    assert rows_of(tmp_path / "y.xlsx") == (["a.jpg,"], ("reading sheet one of y.xlsx",))
