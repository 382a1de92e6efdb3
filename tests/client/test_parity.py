"""What the command line says before, beside and after a run, a program is told as well, with types."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from tests import photographs
from tests.client.conftest import LETTER, STEPS

import imgflow

SCRIPT = """
import imgflow

flow = imgflow.connect(store="photos")
plan: imgflow.Plan = flow.plan("Fashion", steps="scale:50%")
todo: int = plan.listing.todo
sheet = flow.try_("scale:50%", "a.jpg").sheet
width: int = sheet.size[0]
story = flow.why("a.jpg")
keys: list[str] = [chapter.record.run.id for chapter in story.chapters]
run: imgflow.Run = flow.submit("Fashion", steps="scale:50%")
listed: int = run.counts.listed
worst: list[str] = [one.image for one in run.diff(flow.run("other")).worst]
changes: dict[str, str] = {one.setting: one.proposed for one in run.tune()}
wrong: list[str] = [check.mend for check in flow.doctor() if check.state.value == "wrong"]
lines: list[str] = list(run.logs(failed=True))
pairs = run.dataset(columns=["season"])
season: str = pairs[0][1]["season"]
widths: imgflow.Dataset[int] = run.dataset(transform=lambda picture, columns: picture.width)
total: int = sum(widths[:10])
"""


@pytest.fixture(scope="module")
def other(flow: imgflow.Flow, run: imgflow.Run) -> imgflow.Run:
    return flow.submit("Fashion", steps=STEPS.replace("infer", "grayscale,infer"), run="grey")


def test_a_plan_counts_what_a_run_would_do_and_writes_nothing(flow: imgflow.Flow, run: imgflow.Run) -> None:
    before = len(flow.runs())

    again, new = flow.plan("Fashion", steps=STEPS), flow.plan("Fashion", steps="scale:8x8", sample=3)

    assert (again.listing.listed, again.listing.todo) == (12, 0)
    assert (new.listing.listed, new.listing.todo) == (3, 3)
    assert "to compute   3" in str(new)
    assert "<td>shards</td>" in new._repr_html_()
    assert len(flow.runs()) == before


def test_submit_and_plan_take_the_same_arguments_and_show_them(flow: imgflow.Flow) -> None:
    submit, plan = (inspect.signature(method).parameters for method in (flow.submit, flow.plan))

    assert list(submit) == list(plan)
    assert list(submit)[:2] == ["municipality", "steps"]
    assert submit["retry"].default == ""
    with pytest.raises(TypeError, match="unexpected keyword argument 'stepz'"):
        flow.plan("Fashion", stepz="scale:8x8")  # type: ignore[call-arg]


def test_one_photograph_is_tried_without_a_run(flow: imgflow.Flow, shop: Path) -> None:
    tried = flow.try_("scale:16x16,split:halves", next((shop.parent / "images").glob("*5.jpg")))

    assert [stage.pictures for stage in tried.trial.stages] == [1, 1, 2, 2]  # decode, two steps, encode
    assert tried._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(imgflow.ImgflowError, match="would be rejected: unsupported-format"):
        flow.try_("scale:16x16", shop.parent / "images" / LETTER)
    with pytest.raises(imgflow.ImgflowError, match="cannot be read: No such file"):
        flow.try_("scale:16x16", "gone.jpg")


def test_a_photograph_of_a_municipality_is_tried_with_the_boxes_that_people_gave(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("marked.jpg", "unseen.jpg"):
        (tmp_path / "photos" / name).write_bytes(photographs.jpeg(1, 320, 256))
    (tmp_path / "boxes.csv").write_text("image,x,y,w,h\nmarked.jpg,200,16,64,64\n")
    (tmp_path / "cover.yaml").write_text("- redact: {colour: black}\n")
    delft = imgflow.connect(store=tmp_path / "store")
    delft.ingest(tmp_path / "photos", "Delft")
    delft.boxes(tmp_path / "boxes.csv", "Delft")

    [after] = delft.try_(f"@{tmp_path / 'cover.yaml'}", "marked.jpg", "Delft").trial.after

    assert after[32:64, 216:248].max() < 16
    with pytest.raises(imgflow.ImgflowError, match=r"unseen\.jpg would be rejected: no-finder"):
        delft.try_(f"@{tmp_path / 'cover.yaml'}", "unseen.jpg", "Delft")
    with pytest.raises(imgflow.ImgflowError, match=r"there is no image gone\.jpg in municipality Delft"):
        delft.try_("grayscale", "gone.jpg", "Delft")


def test_the_story_of_an_image_has_a_chapter_for_each_run(flow: imgflow.Flow, other: imgflow.Run) -> None:
    story = flow.why(LETTER)

    assert (story.municipality, story.image) == ("Fashion", LETTER)
    assert [chapter.record.run.id for chapter in story.chapters][:2] == ["grey", "halves"]
    with pytest.raises(imgflow.ImgflowError, match="no image has the name"):
        flow.why("nothing.jpg")
    with pytest.raises(imgflow.ImgflowError, match="12 images have the name"):
        flow.why(".jpg")


def test_two_runs_are_compared(flow: imgflow.Flow, run: imgflow.Run, other: imgflow.Run) -> None:
    assert other.diff(run, worst=3).pictures == flow.diff("halves", "grey").pictures > 0
    assert len(other.diff(run, worst=3).worst) == 3
    assert not run.diff(run).worst


def test_a_run_s_proposals_and_what_is_wrong_here_are_tables(flow: imgflow.Flow, run: imgflow.Run) -> None:
    proposals, checks = run.tune(), flow.doctor()

    assert "shard_size" in {one.setting.replace("-", "_").strip("_") for one in proposals}
    assert {check.name for check in checks} >= {"store", "libraries", "workers"}
    assert "<td>store</td>" in checks._repr_html_()
    assert len(checks[:2]) == 2
    assert repr(checks).count("Check(") == len(checks)


def test_logs_of_a_run_on_this_machine_are_refused_in_the_command_line_s_words(run: imgflow.Run) -> None:
    with pytest.raises(imgflow.ImgflowError):
        list(run.logs())


@pytest.mark.thorough
def test_a_user_s_script_is_typed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    command = [sys.executable, "-m", "mypy", "--strict", "--ignore-missing-imports", "--follow-imports=silent"]

    def checked(text: str) -> subprocess.CompletedProcess[str]:
        script.write_text(text, encoding="utf-8")
        return subprocess.run([*command, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert checked(SCRIPT).stdout == "Success: no issues found in 1 source file\n"
    assert "has no attribute" in checked(SCRIPT + "run.statuss\n").stdout
    assert "stepz" in checked(SCRIPT + 'flow.submit("Fashion", stepz="scale:50%")\n').stdout
