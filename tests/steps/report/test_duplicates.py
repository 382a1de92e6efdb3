"""What collect says of near-duplicates: in the results, in the summary and in the report."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from tests.made_runs import MadeRun, make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys, rows
from imgflow_steps.records.row import Published, Row, Status
from imgflow_steps.report import data
from imgflow_steps.report.report import single_file

ONE, NEAR_ONE, OTHER = "0" * 32, "0" * 30 + "3f", "f" * 32


def made(folder: Path, hashes: dict[str, str], **collected: object) -> MadeRun:
    """A run of images with these hashes, all processed."""
    run = make_run(folder, **collected)
    run.list(hashes)
    run.add(*(run.row(image, dhash=dhash) for image, dhash in hashes.items()))
    return run


def told(run: MadeRun) -> dict[str, str]:
    lines = csv.DictReader(io.StringIO(run.read(keys.results_csv("utrecht-1")), newline=""))
    return {line["image"]: line["duplicate_of"] for line in lines}


def page(run: MadeRun) -> str:
    return run.read("runs/utrecht-1/report/index.html")


def test_results_name_the_first_image_that_each_near_duplicate_looks_like(tmp_path: Path) -> None:
    run = made(tmp_path, {"a.jpg": ONE, "b.jpg": OTHER, "c.jpg": NEAR_ONE, "d.jpg": "", "e.jpg": OTHER})

    summary = collect(run.store, run.run, output=None)

    assert told(run) == {"a.jpg": "", "b.jpg": "", "c.jpg": "a.jpg", "d.jpg": "", "e.jpg": "b.jpg"}
    lines = run.store.read(keys.results_jsonl("utrecht-1")).splitlines()
    assert {row.image: row.duplicate_of for row in map(Row.model_validate_json, lines)} == told(run)
    assert (summary.duplicates, summary.duplicate_groups, summary.near) == (2, 2, 6)


@pytest.mark.parametrize(("near", "duplicates"), [(0, 0), (5, 0), (6, 1)])
def test_how_near_is_a_parameter_of_collect(tmp_path: Path, near: int, duplicates: int) -> None:
    run = made(tmp_path, {"a.jpg": ONE, "b.jpg": NEAR_ONE}, near=near)

    assert collect(run.store, run.run, output=None).duplicates == duplicates


def test_images_without_a_result_are_no_duplicates_and_nothing_is_one_of_them(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.list(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    run.add(
        run.row("a.jpg", Status.REJECTED, dhash=ONE),
        run.row("b.jpg", dhash=ONE, run="utrecht-0"),
        run.row("c.jpg", dhash=ONE),
        run.row("d.jpg", Status.FAILED, dhash=ONE),
    )

    collect(run.store, run.run, output=None)

    assert told(run) == {"a.jpg": "", "b.jpg": "", "c.jpg": "b.jpg", "d.jpg": ""}


def test_the_report_shows_the_largest_groups_with_pictures_side_by_side(tmp_path: Path) -> None:
    run = made(tmp_path, {f"{n:02d}.jpg": OTHER if n % 3 else ONE for n in range(30)})
    for n in range(30):
        run.store.write(f"out/{n:02d}.jpg", b"a picture")

    collect(run.store, run.run, output=None)

    section = page(run).partition('id="alike"')[2].partition("</section>")[0]
    assert "28\xa0images look like another one, in 2\xa0groups" in section
    assert "<code>imgflow view</code> shows all side by side" in section
    assert section.index("20\xa0images") < section.index("10\xa0images")
    assert section.count("<img") == 2 * data.SHOWN
    assert f"and {20 - data.NAMED} more" in section
    assert '<a href="#alike">' in page(run)


@pytest.mark.parametrize("form", ["png", "webp"])
def test_pictures_of_near_duplicates_keep_their_format_also_in_the_single_file(tmp_path: Path, form: str) -> None:
    run = make_run(tmp_path)
    run.list(["a.jpg", "b.jpg"])
    output = Published(key=f"out/a.{form}", sha256="0" * 64, width=8, height=8)
    run.store.write(output.key, b"a picture")
    run.add(*(run.row(image, dhash=ONE, outputs=[output]) for image in ("a.jpg", "b.jpg")))

    collect(run.store, run.run, output=None)

    assert f'src="thumbs/0000.{form}"' in page(run)
    assert f"data:image/{form};base64,".encode() in single_file(
        lambda name: run.store.read(f"runs/utrecht-1/report/{name}")
    )


def test_a_picture_that_is_large_is_left_out_of_the_report(tmp_path: Path) -> None:
    run = made(tmp_path, {"a.jpg": ONE, "b.jpg": ONE})
    run.store.write("out/a.jpg", b"x" * 600_000)

    collect(run.store, run.run, output=None)

    assert not list(run.store.entries("runs/utrecht-1/report/thumbs/"))
    assert "no picture" in page(run)


def test_without_near_duplicates_the_report_does_not_speak_of_them(tmp_path: Path) -> None:
    run = made(tmp_path, {"a.jpg": ONE, "b.jpg": OTHER, "c.jpg": ""})

    collect(run.store, run.run, output=None)

    assert "alike" not in page(run)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("records.duplicates.MOST", "Not looked for"),
        ("records.hamming.COMPARISONS", "only equal hashes were looked for"),
    ],
)
def test_what_was_not_looked_for_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, words: str
) -> None:
    monkeypatch.setattr(f"imgflow_steps.{limit}", 1)
    run = made(tmp_path, {"a.jpg": ONE, "b.jpg": NEAR_ONE, "c.jpg": "0" * 31 + "1"})

    summary = collect(run.store, run.run, output=None)

    assert summary.near != 6
    assert words in page(run)


@pytest.mark.thorough
def test_names_of_near_duplicates_are_not_held_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FETCHES", 1)
    peaks = []
    for count in (300, 1000, 3000):  # the first one loads modules and fills what pydantic remembers of short texts
        name = "/".join(["x" * 200] * 4)
        hashes = {
            f"{n:05d}{name}.jpg": f"{(n % (count // 2)) * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
            for n in range(count)
        }
        run = made(tmp_path / str(count), hashes)
        tracemalloc.start()
        summary = collect(run.store, run.run, output=None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert summary.duplicates == count // 2
    assert peaks[2] - peaks[1] < 2000 * 250
