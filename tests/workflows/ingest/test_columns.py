"""Columns and first rows of tables that are not as one expects: none is lost, mixed up or renamed in silence."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.tables import Tables

from imgflow_steps.contract.step import BadParametersError
from imgflow_workflows.ingest.table import Table


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("id,number,number_1,row", ["number", "number_1", "row"]),
        ("id,Municipality,source_municipality", ["source_Municipality_2", "source_municipality"]),
        ("id,source_municipality,municipality", ["source_municipality", "source_municipality_2"]),
    ],
)
def test_columns_that_are_called_as_ours_are_keep_their_values_and_new_names_are_told(
    tables: Tables, header: str, columns: list[str]
) -> None:
    values = [str(number) for number in range(header.count(","))]
    [row] = tables.bring(tables.table(f"{header}\n007,{','.join(values)}\n"))

    assert list(row.items())[2:] == list(zip(columns, map(int, values), strict=True))
    renamed = {new for old, new in zip(header.split(",")[1:], columns, strict=True) if old != new}
    assert {note.rpartition("becomes ")[2] for note in tables.told if "becomes" in note} == {
        repr(one) for one in renamed
    }


@pytest.mark.parametrize("values", ["5,5", "x,", "1,0"])
def test_a_column_that_is_called_rowid_does_not_mix_rows_up(tables: Tables, values: str) -> None:
    first, second = values.split(",")

    rows = tables.bring(tables.table(f"id,ROWID,x\n007,{first},a\n1,{second},b\n"))

    told = {row["image"]: ("" if row["ROWID"] is None else str(row["ROWID"]), row["x"]) for row in rows}
    assert told == {"007.jpg": (first, "a"), "1.jpg": (second, "b")}


def test_columns_of_parquet_are_those_of_the_file_and_new_names_are_told(tables: Tables) -> None:
    path = tables.folder / "year=2026" / "table.parquet"
    path.parent.mkdir()
    columns = {"path": "../images/007.jpg", "a": "1", "A": "2", "": "3"}
    pq.write_table(pa.Table.from_arrays([pa.array([value]) for value in columns.values()], names=list(columns)), path)

    [row] = tables.bring(Table(path, say=tables.told.append))

    assert list(row) == ["image", "path", "a", "A_2", "column_4"]
    assert "column 'A' is there more than once; the one at place 3 becomes 'A_2'" in tables.told


def test_a_table_without_a_header_loses_no_photograph_in_silence(tables: Tables) -> None:
    with pytest.raises(BadParametersError, match=r"its first row names a photograph, images/007\.jpg.*column names"):
        tables.bring(tables.table("images/007.jpg,x\nimages/1.jpg,y\n"))

    assert list(tables.store.entries()) == []


def test_an_id_that_pandas_wrote_as_a_fraction_names_the_same_photograph(tables: Tables) -> None:
    tables.photo("images/2.0.jpg")

    rows = tables.bring(tables.table("id,x\n1.0,a\n2.0,b\n"))

    assert [(row["image"], row["x"]) for row in rows] == [("1.jpg", "a"), ("2.0.jpg", "b")]


@pytest.mark.parametrize("end", ["\r\n\x1a", "\x1a"])
def test_the_mark_with_which_dos_ends_a_file_is_no_row(tables: Tables, end: str) -> None:
    [row] = tables.bring(tables.table(f"id,x\r\n007,a{end}"))

    assert row == {"image": "007.jpg", "id": "007", "x": "a"}
    assert not [note for note in tables.told if "end early" in note]


def test_a_column_of_what_may_all_be_thousands_is_told_to_be_text(tables: Tables) -> None:
    tables.bring(tables.table("id;price;seats\n1;9,99;1.234\n2;5,00;12.500\n"))

    assert "column seats is text: its points may be decimals or between thousands" in tables.told


@pytest.mark.parametrize(("one", "other"), [("größe", "GRÖSSE"), ("Übersicht", "übersicht"), ("year", "Year")])
def test_a_second_table_changes_a_column_whose_letters_of_any_script_are_in_other_case(
    tables: Tables, one: str, other: str
) -> None:
    tables.bring(tables.table(f"id,{one}\n007,1\n1,2\n"))
    rows = tables.bring(tables.table(f"id,{other}\n007,9\n"))

    assert rows == [{"image": "007.jpg", "id": "007", other: 9}, {"image": "1.jpg", "id": "1", other: 2}]
