"""Catalogs of several municipalities as one table, and what an answer holds that other forms have no word for."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests import photographs

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store


@pytest.fixture(autouse=True)
def photos() -> None:
    for name in ("1", "2"):
        Path(f"{name}.jpg").write_bytes(photographs.jpeg(1, 32, 24))


def bring(imgflow: Cli, municipality: str, **columns: Any) -> None:
    pq.write_table(pa.table({"id": ["1", "2"], **columns}), f"{municipality}.parquet")
    assert imgflow("ingest", f"{municipality}.parquet", "-m", municipality).code == 0


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        ([["a"], ["b", "c"]], ["a", None], ["[a]", "[b, c]", "a", None]),
        ([1, 2], ["a", "007"], ["1", "2", "a", "007"]),
        ([1, 2], [1.5, None], [1.0, 2.0, 1.5, None]),
        ([True, False], [1, 0], ["true", "false", "1", "0"]),
        ([1, 2], pa.array([None, None], pa.string()), [1, 2, None, None]),
        ([2**53 + 1, 1], [1.5, None], [f"{2**53 + 1}", "1", "1.5", None]),
        (
            pa.array([0, 1], pa.timestamp("ns")),
            pa.array([253402300799, None], pa.timestamp("s")),
            ["1970-01-01 00:00:00", "1970-01-01 00:00:00.000000001", "9999-12-31 23:59:59", None],
        ),
        ([{"a": 1}, None], [1, 2], ["{'a': 1}", None, "1", "2"]),
        (pa.array([2**64 - 1, 1], pa.uint64()), [-1, 2], [f"{2**64 - 1}", "1", "-1", "2"]),
        (
            pa.array([0, 1], pa.timestamp("s")),
            pa.array([3600, 0], pa.timestamp("s", "Europe/Amsterdam")),
            [f"1970-01-01 {time}+00:00" for time in ("00:00:00", "00:00:01", "01:00:00", "00:00:00")],
        ),
    ],
)
def test_columns_of_one_name_have_one_type_that_loses_nothing(
    imgflow: Cli, one: object, other: object, values: list[object]
) -> None:
    bring(imgflow, "A", value=one)
    bring(imgflow, "B", Value=other)
    bring(imgflow, "C", unlike=["x", "y"])

    done = imgflow(
        "query", "SELECT value FROM catalog WHERE municipality <> 'C' ORDER BY municipality, image", "-o", "json"
    )

    assert [row["value"] for row in done.json] == values


def test_a_second_table_of_another_type_loses_nothing_either(imgflow: Cli) -> None:
    bring(imgflow, "A", value=[True, False])
    Path("more.csv").write_text("id,VALUE\n1,5\n")
    assert imgflow("ingest", "more.csv", "-m", "A").code == 0

    done = imgflow("query", "SELECT image, value FROM catalog ORDER BY image", "-o", "json")

    assert done.json == [{"image": "1.jpg", "VALUE": "5"}, {"image": "2.jpg", "VALUE": "false"}]


def test_a_second_table_with_times_beyond_the_first_ones_loses_nothing_either(imgflow: Cli) -> None:
    bring(imgflow, "A", value=pa.array([0, 1], pa.timestamp("ns")))
    pq.write_table(pa.table({"id": ["1"], "value": pa.array([253402300799], pa.timestamp("s"))}), "more.parquet")
    assert imgflow("ingest", "more.parquet", "-m", "A").code == 0

    done = imgflow("query", "SELECT value FROM catalog ORDER BY image", "-o", "json")

    assert [row["value"] for row in done.json] == ["9999-12-31 23:59:59", "1970-01-01 00:00:00.000000001"]


def test_times_are_in_utc_wherever_the_machine_stands(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    bring(imgflow, "A", taken=pa.array([0, 1], pa.timestamp("s", "Asia/Tokyo")))

    for form in ("json", "csv", "table"):
        done = imgflow("query", "SELECT taken, hour(taken) AS hour FROM catalog WHERE image = '1.jpg'", "-o", form)
        assert "1970-01-01 00:00:00+00:00" in done.out
    assert imgflow("query", "SELECT hour(taken) AS hour FROM catalog LIMIT 1", "-o", "json").json == [{"hour": 0}]


def test_an_answer_is_json_whatever_it_holds(imgflow: Cli) -> None:
    sql = """SELECT 'nan'::DOUBLE AS nan, ['inf'::DOUBLE, 1.5] AS list, [DATE '2012-01-31'] AS days,
             1.50::DECIMAL(9, 2) AS d,
             {'a': 'nan'::FLOAT, 'b': [1::HUGEINT]} AS nested, MAP {'k': 1} AS map, '\\x00\\xFF'::BLOB AS bytes,
             1 AS twice, 2 AS twice, true AS yes, NULL AS nothing"""

    [row] = imgflow("query", sql, "-o", "json").json

    assert row == {
        "nan": None,
        "list": [None, 1.5],
        "days": ["2012-01-31"],
        "d": 1.5,
        "nested": {"a": None, "b": [1]},
        "map": [["k", 1]],
        "bytes": "00ff",
        "twice": 1,
        "twice_2": 2,
        "yes": True,
        "nothing": None,
    }


def test_lists_in_csv_and_tables_are_json(imgflow: Cli) -> None:
    sql = "SELECT ['a', 'é'] AS tags, {'x': 1} AS place"

    rows = list(csv.reader(io.StringIO(imgflow("query", sql, "-o", "csv").out)))

    assert rows == [["tags", "place"], ['["a", "é"]', '{"x": 1}']]
    assert '["a", "é"]  {"x": 1}' in imgflow("query", sql).out


def test_a_catalog_with_two_columns_that_differ_in_case_alone_keeps_nobody_from_asking(
    imgflow: Cli, store: Store
) -> None:
    bring(imgflow, "A", größe=[1, 2])
    bring(imgflow, "B", größe=["x", "y"])
    twice = pa.table({"image": ["1.jpg", "2.jpg"], "GRÖSSE": [3, None], "größe": [1, 2]})
    pq.write_table(twice, "twice.parquet")
    store.upload(Path("twice.parquet"), keys.catalog("A"))

    done = imgflow("query", "SELECT municipality, image, GRÖSSE, größe FROM catalog ORDER BY ALL", "-o", "csv")

    assert done.out == ("municipality,image,GRÖSSE,größe\nA,1.jpg,3,1\nA,2.jpg,,2\nB,1.jpg,x,\nB,2.jpg,y,\n")
