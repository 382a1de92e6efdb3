"""submit, plan and retry on a real directory with the real local engine."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests import photographs

from imgflow_steps.records import keys
from imgflow_steps.records.run import Run, load
from imgflow_steps.store import Store, UnavailableError
from imgflow_workflows.engines.local import LocalEngine

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

QUICK = ("submit", "-m", "Demo", "--workers", "1")


def test_submit_prints_one_json_document_with_counts_that_add_up(imgflow: Cli, demo: Store) -> None:
    done = imgflow(*QUICK, "-o", "json")

    assert done.code == 0
    assert done.json["status"] == "succeeded"
    assert done.json["counts"] == {"listed": 4, "processed": 3, "cached": 0, "rejected": 1, "failed": 0}
    assert Path(done.json["report"]).is_file()
    assert demo.stat(keys.run_json(done.json["run"]))


def test_a_second_submit_finds_everything_done(imgflow: Cli, demo: Store) -> None:
    imgflow(*QUICK)

    done = imgflow(*QUICK, "-o", "json")

    assert done.json["counts"] == {"listed": 4, "processed": 0, "cached": 3, "rejected": 1, "failed": 0}


def test_the_first_message_says_which_engine_and_store_are_in_use(imgflow: Cli, demo: Store) -> None:
    Path("imgflow.yaml").write_text("context: here\ncontexts: {here: {engine: local}}\n")

    done = imgflow(*QUICK)

    assert done.err.splitlines()[0] == "context here: engine local, store ./.imgflow"
    assert "4 listed = 3 processed + 0 cached + 1 rejected + 0 failed" in done.out


def test_quiet_leaves_only_data(imgflow: Cli, demo: Store) -> None:
    done = imgflow(*QUICK, "--quiet", "-o", "name")

    assert done.err == ""
    assert done.out.startswith("demo-")
    assert len(done.out.splitlines()) == 1


def test_more_rejected_than_allowed_ends_with_4_after_the_report(imgflow: Cli, demo: Store) -> None:
    done = imgflow(*QUICK, "--max-rejected", "10%", "-o", "json")

    assert done.code == 4
    assert done.json["exit"] == 4
    assert Path(done.json["report"]).is_file()


def test_as_many_rejected_as_allowed_is_fine(imgflow: Cli, demo: Store) -> None:
    assert imgflow(*QUICK, "--max-rejected", "1").code == 0


def test_rejected_images_are_tried_again_when_asked(imgflow: Cli, demo: Store) -> None:
    run = imgflow(*QUICK, "-o", "name").out.strip()
    asked = load(demo, run).created

    again = imgflow("retry", run, "--rejected", "-o", "json")

    assert again.json["run"] == run
    assert load(demo, run).created > asked
    assert load(demo, run).list.retry == "rejected"
    assert again.json["counts"]["rejected"] == 1


def test_submitting_again_under_the_same_id_goes_on_from_there(imgflow: Cli, demo: Store) -> None:
    imgflow(*QUICK, "--run", "mine")
    demo.write(keys.images("Demo") + "new.jpg", photographs.jpeg(9))

    for arguments in (("submit", "--run", "mine"), (*QUICK, "--run", "mine")):
        done = imgflow(*arguments, "-o", "json")
        assert done.json["run"] == "mine"
        assert done.json["counts"]["processed"] == 4


@pytest.mark.parametrize("flags", [("--set", "scale.width=7"), ("--source", ".")])
def test_a_run_id_never_means_two_things(imgflow: Cli, demo: Store, flags: tuple[str, str]) -> None:
    imgflow(*QUICK, "--run", "mine")

    assert "already" in imgflow(*QUICK, "--run", "mine", *flags).err
    assert "with its original options" in imgflow("submit", "--run", "mine", *flags).err


@pytest.mark.parametrize(
    "flags",
    [
        ("--include", "a*"),
        ("--exclude", "a*"),
        ("--follow-links",),
        ("--checksum",),
        ("--layout", "steps"),
        ("--shard-size", "1"),
        ("--nodes", "2"),
    ],
)
def test_a_run_that_is_resumed_takes_no_other_rules_of_what_is_listed_or_how_it_is_cut(
    imgflow: Cli, demo: Store, flags: tuple[str, ...]
) -> None:
    imgflow(*QUICK, "--run", "mine")

    done = imgflow("submit", "--run", "mine", *flags)

    assert done.code == 2
    assert "with its original options" in done.err


def test_an_unknown_municipality_is_answered_with_those_there_are(imgflow: Cli, demo: Store) -> None:
    done = imgflow("submit", "--municipality", "Dmo")

    assert done.code == 2
    assert "there are: Demo" in done.err
    assert "did you mean 'Demo'?" in done.err
    assert "imgflow ingest" in done.err
    assert "Traceback" not in done.err


def test_a_municipality_has_to_be_named(imgflow: Cli) -> None:
    done = imgflow("submit")

    assert done.code == 2
    assert "--municipality" in done.err


def test_photographs_are_used_where_they_lie(imgflow: Cli, store: Store, tmp_path: Path) -> None:
    photographs.folder(tmp_path / "photos", 3)

    done = imgflow("submit", "-m", "Anywhere", "--source", "photos", "--workers", "1", "-o", "json")

    assert done.json["counts"]["processed"] == 3
    assert done.json["source"] == str(tmp_path / "photos")
    assert "Anywhere" not in store.folders("datasets/")


def test_a_source_that_is_not_there_is_named(imgflow: Cli) -> None:
    done = imgflow("submit", "-m", "Demo", "--source", "nowhere")

    assert done.code == 2
    assert "nowhere" in done.err


def test_pods_cannot_see_a_directory_of_this_machine(imgflow: Cli, tmp_path: Path) -> None:
    done = imgflow("submit", "-m", "Demo", "--source", str(tmp_path), "--engine", "argo", "--store", "x")

    assert done.code == 2
    assert "--store x ingest` first" in done.err


def test_a_pipeline_of_your_own_comes_from_yaml_or_json(imgflow: Cli, demo: Store) -> None:
    document = {"steps": [{"scale": {"width": 20, "height": 20}}, "grayscale"], "output": {"format": "png"}}
    Path("p.json").write_text(json.dumps(document))
    Path("p.yaml").write_text("steps:\n- scale: {width: 20, height: 20}\n- grayscale\noutput: {format: png}\n")

    runs = [imgflow(*QUICK, "--pipeline", name, "-o", "json").json for name in ("p.json", "p.yaml")]

    assert runs[0]["digest"] == runs[1]["digest"]
    assert (runs[0]["counts"]["processed"], runs[1]["counts"]["cached"]) == (3, 3)
    assert demo.stat(keys.results("Demo", runs[0]["digest"]) + "images/0.jpg.png")


def test_a_wrong_pipeline_is_told_by_place(imgflow: Cli, demo: Store) -> None:
    Path("p.yaml").write_text("steps: [{scale: {widht: 3}}]")

    done = imgflow(*QUICK, "--pipeline", "p.yaml")

    assert done.code == 2
    assert "scale.widht" in done.err


def test_a_model_file_travels_into_the_store_under_its_hash(imgflow: Cli, demo: Store) -> None:
    model = Path("labels of mine.txt")
    model.write_text("one\ntwo\nthree\nfour\n")
    digest = hashlib.sha256(model.read_bytes()).hexdigest()

    run = imgflow(*QUICK, "--set", f"infer.labels={model}", "-o", "name").out.strip()

    assert load(demo, run).pipeline.steps[2].params.model_dump()["labels"] == f"models/{digest}.txt"
    assert demo.read(f"models/{digest}.txt") == model.read_bytes()


def test_a_file_of_the_store_is_known_by_what_it_holds_and_not_by_its_name(imgflow: Cli, demo: Store) -> None:
    submit = (*QUICK, "--set", "infer.labels=ours/labels.txt", "-o", "json")
    runs = []
    for text in (b"one\ntwo\nthree\nfour\n", b"a\nb\nc\nd\n", b"one\ntwo\nthree\nfour\n"):
        demo.write("ours/labels.txt", text)
        planned = imgflow("plan", "-m", "Demo", "--set", "infer.labels=ours/labels.txt", "-o", "json").json
        runs.append(imgflow(*submit).json)
        key = f"models/{hashlib.sha256(text).hexdigest()}.txt"
        assert load(demo, runs[-1]["run"]).pipeline.steps[2].params.model_dump()["labels"] == key
        assert demo.read(key) == text
        assert planned["digest"] == runs[-1]["digest"]

    assert [run["counts"]["processed"] for run in runs] == [3, 3, 0]


@pytest.mark.parametrize("path", ["nowhere.onnx", "./nowhere.onnx", "/nowhere.onnx"])
def test_a_model_that_is_nowhere_is_told_before_anything_is_written(imgflow: Cli, demo: Store, path: str) -> None:
    done = imgflow(*QUICK, "--set", f"infer.model={path}")

    assert done.code == 2
    assert "infer.model" in done.err
    assert not list(demo.entries("runs/"))


@pytest.mark.parametrize("command", [("plan", "-m", "Demo"), ("submit", "-m", "Demo", "--dry-run")])
def test_a_plan_says_what_would_be_done_and_writes_nothing(imgflow: Cli, demo: Store, command: tuple[str, ...]) -> None:
    before = [found.key for found in demo.entries()]

    words = imgflow(*command)
    plan = imgflow(*command, "--shard-size", "3", "-o", "json").json

    assert "4 listed, 4 to do" in words.out
    assert "fit 1024x768, luma only" in words.out
    assert (plan["listing"]["todo"], plan["listing"]["shards"]) == (4, 2)
    assert [found.key for found in demo.entries()] == before


def test_a_plan_says_why_little_is_left_to_do(imgflow: Cli, demo: Store) -> None:
    imgflow(*QUICK)

    known = imgflow("plan", "-m", "Demo")
    other = imgflow("plan", "-m", "Demo", "--set", "scale.width=99")

    assert "0 to do" in known.out
    assert "3 done by earlier runs; 1 rejected before" in known.out
    assert [line.split() for line in known.out.splitlines()[5:7]] == [["Shards", "none"], ["Layout", "none"]]
    assert "4 to do" in other.out
    assert "results of 1 other pipeline do not count" in other.out


def test_a_plan_predicts_what_a_pipeline_like_it_took_and_says_which_run_that_was(imgflow: Cli, demo: Store) -> None:
    nothing = imgflow("plan", "-m", "Demo")
    imgflow(*QUICK, "--run", "first")
    words = imgflow("plan", "-m", "Demo", "--set", "output.quality=50")
    prediction = imgflow("plan", "-m", "Demo", "--set", "output.quality=50", "-o", "json").json["prediction"]

    assert "not predicted: no earlier run" in nothing.out
    assert re.search(r"^decode +\S+ +(\S+ to )?\S+ +4 images of run first: the same muni", words.out, re.MULTILINE)
    assert re.search(r"^encode +- +- +nothing: no run did the same", words.out, re.MULTILINE)
    assert (prediction["images"], prediction["unknown"]) == (4, ["encode", "publish"])
    assert 0 < prediction["core"]["low"] < prediction["core"]["seconds"] < prediction["core"]["high"]
    assert prediction["wall"]["seconds"] > 0


def test_what_all_steps_are_predicted_from_is_said_once(imgflow: Cli, demo: Store) -> None:
    imgflow(*QUICK, "--run", "first")
    photographs.folder(Path("more"), 3)

    words = imgflow("plan", "-m", "Other", "--source", "more").out

    assert words.count("images of run first") == 1
    assert re.search(r"^Steps, as known from \d images of run first: another municipality$", words, re.MULTILINE)
    assert "KNOWN FROM" not in words
    assert "no earlier run has done any of these" in words


def test_ctrl_c_says_how_to_go_on_and_the_run_is_interrupted(
    imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_engine: LocalEngine, _run: Run) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LocalEngine, "submit", interrupted)
        done = imgflow(*QUICK, "--run", "mine")

    assert done.code == 130
    assert "imgflow retry mine" in done.err
    assert imgflow("get", "mine", "-o", "json").json["status"] == "interrupted"
    assert imgflow("retry", "mine", "--workers", "1", "-o", "json").json["counts"]["processed"] == 3


def test_a_store_that_goes_away_ends_with_5(imgflow: Cli, demo: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_engine: LocalEngine, _run: Run) -> None:
        raise UnavailableError("the store at s3://imgflow does not answer; is it up?")

    monkeypatch.setattr(LocalEngine, "submit", away)

    done = imgflow(*QUICK, "--run", "mine", "-o", "json")

    assert done.code == 5
    assert done.json["error"]["code"] == "unreachable"
    assert done.json["error"]["message"] == "the store at s3://imgflow does not answer; is it up?"
    assert "imgflow retry mine" in done.json["error"]["hint"]
