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
from tests import finders, photographs
from tests.client.conftest import LETTER, STEPS

import imgflow
from imgflow_cli.__main__ import main
from imgflow_steps.records import keys
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.results.outlines import MARK
from imgflow_workflows.submit import openable

if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_what_a_run_is_asked_is_about_that_run_and_what_the_flow_is_asked_about_the_newest(
    flow: imgflow.Flow, run: imgflow.Run
) -> None:
    flow.submit("Fashion", steps="scale:8x8", sample=2, run="newest")
    sql = "SELECT DISTINCT output_width FROM results WHERE status = 'processed'"

    assert list(run.query(sql)["output_width"]) == [16]
    assert set(run.results(columns=["output_width"], where="status = 'processed'")["output_width"]) == {16}
    assert {picture.width for _, picture in run.images(limit=2)} == {16}
    assert list(flow.query(sql)["output_width"]) == [8]


def test_a_table_that_sql_cannot_make_is_one_error_that_names_what_is_near(run: imgflow.Run) -> None:
    with pytest.raises(imgflow.ImgflowError, match=r'"found_sharpnes" not found.*"found_sharpness"'):
        run.results(where="found_sharpnes > 1")


def test_export_and_fetch_do_as_their_commands_do(flow: imgflow.Flow, run: imgflow.Run, tmp_path: Path) -> None:
    exported = flow.export(tmp_path / "out", "Fashion", where="gender = 'Women'")
    fetched = run.fetch(tmp_path / "pictures")

    assert exported.copied == len(pd.read_parquet(tmp_path / "out/catalog.parquet"))
    assert (fetched.copied, run.fetch(tmp_path / "pictures").copied) == (22, 0)


def test_export_takes_every_form_that_the_command_takes(flow: imgflow.Flow, run: imgflow.Run, tmp_path: Path) -> None:
    made = flow.export(tmp_path / "map", "Fashion", where="gender = 'Women'", form="geojson")

    features = json.loads((tmp_path / "map/photographs.geojson").read_text(encoding="utf-8"))["features"]
    assert len(features) == len(list(flow.images("Fashion", where="gender = 'Women'")))
    assert (made.copied, made.bytes) == (1, (tmp_path / "map/photographs.geojson").stat().st_size)


def test_a_run_goes_on_when_asked(flow: imgflow.Flow) -> None:
    run = flow.submit("Fashion", steps="scale:9x9", sample=2, run="on")
    store = run._session.store
    [row, *_] = store.entries(keys.rows("Fashion", run._known.run.digest))
    store.delete([row.key])

    assert run.retry(rejected=True).counts.listed == 2
    assert run.status == "succeeded"


def test_near_duplicates_are_left_out_when_asked(flow: imgflow.Flow, tmp_path: Path) -> None:
    for name, quality in (("first.jpg", 90), ("second.jpg", 75)):
        photographs.pixels(3).save(tmp_path / name, quality=quality)
    flow.ingest(tmp_path, "Album")

    table = flow.submit("Album", steps="scale:32x32", once=True).results(columns=["image"])

    assert list(table["image"]) == ["first.jpg"]


def test_boxes_that_people_gave_are_covered_without_any_model(flow: imgflow.Flow, tmp_path: Path) -> None:
    for name in ("marked.jpg", "new.jpg"):
        photographs.pixels(4).save(tmp_path / name)
    flow.ingest(tmp_path, "Marked")
    (tmp_path / "boxes.csv").write_text("image,x0,y0,x1,y1\nmarked.jpg,1,1,9,9\n")

    assert flow.boxes(tmp_path / "boxes.csv", "Marked") == 1
    table = flow.submit("Marked", steps="redact").results(columns=["image", "code"])
    assert [*table["code"].fillna("")] == ["", "no-finder"]
    assert flow.boxes(None, "Marked") == 0
    with pytest.raises(imgflow.ImgflowError, match="nobody gave boxes for Marked"):
        flow.submit("Marked", steps="redact")


def colours(picture: Image.Image) -> set[Any]:
    return {colour for _, colour in picture.convert("RGB").getcolors(1 << 20)}


def test_pictures_come_with_what_was_found_outlined_when_asked(flow: imgflow.Flow, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("one.png", "two.png"):
        Image.new("RGB", (128, 64), (120, 120, 120)).save(tmp_path / "photos" / name)
    flow.ingest(tmp_path / "photos", "Found")
    finder = finders.constant(tmp_path, ("face", 0.9, 80.0, 16.0, 24.0, 24.0))
    steps = [{"infer": {"model": str(finder)}}, "split:2x1"]
    run = flow.submit("Found", pipeline={"steps": steps, "output": "png"})

    marked = {name: MARK in colours(picture) for name, picture in run.images(boxes=True)}
    assert marked == {f"{name}.png~{piece}": piece == "r1c2" for name in ("one", "two") for piece in ("r1c1", "r1c2")}
    assert run.image("one.png", "r1c2", boxes=True).getpixel((16, 28)) == MARK
    assert run.image("one.png", "r1c2").getpixel((16, 28)) == (120, 120, 120)
    assert all(MARK not in colours(picture) for _, picture in run.images())


def test_runs_are_found_by_name_and_the_newest_without_one(flow: imgflow.Flow, run: imgflow.Run) -> None:
    assert flow.run("halves").id == run.id
    assert flow.run(municipality="Fashion").id == flow.runs("Fashion")[0].id
    assert "Fashion" in flow.municipalities()
    assert repr(run) == "Run(halves, Fashion, succeeded: 12 listed = 11 processed + 0 cached + 1 rejected + 0 failed)"


def test_a_run_that_gave_up_does_not_pretend_to_add_up(flow: imgflow.Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openable, "check", lambda *_, **__: None)  # as where the model is in a store alone
    Path("no.onnx").write_bytes(b"no model")
    with pytest.raises(imgflow.ImgflowError, match="ONNX"):
        flow.submit("Fashion", steps="infer:no.onnx", run="lost")

    assert repr(flow.run("lost")) == "Run(lost, Fashion, failed: 12 listed, 0 processed so far)"


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
    place = ("--store", run._session.store.url)
    said = told_by_the_command(capsys, *arguments, *place)

    with pytest.raises(imgflow.ImgflowError) as caught:
        ask(flow)

    hint = "" if said["hint"].endswith("--help` shows how") else said["hint"]  # a program has no --help…
    hint = hint.replace(f" {' '.join(place)} ", " ")  # …and one store
    assert (str(caught.value), caught.value.hint, int(caught.value.code)) == (said["message"], hint, said["exit"])
    assert getattr(caught.value, "__notes__", []) == ([hint] if hint else [])


def test_a_store_that_is_away_is_said_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("imgflow_steps.store.asking._Retry.sleep", lambda *_: None)

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


def test_the_page_s_lines_do_what_they_say(
    root: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [lines] = re.findall(r"```python\n(.*?)```", (root / "docs/notebooks.md").read_text(encoding="utf-8"), re.DOTALL)
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


def test_what_is_worth_a_word_is_logged(flow: imgflow.Flow, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "imgflow"):
        flow.submit("Fashion", steps="rotate:0,scale:7x7", sample=1, run="words")

    assert "run words" in caplog.text
    assert "rotate" in caplog.text


def test_a_connection_leaves_the_environment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("imgflow.yaml").write_text(
        "contexts:\n  here: {store: ./there, endpoint: 'http://127.0.0.1:9', region: eu-west-1}\n"
    )
    before = dict(os.environ)

    flow = imgflow.connect(context="here")
    with flow._session.asking():
        assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert flow.runs() == []

    assert dict(os.environ) == before
