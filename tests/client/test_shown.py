"""Pictures, pages and progress: what a notebook shows."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from tests.catalogs import FIRST
from tests.client.conftest import LETTER

import imgflow
from imgflow import pictures, progress
from imgflow_steps.records import keys
from imgflow_steps.records.run import save
from imgflow_workflows.runs import state

PIECES = ("r1c1", "r1c2")


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
    state, fetched = run._session.store.read, []

    def noting(key: str, version: str = "") -> bytes:
        fetched.append(key)
        return state(key, version)

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
    clock = {"time": time.time, "monotonic": time.monotonic, "sleep": lambda _: store.write(style, held)}
    monkeypatch.setattr(state, "time", SimpleNamespace(**clock))  # not everybody's: other threads sleep, too

    assert held.decode() in run.report().page.decode()


def test_a_picture_that_was_never_made_is_an_error_that_says_where_to_look(run: imgflow.Run) -> None:
    with pytest.raises(imgflow.ImgflowError, match=f"run halves made no picture of {LETTER}~r1c1") as caught:
        run.image(LETTER, "r1c1")
    assert "run.results()" in caught.value.hint
    with pytest.raises(imgflow.ImgflowError, match=f"{LETTER} cannot be shown: unsupported-format"):
        run.original(LETTER)


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(
    run: imgflow.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run.fetch(tmp_path)
    assert capsys.readouterr().err == ""

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run.fetch(tmp_path)

    [*_, last] = capsys.readouterr().err.split("\r\x1b[K")
    assert last == "0 of 22 pictures copied (0 B) · 22 there already\n"


def test_what_comes_after_a_line_that_never_came_to_its_end_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")

    with progress.line(show=True) as line:
        line.show("scale: 12,000/1,000,000 · 4 rejected")

    assert capsys.readouterr().err == "\r\x1b[Kscale: 12,000/1,000\n"
