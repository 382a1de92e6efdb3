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
