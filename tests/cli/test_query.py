"""query: SQL over catalogs and results of all municipalities, and nothing beyond them."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from tests import made_runs
from tests.catalogs import FIRST, fashion

from imgflow_cli.__main__ import main
from imgflow_steps.records import keys
from imgflow_steps.records.row import Published
from imgflow_steps.store import Store
from imgflow_workflows.catalog.ask import select

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

STEPS = ("--steps", "scale:32x32,infer", "--workers", "1")


@pytest.fixture
def shop(imgflow: Cli, store: Store) -> Store:
    fashion(Path("shop"), 12)
    assert imgflow("ingest", "shop/styles.csv", "-m", "Fashion").code == 0
    return store


def test_catalogs_of_all_municipalities_are_one_table(imgflow: Cli, shop: Store) -> None:
    Path("x.jpg").write_bytes(Path(f"shop/images/{FIRST}.jpg").read_bytes())
    Path("more.csv").write_text("path,id,street\nx.jpg,none,Neude\n")
    assert imgflow("ingest", "more.csv", "-m", "Östra Göinge").code == 0

    done = imgflow("query", "SELECT municipality, image, id, street FROM catalog ORDER BY image", "-o", "json")

    assert done.code == 0
    assert len(done.json) == 13
    assert done.json[-1] == {"municipality": "Östra Göinge", "image": "x.jpg", "id": "none", "street": "Neude"}
    assert done.json[0] == {"municipality": "Fashion", "image": f"{FIRST}.jpg", "id": str(FIRST), "street": None}


def test_results_are_joined_with_what_is_told_of_images(imgflow: Cli, shop: Store) -> None:
    assert imgflow("submit", "-m", "Fashion", *STEPS).code == 0
    sql = """SELECT c.season, sum(1) AS n, max(r.output_width) AS width, avg(r.found_sharpness) > 0 AS sharp
             FROM catalog c JOIN results r USING (municipality, image) WHERE r.status = 'processed' GROUP BY ALL"""

    done = imgflow("query", sql, "-o", "json")

    assert sum(row["n"] for row in done.json) == 12
    assert {(row["width"], row["sharp"]) for row in done.json} == {(32, True)}


def test_results_are_those_of_the_newest_run(imgflow: Cli, shop: Store) -> None:
    imgflow("submit", "-m", "Fashion", "--steps", "scale:8x8", "--workers", "1")
    run = imgflow("submit", "-m", "Fashion", "--steps", "scale:16x16", "--workers", "1", "-o", "name").out.strip()

    done = imgflow("query", "SELECT DISTINCT run, output_width FROM results", "-o", "json")

    assert done.json == [{"run": run, "output_width": 16}]


@pytest.mark.parametrize(
    ("said", "columns"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ([1, "two"], ["1", "two"]),
        (["one", 2], ["one", "2"]),
        ([1, 1 << 70], ["1", f"{1 << 70}"]),
    ],
)
def test_what_steps_found_is_a_number_where_it_always_is_one(
    tmp_path: Path, said: list[object], columns: list[object]
) -> None:
    made = made_runs.make_run(tmp_path)
    made.list(f"{i}.jpg" for i in range(len(said)))
    outputs = [Published(key="", sha256="", width=1, height=1, found={"it": value}) for value in said]
    made.add(*(made.row(f"{i}.jpg", outputs=[output]) for i, output in enumerate(outputs)))

    with select(made.store, "SELECT found_it FROM results ORDER BY image") as answer:
        assert answer.read_all().column("found_it").to_pylist() == columns


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_an_answer_is_written_as_asked(imgflow: Cli, shop: Store, form: str) -> None:
    done = imgflow("query", "SELECT image, '=1+1' AS \"formula\", NULL AS empty FROM catalog LIMIT 1", "-o", form)

    assert (
        done.out
        == {
            "table": f"IMAGE     FORMULA  EMPTY\n{FIRST}.jpg  =1+1\n",
            "csv": f"image,formula,empty\n{FIRST}.jpg,'=1+1,\n",
            "json": json.dumps([{"image": f"{FIRST}.jpg", "formula": "=1+1", "empty": None}]).replace("]", "\n]")
            + "\n",
        }[form]
    )


def test_an_answer_is_written_as_parquet(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    main(["ingest", str(fashion(Path("shop"), 12)), "-m", "Fashion"])
    capfdbinary.readouterr()

    main(["query", "SELECT image, year FROM catalog", "-o", "parquet"])

    answer = pq.read_table(io.BytesIO(capfdbinary.readouterr().out))
    assert answer.column_names == ["image", "year"]
    assert answer.num_rows == 12


def test_an_empty_answer_is_an_empty_list(imgflow: Cli, store: Store) -> None:
    assert imgflow("query", "SELECT * FROM catalog", "-o", "json").json == []
    assert imgflow("query", "SELECT status, found FROM results", "-o", "json").code == 2
    assert imgflow("query", "SELECT status, output_key FROM results", "-o", "json").json == []


def test_a_person_is_told_that_nothing_fits(imgflow: Cli, shop: Store) -> None:
    done = imgflow("query", "SELECT image FROM catalog WHERE image = 'none'")

    assert (done.code, done.out.split()) == (0, ["IMAGE"])
    assert "0 rows" in done.err


def test_ctrl_c_while_duckdb_reads_a_table_ends_a_query_as_any_command(
    imgflow: Cli, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:  # what DuckDB makes of SIGINT while it scans what Arrow gives
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr("duckdb.DuckDBPyRelation.to_arrow_reader", interrupted)

    done = imgflow("query", "SELECT image FROM catalog")

    assert (done.code, done.err) == (130, "Error: interrupted\nnothing is lost; run the same command again to resume\n")


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELEC image FROM catalog", "syntax error"),
        ("SELECT sesaon FROM catalog", '"season"'),
        ("SELECT 1 FROM catalogue", 'Did you mean "catalog"'),
        ("SELECT 1; SELECT 2", "one SELECT"),
        (";", "one SELECT"),
        ("SELECT image::INT FROM catalog", "Could not convert"),
    ],
)
def test_wrong_sql_gives_one_error_that_names_what_is_near(imgflow: Cli, shop: Store, sql: str, error: str) -> None:
    done = imgflow("query", sql)

    assert done.code == 2
    assert error in done.err
    assert done.err.splitlines()[1:] == ["`imgflow query --help` shows how"]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('shop/styles.csv')",
        "SELECT * FROM 'shop/styles.csv'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM sys",
        "COPY catalog TO 'out.csv'",
        "ATTACH 'out.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "CREATE TABLE mine AS SELECT 1",
    ],
)
def test_sql_neither_reads_nor_writes_a_file(imgflow: Cli, shop: Store, sql: str) -> None:
    before = sorted(Path().rglob("*"))

    assert imgflow("query", sql).code == 2
    assert sorted(Path().rglob("*")) == before


def test_without_the_extra_the_error_names_it(imgflow: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)

    done = imgflow("query", "SELECT 1")

    assert done.code == 2
    assert "pip install 'imgflow[query]'" in done.err


def test_a_column_can_be_asked_for_by_the_name_that_is_shown(imgflow: Cli, shop: Store) -> None:
    for column in ("Straße", "Länge", "year"):
        header = imgflow("query", f'SELECT 1 AS "{column}"').out.split()[0]
        again = imgflow("query", f'SELECT "{header}" FROM (SELECT 1 AS "{column}")')
        assert again.code == 0, again.err


@pytest.mark.parametrize(
    "command",
    [
        ("query", "SELECT image FROM results"),
        ("similar", f"{FIRST}.jpg"),
        ("export", "out", "-m", "Fashion", "--results"),
    ],
)
def test_whoever_reads_results_of_a_run_that_has_not_finished_is_told(
    imgflow: Cli, shop: Store, command: tuple[str, ...]
) -> None:
    run = imgflow("submit", "-m", "Fashion", *STEPS, "-o", "name").out.strip()
    note = f"note: run {run} of Fashion has not finished"
    assert note not in imgflow(*command).err

    shop.delete([keys.summary_json(run)])

    done = imgflow(*command)
    assert done.code == 0
    assert done.err.count(note) == 1


def test_a_catalog_alone_says_nothing_of_runs(imgflow: Cli, shop: Store) -> None:
    run = imgflow("submit", "-m", "Fashion", *STEPS, "-o", "name").out.strip()
    shop.delete([keys.summary_json(run)])

    assert "note:" not in imgflow("query", "SELECT image FROM catalog").err


@pytest.mark.parametrize("flags", [(), ("--delimiter", ";")])
def test_cells_of_several_lines_are_one_cell_of_a_csv(imgflow: Cli, flags: tuple[str, ...]) -> None:
    sql = "SELECT 'a' || chr(10) || 'b' AS x, 'c' || chr(13) || 'd' AS y, 'e' || chr(13) || chr(10) || 'f' AS z"

    text = imgflow("query", sql, "-o", "csv", *flags).out.removeprefix("\ufeff")

    [_, row] = csv.reader(io.StringIO(text, newline=""), delimiter=flags[1] if flags else ",")
    assert row == ["a\nb", "c\rd", "e\r\nf"]


@pytest.mark.parametrize("output", ["table", "csv", "json"])
def test_a_day_that_python_cannot_hold_is_shown_as_text_and_costs_no_other(imgflow: Cli, output: str) -> None:
    days = "SELECT x FROM (VALUES (timestamp '20000-01-01'), (timestamp '2026-11-28 12:00:00')) AS t(x)"

    done = imgflow("query", days, "-o", output)

    assert done.code == 0, done.err
    assert all(day in done.out for day in ("20000-01-01 00:00:00", "2026-11-28 12:00:00"))
