"""import imgflow: what the command line does, for programs; results as tables and pictures."""

from __future__ import annotations

import csv
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from PIL import Image
from tests.catalogs import FIRST
from tests.client.conftest import LETTER, STEPS

import imgflow
from imgflow import pictures
from imgflow_cli.__main__ import main
from imgflow_steps import keys
from imgflow_steps.run import save
from imgflow_workflows import runs
from imgflow_workflows.faults import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

PIECES = ("r1c1", "r1c2")


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(__file__).parents[2]


def told_by_the_command(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main([*arguments, "-o", "json"])
    error: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    return error


def test_a_run_on_this_machine_is_at_its_end_when_submit_returns(run: imgflow.Run) -> None:
    assert run.status == "succeeded"
    assert run.counts.model_dump() == {"listed": 12, "processed": 11, "cached": 0, "rejected": 1, "failed": 0}
    assert run.wait() is run


def test_results_are_the_rows_of_results_csv(run: imgflow.Run, tmp_path: Path) -> None:
    table = run.results()

    run.fetch(tmp_path)
    with (tmp_path / "halves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(table) == len(rows) == 2 * 11 + 1
    assert set(rows[0]) <= set(table.columns)
    assert list(table["output_key"].fillna("")) == [row["output_key"] for row in rows]
    assert table.set_index("image").loc[LETTER, "code"] == "unsupported-format"


def test_results_are_chosen_by_what_was_found_and_by_what_is_told_of_images(run: imgflow.Run) -> None:
    table = run.results(
        columns=["image", "season", "found_sharpness"], where="season = 'Winter' AND found_sharpness > 0", limit=3
    )

    assert list(table.columns) == ["image", "season", "found_sharpness"]
    assert len(table) == 3
    assert set(table["season"]) == {"Winter"}


def test_a_query_of_a_run_is_about_that_run_and_one_of_the_flow_about_the_newest(
    flow: imgflow.Flow, run: imgflow.Run
) -> None:
    flow.submit("Fashion", steps="scale:8x8", sample=2, run="newest")
    sql = "SELECT DISTINCT output_width FROM results WHERE status = 'processed'"

    assert list(run.query(sql)["output_width"]) == [16]
    assert list(flow.query(sql)["output_width"]) == [8]


def test_a_table_that_sql_cannot_make_is_one_error_that_names_what_is_near(run: imgflow.Run) -> None:
    with pytest.raises(imgflow.ImgflowError, match=r'"found_sharpnes" not found.*"found_sharpness"'):
        run.results(where="found_sharpnes > 1")


def test_pictures_come_in_order_by_image_and_piece(run: imgflow.Run) -> None:
    found = list(run.images(where=f"id <= '{FIRST + 2}'"))

    assert [name for name, _ in found] == [f"{FIRST + n}.jpg~{piece}" for n in (0, 2) for piece in PIECES]
    assert {picture.size for _, picture in found} == {(16, 21)}


def test_one_picture_is_asked_for_by_its_image_and_piece(run: imgflow.Run) -> None:
    [(_, picture), *_] = run.images(limit=1)

    assert run.image(f"{FIRST}.jpg", "r1c1").tobytes() == picture.tobytes()


def test_the_photographs_behind_pictures_come_once_each_and_without_those_that_are_none(
    run: imgflow.Run, shop: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = dict(run.originals(limit=3))

    assert list(found) == [f"{FIRST}.jpg", f"{FIRST + 2}.jpg"]
    assert f"{LETTER} cannot be shown: unsupported-format" in caplog.text
    with Image.open(shop.parent / f"images/{FIRST}.jpg") as photograph:
        assert found[f"{FIRST}.jpg"].size == run.original(f"{FIRST}.jpg").size == photograph.size


def test_photographs_lie_where_the_run_found_them(flow: imgflow.Flow, shop: Path) -> None:
    run = flow.submit("Elsewhere", source=str(shop.parent / "images"), steps="scale:8x8", run="elsewhere")

    assert run.original(f"{FIRST}.jpg").size == (48, 32)


def test_a_dataset_is_looked_at_before_any_run(flow: imgflow.Flow) -> None:
    men = flow.query(f"SELECT image FROM catalog WHERE gender = 'Men' AND image != '{LETTER}' ORDER BY image")

    assert [name for name, _ in flow.images("Fashion", where="gender = 'Men'")] == list(men["image"])
    assert len(list(flow.images("Fashion", limit=2))) == 1  # the other is the letter
    assert len(list(flow.images("Fashion", sample=3, seed=1))) <= 3


def test_pictures_are_fetched_some_ahead_of_whoever_looks_and_no_more(
    run: imgflow.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, fetched = run._session.store.read, []

    def noting(key: str, version: str = "") -> bytes:
        fetched.append(key)
        return read(key, version)

    looking = run.images()
    monkeypatch.setattr(pictures, "AHEAD", 4)
    monkeypatch.setattr(run._session.store, "read", noting)
    next(looking)
    looking.close()  # type: ignore[attr-defined]  # a generator

    assert 1 <= len([key for key in fetched if "/images/" in key]) <= 4


def test_names_on_a_page_are_text_whatever_they_are(run: imgflow.Run) -> None:
    [(_, picture), *_] = run.images(limit=1)

    page = imgflow.contact_sheet([("<script>alert(1)</script>.jpg", picture)])._repr_html_()

    assert "<script" not in page
    assert "&#60;script&#62;alert(1)" in page
    assert page.count('<img src="data:image/jpeg;base64,') == 1


def test_a_contact_sheet_takes_no_more_than_it_shows(run: imgflow.Run) -> None:
    looking = run.images()

    sheet = imgflow.contact_sheet(looking, limit=3)

    assert repr(sheet) == "ContactSheet(3 pictures)"
    assert next(looking)[0] == f"{FIRST + 2}.jpg~r1c2"


def test_a_run_is_shown_with_its_counts_some_pictures_and_the_way_to_its_report(run: imgflow.Run) -> None:
    page = run._repr_html_()

    assert "<b>halves</b> of Fashion: succeeded" in page
    assert "<td>12</td><td>11</td><td>0</td><td>1</td><td>0</td>" in page
    assert page.count("<img src=") == 6
    assert f'href="file://{run._session.store.url}/runs/halves/report/index.html"' in page
    assert "<script" not in page


def test_a_report_is_shown_where_no_script_runs_and_saved_as_one_file(run: imgflow.Run, tmp_path: Path) -> None:
    report = run.report()

    path = report.save(tmp_path / "report.html")
    assert path.read_bytes().startswith(b"<!doctype html>")
    assert report._repr_html_().startswith('<iframe sandbox srcdoc="&lt;!doctype html&gt;')
    with pytest.raises(imgflow.ImgflowError, match="cannot be written: No such file"):
        report.save(tmp_path / "none/report.html")


def test_a_report_that_argo_is_still_bringing_is_waited_for(
    flow: imgflow.Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = flow.submit("Fashion", steps="scale:6x6", sample=2, run="arriving")
    store, style = run._session.store, keys.report("arriving") + "style.css"
    save(store, run._known.run.model_copy(update={"engine": "argo"}))
    held = store.read(style)
    store.delete([style])
    monkeypatch.setattr(runs.time, "sleep", lambda _: store.write(style, held))

    assert held.decode() in run.report().page.decode()


def test_export_and_fetch_do_as_their_commands_do(flow: imgflow.Flow, run: imgflow.Run, tmp_path: Path) -> None:
    exported = flow.export(tmp_path / "out", "Fashion", where="gender = 'Women'")
    fetched = run.fetch(tmp_path / "pictures")

    assert exported.copied == len(pd.read_parquet(tmp_path / "out/catalog.parquet"))
    assert (fetched.copied, run.fetch(tmp_path / "pictures").copied) == (22, 0)


def test_a_run_goes_on_when_asked(flow: imgflow.Flow) -> None:
    run = flow.submit("Fashion", steps="scale:9x9", sample=2, run="on")
    store = run._session.store
    [row, *_] = store.entries(keys.rows("Fashion", run._known.run.digest))
    store.delete([row.key])

    assert run.retry(rejected=True).counts.listed == 2
    assert run.status == "succeeded"


def test_runs_are_found_by_name_and_the_newest_without_one(flow: imgflow.Flow, run: imgflow.Run) -> None:
    assert flow.run("halves").id == run.id
    assert flow.run(municipality="Fashion").id == flow.runs("Fashion")[0].id
    assert "Fashion" in flow.municipalities()
    assert repr(run) == "Run(halves, Fashion, succeeded: 12 listed = 11 processed + 0 cached + 1 rejected + 0 failed)"


@pytest.mark.parametrize(
    ("ask", "arguments"),
    [
        (lambda flow: flow.submit("Fashon"), ("submit", "-m", "Fashon")),
        (lambda flow: flow.submit("Fashion", steps="scal:3"), ("submit", "-m", "Fashion", "--steps", "scal:3")),
        (
            lambda flow: flow.submit("Fashion", parameters={"scale.widht": 3}),
            ("submit", "-m", "Fashion", "--set", "scale.widht=3"),
        ),
        (lambda flow: flow.run("nobody-s"), ("get", "nobody-s")),
        (lambda flow: flow.ingest("nowhere", "Fashion"), ("ingest", "nowhere", "-m", "Fashion")),
        (lambda flow: flow.run("halves").fetch(__file__), ("fetch", "halves", __file__)),
    ],
)
def test_an_error_says_what_the_command_line_says(
    flow: imgflow.Flow,
    run: imgflow.Run,
    capsys: pytest.CaptureFixture[str],
    ask: Callable[[imgflow.Flow], object],
    arguments: tuple[str, ...],
) -> None:
    said = told_by_the_command(capsys, *arguments, "--store", run._session.store.url)

    with pytest.raises(imgflow.ImgflowError) as caught:
        ask(flow)

    assert (str(caught.value), caught.value.hint, int(caught.value.code)) == (
        said["message"],
        said["hint"],
        said["exit"],
    )
    assert getattr(caught.value, "__notes__", []) == ([said["hint"]] if said["hint"] else [])


def test_a_picture_that_was_never_made_is_an_error_that_says_where_to_look(run: imgflow.Run) -> None:
    with pytest.raises(imgflow.ImgflowError, match=f"run halves made no picture of {LETTER}~r1c1") as caught:
        run.image(LETTER, "r1c1")
    assert "run.results()" in caught.value.hint
    with pytest.raises(imgflow.ImgflowError, match=f"{LETTER} cannot be shown: unsupported-format"):
        run.original(LETTER)


def test_a_store_that_is_away_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("imgflow_steps.store.settings._Retry.sleep", lambda *_: None)

    with pytest.raises(imgflow.ImgflowError) as caught:
        imgflow.connect(store="s3://nowhere").runs()

    assert caught.value.code is ExitCode.UNREACHABLE


def test_a_fault_that_nobody_foresaw_is_not_dressed_up(run: imgflow.Run) -> None:
    with pytest.raises(ValueError, match="format code"):
        run.results(limit="three")  # type: ignore[arg-type]


def test_settings_are_those_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("imgflow.yaml").write_text("context: here\ncontexts:\n  here: {store: ./there, engine: docker}\n")
    monkeypatch.setenv("IMGFLOW_WORKERS", "3")

    assert repr(imgflow.connect()) == "Flow(context here: engine docker, store ./there)"
    assert imgflow.connect()._session.resolved.settings.workers == 3
    assert repr(imgflow.connect(engine="local")) == "Flow(context here: engine local, store ./there)"
    with pytest.raises(imgflow.ImgflowError, match="there is no context 'her'"):
        imgflow.connect(context="her")


def test_a_pipeline_is_a_file_or_what_one_would_hold(flow: imgflow.Flow, tmp_path: Path) -> None:
    written: list[Any] = [["resize", "9x9"], {"blur": "median"}]
    (tmp_path / "steps.json").write_text(json.dumps(written))

    one = flow.submit("Fashion", pipeline=written, sample=1)
    other = flow.submit("Fashion", pipeline=tmp_path / "steps.json", sample=1)

    assert one._known.run.pipeline.labels == ["scale", "blur"]
    assert one._known.run.digest == other._known.run.digest
    with pytest.raises(imgflow.ImgflowError, match="pipeline: step 1"):
        flow.submit("Fashion", pipeline=[{"scal": 3}])


def test_without_pandas_a_table_says_what_to_install(run: imgflow.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(imgflow.ImgflowError, match="needs pandas") as caught:
        run.results()
    assert caught.value.hint == "pip install 'imgflow[notebook]'"


SCRIPT = """
import imgflow
print("once")
print(imgflow.connect(workers=2).submit("Fashion", steps="scale:10x10").counts)
"""


def test_a_script_submits_without_a_guard_and_its_processes_do_not_run_it_again(
    run: imgflow.Run, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "IMGFLOW_STORE": run._session.store.url},
    )

    assert done.stdout.splitlines() == ["once", "listed=12 processed=11 cached=0 rejected=1 failed=0"]


def test_the_readme_s_lines_do_what_they_say(
    root: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [lines] = re.findall(r"```python\n(.*?)```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(shop.parent)
    monkeypatch.setenv("IMGFLOW_STORE", str(tmp_path))

    exec(lines, told := {})

    assert len(told["run"].results()) == told["run"].counts.listed > 0
    assert set(re.findall(r"\(.*\)", capsys.readouterr().out)) <= {"(48, 32)"}


@pytest.mark.minio
def test_all_of_it_works_on_minio(shop: Path, minio_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in minio_server.environment.items():
        monkeypatch.setenv(name, value)

    with imgflow.connect(store=minio_server.new_bucket(), workers=1) as flow:
        assert flow.ingest(shop, "Fashion").copied == 12
        run = flow.submit("Fashion", steps=STEPS, where="gender = 'Women'", format="png")
        table = run.results(columns=["image", "gender", "status"], where="gender IS NOT NULL")
        assert set(table["gender"]) == {"Women"}
        assert len(list(run.images())) == 2 * run.counts.processed
        assert run.image(table["image"][0], "r1c2").size == (16, 21)
        assert "s3://" in run._repr_html_()
        assert len(flow.query("SELECT * FROM results")) == len(table)


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(
    run: imgflow.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.fetch(tmp_path)
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run.fetch(tmp_path)

    [*_, last] = capsys.readouterr().err.split("\r\x1b[K")
    assert last == "0 of 22 pictures copied (0 B) · 22 there already\n"


def test_what_is_worth_a_word_is_logged(flow: imgflow.Flow, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "imgflow"):
        flow.submit("Fashion", steps="rotate:0,scale:7x7", sample=1, run="words")

    assert "run words" in caplog.text
    assert "rotate" in caplog.text
