"""fetch and process: one command from a folder to a folder, which goes on wherever it was stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import catalogs, photographs, servers
from tests.processes import children

from imgflow_cli.commands import fetch as command
from imgflow_steps.store import open_store
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

STEPS = ("--steps", "scale:48x48,grayscale")


def tree(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if not name.endswith(".csv")}


def test_a_run_s_pictures_are_fetched_once(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--run", "demo-1", "--workers", "1", *STEPS)

    first = imgflow("fetch", "demo-1", "out", "-o", "json")
    second = imgflow("fetch", "@latest", "out")

    assert (first.code, second.code) == (0, 0)
    assert (first.json["run"], first.json["copied"], first.json["refused"]) == ("demo-1", 3, {})
    assert second.out == "demo-1: 0 of 3 pictures copied (0 B) · 3 there already\n"
    assert set(tree(Path("out"))) == {"0.jpg", "1.jpg", "2.jpg"}
    assert "letter.jpg,rejected" in Path("out/demo-1.csv").read_text()


def test_only_images_that_fit_are_fetched_and_each_to_the_same_place(imgflow: Cli, store: Store) -> None:
    catalogs.fashion(Path("fashion"), 12)
    imgflow("ingest", "fashion/styles.csv", "-m", "Fashion")
    imgflow("submit", "-m", "Fashion", "--run", "all", "--workers", "1", *STEPS)

    some = imgflow("fetch", "all", "out", "--where", "gender = 'Women'", "-o", "json").json
    chosen = set(tree(Path("out")))
    rest = imgflow("fetch", "all", "out", "-o", "json").json
    none = imgflow("fetch", "all", "none", "--where", "year < 1900")
    both = imgflow("fetch", "all", "both", "--where", "gender = 'Women' AND output_width > 0", "-o", "name")

    assert 0 < some["copied"] == some["pictures"] == len(chosen) < 12
    assert (rest["copied"], rest["present"]) == (12 - len(chosen), len(chosen))
    assert none.code == 2
    assert "no image of run all fits" in none.err
    assert not Path("none").exists()
    assert (both.code, set(tree(Path("both")))) == (0, chosen)


def test_results_alone_say_what_is_fetched_where_there_is_no_catalog(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--run", "all", "--workers", "1", *STEPS)

    done = imgflow("fetch", "all", "out", "--where", "image = '1.jpg' AND output_width > 0", "-o", "json")

    assert (done.code, set(tree(Path("out")))) == (0, {"1.jpg"})


def test_what_is_not_fetched_is_told_and_fails_the_command(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--run", "demo-1", "--workers", "1", *STEPS)
    Path("out").mkdir()
    Path("out/1.jpg").write_bytes(b"mine")

    done = imgflow("fetch", "demo-1", "out")

    assert done.code == 1
    assert "1.jpg: another file is there: it stays; --overwrite" in done.err
    assert imgflow("fetch", "demo-1", "out", "--overwrite").code == 0


def test_a_run_that_has_no_results_yet_says_what_brings_them(imgflow: Cli, demo: Store) -> None:
    imgflow("submit", "-m", "Demo", "--run", "demo-1", "--workers", "1", *STEPS)
    demo.delete(["runs/demo-1/summary.json", "runs/demo-1/results.jsonl"])

    done = imgflow("fetch", "demo-1", "out")

    assert done.code == 1
    assert "has no results yet" in done.err
    assert not Path("out").exists()


def test_ctrl_c_says_that_the_same_command_goes_on(imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    imgflow("submit", "-m", "Demo", "--run", "demo-1", "--workers", "1", *STEPS)
    monkeypatch.setattr(command, "copy", interrupt)

    done = imgflow("fetch", "demo-1", "out")

    assert done.code == 130
    assert "run the same command again to resume" in done.err


def test_a_folder_becomes_another_with_the_same_tree(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 6)
    Path("in/broken.jpg").write_bytes(b"Dear Sir or Madam")
    before = tree(Path("in"))

    done = imgflow("process", "in", "out", *STEPS, "--format", "png", "--workers", "1", "-o", "json")

    assert done.code == 0
    assert (done.json["counts"]["processed"], done.json["counts"]["rejected"], done.json["copied"]) == (6, 1, 6)
    assert set(tree(Path("out"))) == {f"{'abc'[i % 3]}/{i:03d}.png" for i in range(6)}
    assert tree(Path("in")) == before
    table = (Path("out") / f"{done.json['run']}.csv").read_text()
    assert "broken.jpg,rejected" in table


def test_the_same_command_does_nothing_twice_and_another_pipeline_is_another_run(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 3)
    first = imgflow("process", "in", "out", *STEPS, "--workers", "1", "-o", "json").json
    before = tree(Path("out"))

    second = imgflow("process", "./in/", "out", *STEPS, "--workers", "1", "-o", "json").json
    third = imgflow("process", "in", "other", "--steps", "rotate:90", "--workers", "1", "-o", "json").json

    assert (second["run"], second["municipality"]) == (first["run"], first["municipality"])
    assert (second["copied"], second["present"]) == (0, 3)
    assert tree(Path("out")) == before
    assert third["run"] != first["run"]
    assert third["municipality"] == first["municipality"]


def test_new_photographs_alone_are_computed_and_fetched(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 3)
    imgflow("process", "in", "out", *STEPS, "--workers", "1")
    photographs.folder(Path("in"), 5)  # with the same first three, written again: their time is new
    os.utime("in/a/000.jpg", ns=(0, 0))

    done = imgflow("process", "in", "out", *STEPS, "--workers", "1", "-o", "json").json

    assert done["counts"]["listed"] == 5
    assert (done["copied"], done["present"]) == (2, 3)


@pytest.mark.parametrize(("source", "directory"), [("in", "in"), ("in", "in/out"), ("in", "."), ("in/a", "in")])
def test_folders_that_hold_each_other_are_refused(imgflow: Cli, source: str, directory: str) -> None:
    photographs.folder(Path("in"), 3)

    done = imgflow("process", source, directory)

    assert done.code == 2
    assert "overlap: one contains the other" in done.err


def test_a_folder_that_is_not_there_is_named(imgflow: Cli) -> None:
    done = imgflow("process", "nowhere", "out")

    assert done.code == 2
    assert "nowhere is not a directory" in done.err


def test_too_many_rejected_end_it_as_they_end_submit_after_the_rest_is_fetched(imgflow: Cli) -> None:
    photographs.folder(Path("in"), 2)
    Path("in/broken.jpg").write_bytes(b"Dear Sir or Madam")

    done = imgflow("process", "in", "out", *STEPS, "--max-rejected", "0", "--workers", "1")

    assert done.code == 4
    assert len(tree(Path("out"))) == 2


def test_photographs_go_through_a_store_on_s3(
    imgflow: Cli, moto_server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_server.environment.items():
        monkeypatch.setenv(name, value)
    photographs.folder(Path("in"), 3)

    done = imgflow("process", "in", "out", *STEPS, "--store", moto_server.new_bucket(), "--workers", "1", "-o", "json")

    assert done.json["copied"] == 3
    assert len(tree(Path("out"))) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="finds the processes to wait for below /proc")
@pytest.mark.thorough
def test_kill_minus_nine_in_the_middle_loses_nothing_and_nothing_is_done_twice(imgflow: Cli, tmp_path: Path) -> None:
    photographs.folder(Path("in"), 3)
    for i in range(60):
        Path(f"in/c/more-{i}.jpg").write_bytes(photographs.jpeg(1, 800, 600))
    arguments = ["process", "in", "out", "--steps", "blur:bilateral:3", "--workers", "1", "-o", "json"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}  # what is killed cannot clean up
    started = subprocess.Popen([sys.executable, "-m", "imgflow_cli", *arguments], env=env, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not list(Path(".imgflow/results").rglob("*.jsonl")) and time.monotonic() < end:
        time.sleep(0.02)
    family = children(started.pid)
    started.kill()
    started.wait(timeout=60)
    while any(Path(f"/proc/{pid}").exists() for pid in family) and time.monotonic() < end:
        time.sleep(0.02)
    flushed = _rows()
    assert 0 < len(flushed) < 63

    done = imgflow(*arguments)

    after = _rows()
    assert done.code == 0
    assert done.json["counts"]["processed"] == done.json["counts"]["listed"] == 63
    assert {image: after[image] for image in flushed} == flushed
    assert set(tree(Path("out"))) == set(tree(Path("in")))


def _rows() -> dict[str, float]:
    """When each image that is known was computed."""
    store = open_store(".imgflow")
    lines = [line for f in store.entries("results/") if "/rows/" in f.key for line in store.read(f.key).splitlines()]
    return {row["image"]: row["ended"] for row in map(json.loads, lines)}


def test_what_resumes_an_interrupted_process_fills_its_folder(imgflow: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    photographs.folder(Path("mine"), 2)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "submit", interrupt)
        done = imgflow("process", "mine", "pictures", *STEPS)
    again = imgflow("process", "mine", "pictures", *STEPS, "--workers", "1")

    assert done.code == 130
    assert done.err.endswith("\nrun the same command again to resume\n")
    assert again.code == 0
    assert sorted(path.suffix for path in Path("pictures").rglob("0*")) == [".jpg", ".jpg"]
