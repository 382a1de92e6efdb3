from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from tests.made_runs import MadeRun, make_run
from tests.steps.report.test_report import jpeg, lint

from imgflow_steps.collect.work import run as collect
from imgflow_steps.records import keys
from imgflow_steps.records.row import Published, Row, Status
from imgflow_steps.report import parts as shown
from imgflow_steps.report.figures import NONE
from imgflow_steps.report.parts import Sections

if TYPE_CHECKING:
    from pathlib import Path


def section(made: MadeRun, folder: Path) -> str:
    collect(made.store, made.run, output=folder)
    lint(folder)
    page = (folder / "index.html").read_text().replace("\N{NO-BREAK SPACE}", " ")
    found = re.search(r'<section id="sections".*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def rows(section: str) -> list[list[str]]:
    body = re.search(r"<tbody>.*?</tbody>", section, re.DOTALL)
    return [re.findall(r">([^<>]+)<", row) for row in re.findall(r"<tr>.*?</tr>", body[0])] if body else []


def made(folder: Path, images: list[str], **collect: object) -> MadeRun:
    made = make_run(folder / "store", **collect)
    made.list(images)
    made.add(*(made.row(image) for image in images))
    return made


def test_folders_are_told_apart_where_their_paths_first_differ(tmp_path: Path) -> None:
    images = ["town/2024/a/1.jpg", "town/2024/a/x/2.jpg", "town/2024/b/3.jpg", "town/2024/c.jpg"]

    section_ = section(made(tmp_path, images), tmp_path / "report")

    assert [(row[0], row[1]) for row in rows(section_)] == [
        ("town/2024/", "1"),
        ("town/2024/a/", "2"),
        ("town/2024/b/", "1"),
    ]


def test_folders_of_the_same_name_in_different_ones_are_not_taken_for_shared(tmp_path: Path) -> None:
    section_ = section(made(tmp_path, ["a/2024/1.jpg", "b/2024/2.jpg"]), tmp_path / "report")

    assert [row[0] for row in rows(section_)] == ["a/", "b/"]


@pytest.mark.parametrize("images", [["a/1.jpg", "a/2.jpg"], ["1.jpg", "2.jpg"], ["a/1.jpg"], []])
def test_one_folder_makes_no_section(images: list[str], tmp_path: Path) -> None:
    assert section(made(tmp_path, images), tmp_path / "report") == ""


def test_sections_can_be_switched_off(tmp_path: Path) -> None:
    assert section(made(tmp_path, ["a/1.jpg", "b/2.jpg"], sections="none"), tmp_path / "report") == ""


def test_a_section_says_its_counts_mean_time_findings_and_reasons(tmp_path: Path) -> None:
    run = make_run(tmp_path / "store")
    run.list(["a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg", "b/1.jpg"])

    def found(label: str) -> list[Published]:
        return [Published(key="", sha256="0" * 64, width=1, height=1, found={"label": label})]

    run.add(run.row("a/1.jpg", outputs=found("tree"), ms={"decode": 100.0}))
    run.add(run.row("a/2.jpg", outputs=found("tree"), ms={"decode": 300.0}))
    run.add(run.row("a/3.jpg", outputs=found("car"), ms={"decode": 999.0}, run="old"))
    run.add(run.row("a/4.jpg", Status.REJECTED, code="truncated", ms={}))
    run.add(run.row("b/1.jpg", outputs=found("dog")))

    section_ = section(run, tmp_path / "report")

    assert rows(section_)[0] == ["a/", "4", "1", NONE, "200 ms"]
    first = section_.partition('id="section-1"')[2].partition("</details>")[0]
    assert re.findall(r"<bdi>([^<]+)</bdi></th>.*?<td class=\"figure\">(\d+)<", first) == [
        ("tree", "2"),
        ("car", "1"),
        ("truncated", "1"),
    ]


def test_images_of_a_section_lead_to_their_places_and_show_what_the_report_has_of_them(tmp_path: Path) -> None:
    run = make_run(tmp_path / "store")
    images = [f"{folder}/{n:02d}.jpg" for folder in "ab" for n in range(20)]
    run.list(images)
    run.store.write("thumb.jpg", jpeg())
    run.add(*(run.row(image, thumbs=["thumb.jpg"] if image == "b/15.jpg" else []) for image in images))

    section_ = section(run, tmp_path / "report")

    second = section_.partition('id="section-2"')[2]
    assert 'href="images-0001.html#image-21"' in second
    assert re.findall(r'<img[^>]* alt="([^"]*)"', second) == ["before: b/15.jpg"]
    assert "and 7 more, following on the pages" in second


def test_what_files_tell_makes_sections_too(tmp_path: Path) -> None:
    run = make_run(tmp_path / "store", sections="camera")
    run.list(["a.jpg", "b.jpg"])
    run.add(run.row("a.jpg", exif={"camera": "<Box>"}), run.row("b.jpg"))

    assert [row[0] for row in rows(section(run, tmp_path / "report"))] == ["&#60;Box&#62;", "without camera"]


def test_a_column_is_merged_with_the_listing_though_neither_has_all_of_the_other(tmp_path: Path) -> None:
    run = made(tmp_path, ["a.jpg", "c.jpg", "d.jpg"], sections="district")
    run.store.write(keys.sections(run.run.id), b'["b.jpg", "West"]\n["c.jpg", "East"]\n["e.jpg", "West"]\n')

    assert [row[:2] for row in rows(section(run, tmp_path / "report"))] == [["East", "1"], ["without district", "2"]]


def test_a_run_that_a_pod_began_has_no_values_of_a_column_and_gets_its_report(tmp_path: Path) -> None:
    assert section(made(tmp_path, ["a.jpg", "b/c.jpg"], sections="district"), tmp_path / "report") == ""


def test_sections_are_bounded_and_no_image_is_left_uncounted() -> None:
    found = Sections("mine", "folder", lambda row: row.image.partition("/")[0])
    for n in range(shown.KEPT + 50):
        for i in range(3 if n == 7 else 1):
            found.add(Row(image=f"{n:04d}/{i}.jpg", version="v1", run="mine"))

    assert len(found.kept) == shown.KEPT
    assert len(found.shown) == shown.SHOWN
    assert found.rest == shown.KEPT + 52 - sum(part.counts.listed for _, part in found.shown)
    assert ("0007", 3) in [(name, part.counts.listed) for name, part in found.shown]
