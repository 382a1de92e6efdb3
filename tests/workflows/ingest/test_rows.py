"""Rows as Excel cuts them, numbers that may be meant otherwise, and paths from the root of a disk."""

from __future__ import annotations

import pytest
from tests.tables import Tables

from imgflow_steps.contract.step import BadParametersError


def test_a_row_that_ends_early_is_empty_behind_its_end_as_excel_writes_it(tables: Tables) -> None:
    rows = tables.bring(tables.table("id;a;b\n007;1;2\n1;3\n2\n"))

    assert [(row["image"], row["a"], row["b"]) for row in rows] == [
        ("007.jpg", 1, 2),
        ("1.jpg", 3, None),
        ("2.jpg", None, None),
    ]
    assert "2 rows of table.csv end early, as Excel writes them: the rest is empty" in tables.told


def test_a_row_that_is_too_long_is_wrong_where_others_end_early(tables: Tables) -> None:
    with pytest.raises(BadParametersError, match="line 3 cannot be read"):
        tables.bring(tables.table("id;a;b\n007;1\n1;3;4;5\n"))


def test_points_that_may_be_meant_for_thousands_are_told(tables: Tables) -> None:
    assert tables.read([["1.234", "12.345"]], delimiter=";") == [[1.234, 12.345]]
    assert "column c0: its points are taken for decimals, and may be meant for thousands" in tables.told
    assert tables.read([["1.234", "12.3456"]], delimiter=";") == [[1.234, 12.3456]]
    assert tables.told[-1].count("thousands") == 0


def test_a_whole_path_leads_to_the_photograph_of_the_path_below_the_table(tables: Tables) -> None:
    assert [row["image"] for row in tables.bring(tables.table(f"path\n{tables.folder}/images/007.jpg\n"))] == [
        row["image"] for row in tables.bring(tables.table("path\nimages/007.jpg\n"))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Photographs 2026\nid,x\n007,5\n",
        "Photographs 2026,\n,\nid,x\n007,5\n",
        "Photographs 2026;;\r\n;;\r\nid;x\r\n007;5\r\n",
        "sep=;\nPhotographs, 2026\n\nid;x\n007;5\n",
        "# by R, version 4\n# on 1.5.2026\npath\tx\nimages/007.jpg\t5\n",
        "Stand:;1.5.2026\nvon:;Amt\nID;x;y\n007;5;6\n",
        "Photographs 2026\n\nDateiname,x\nimages/007.jpg,5\n",
        '"Photographs\n2026",\nid,x\n007,5\n',
        "Photographs\nfrom,1.5.2026\nNr,Datei,x\n1,images/007.jpg,5\n",
        "Photographs 2026\n\nid\n007\n",
        "Photographs 2026\nid;x;p\n007;5;1,5\n1;6;2,25\n",
        "Photographs, 2026;;\n;;\nNr;Datei;x\n1;images/007.jpg;5\n",
    ],
)
def test_rows_above_the_header_are_skipped_and_told(tables: Tables, text: str) -> None:
    row, *_ = tables.bring(tables.table(text))

    assert row["image"] in {"007.jpg", "images/007.jpg"}
    assert row.get("x", 5) == 5
    assert [note for note in tables.told if note.startswith("the columns of table.csv are named below its first rows")]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("id,\n007,x\n", ["id", "column_2"]),
        ("path,,\nimages/007.jpg,file,id\n", ["path", "column_2", "column_3"]),
        ("Datei,\nimages/007.jpg,x\n", ["Datei", "column_2"]),
        ("id,kind\n007,image\n1,file\n", ["id", "kind"]),
        ("a;id\nimage;007\n", ["a", "id"]),
        ("Datei,Ort,x\n,Hafen,\nimages/007.jpg,Markt,5\n", ["Datei", "Ort", "x"]),
        ("id;p\n007;1,5\n1;2,25\n", ["id", "p"]),
        ("id\tp\n007\t1,5\n1\t2,25\n", ["id", "p"]),
        ('id,x\n007,"a;b;c"\n1,"d;e;f"\n', ["id", "x"]),
        ("id;a;b\n007;1,5;2\n1;3,5\n", ["id", "a", "b"]),
    ],
)
def test_a_header_of_few_names_is_not_taken_for_a_title(tables: Tables, text: str, columns: list[str]) -> None:
    assert list(tables.bring(tables.table(text))[0])[1:] == columns
    assert not [note for note in tables.told if "first rows" in note]


def test_a_line_below_a_title_keeps_its_number(tables: Tables) -> None:
    with pytest.raises(BadParametersError, match="line 5 cannot be read"):
        tables.bring(tables.table("Photographs 2026\n\nid,x\n007,5\n1,2,3\n"))
