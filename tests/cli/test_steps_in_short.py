"""Steps in short on the command line, and what lint says of a pipeline before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgflow_steps.records.run import load
from imgflow_workflows.submit import pipeline_file

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

    from imgflow_steps.store import Store

OPERATIONS = '[["resize","200x300"],["split",true],["blur","updownsampling"]]'
REQUEST = '{\n\t"operations": [\n\t\t["resize", "50%"],\n\t\t["blur", "gausian"]\n\t],\n\t"output": "jpg"\n}'


def outputs(store: Store, run: str) -> list[str]:
    lines = store.read(f"runs/{run}/results.jsonl").decode().splitlines()
    return sorted(output["key"].rpartition("/")[2] for line in lines for output in json.loads(line)["outputs"])


def test_steps_in_short_are_the_pipeline(imgflow: Cli, demo: Store) -> None:
    done = imgflow(
        "submit", "-m", "Demo", "--steps", "scale:40x40,blur:median,rotate:90", "--format", "png", "--run", "a"
    )

    assert done.code == 0, done.err
    assert load(demo, "a").pipeline.labels == ["scale", "blur", "rotate"]
    assert outputs(demo, "a") == ["0.jpg.png", "1.jpg.png", "2.jpg.png"]


def test_steps_of_a_json_file_are_the_pipeline_in_their_order(imgflow: Cli, demo: Store) -> None:
    Path("steps.json").write_text(OPERATIONS)

    done = imgflow("submit", "-m", "Demo", "--steps", "@steps.json", "--run", "a")

    assert done.code == 0, done.err
    assert load(demo, "a").pipeline.labels == ["scale", "split", "blur"]
    assert outputs(demo, "a") == [f"{i}.jpg~r{r}c{c}.jpg" for i in range(3) for r in (1, 2) for c in (1, 2)]


@pytest.mark.parametrize("words", [("plan", "-m", "Demo", "--pipeline", "@p.json"), ("lint", "@p.json")])
def test_a_file_of_a_pipeline_may_be_named_as_steps_name_it(imgflow: Cli, demo: Store, words: tuple[str, ...]) -> None:
    Path("p.json").write_text('["blur"]')

    done = imgflow(*words)

    assert done.code == 0, done.err
    assert "blur" in done.out


def test_a_file_that_is_called_so_may_begin_with_an_at_sign(imgflow: Cli, demo: Store) -> None:
    Path("@p.json").write_text('["blur"]')
    Path("p.json").write_text('["rotate:90"]')

    assert "blur" in imgflow("plan", "-m", "Demo", "--pipeline", "@p.json").out


def test_a_parameter_of_steps_in_short_can_be_set(imgflow: Cli, demo: Store) -> None:
    flags = ("--steps", "scale:50%", "--set", "scale.percent=25", "--format", "jpg")
    assert imgflow("submit", "-m", "Demo", *flags, "--run", "a").code == 0
    assert load(demo, "a").pipeline.steps[0].params.model_dump()["percent"] == 25


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--steps", "scale:1024x768,rotte:90"], "--steps: step 2: there is no step 'rotte'"),
        (["--steps", "@nowhere.json"], "--steps nowhere.json cannot be read: No such file or directory\n"),
        (["--steps", "@bytes.json"], "--steps bytes.json cannot be read: it is not text in UTF-8"),
        (["--steps", "scale", "--format", "gif"], "'--format': 'gif' is not one of"),
        (
            ["--steps", "scale", "--pipeline", "p.yaml"],
            "--pipeline and --steps exclude each other: both name the steps",
        ),
        (["--steps", "@tabs.json"], "tabs.json:4:12: step 2, blur.kind: Input should be 'gaussian'"),
        (["--steps", "@empty.yaml"], "empty.yaml: a pipeline is a mapping"),
        (["--steps", "@broken.json"], "broken.json:1:2: this is neither YAML nor JSON"),
        (["--steps", "@date.yaml"], "date.yaml:1:19: this is neither YAML nor JSON: month must be in 1..12"),
        (["--steps", "@tag.yaml"], "tag.yaml:1:20: this is neither YAML nor JSON: invalid literal for int()"),
    ],
    ids=str,
)
def test_steps_that_cannot_be_read_are_told_with_their_place(
    imgflow: Cli, demo: Store, flags: list[str], told: str
) -> None:
    files = {"tabs.json": REQUEST, "empty.yaml": "", "broken.json": "[}", "p.yaml": "steps: [scale]"}
    files |= {"date.yaml": "- infer: {name:   2026-13-45}", "tag.yaml": "- scale: {width:   !!int many}"}
    for name, text in files.items():
        Path(name).write_text(text)
    Path("bytes.json").write_bytes(b"[\xff]")

    done = imgflow("submit", "-m", "Demo", *flags)

    assert (done.code, done.out) == (2, "")
    assert told in done.err


def test_lint_has_nothing_to_say_of_a_good_pipeline(imgflow: Cli) -> None:
    Path("good.yaml").write_text("- scale: 50%\n- crop: 16:9\n- infer\n")
    done = imgflow("lint", "good.yaml")
    assert (done.code, done.out, done.err) == (0, "good.yaml: scale → crop → infer → jpeg\n", "")


def test_lint_says_each_fault_at_its_line_and_column(imgflow: Cli) -> None:
    Path("bad.yaml").write_text(
        "steps:\n- scale: {width: 0, widht: 5}\n- blurr\n- rotate: ninety\n- blur:\n    kind: medain\noutput: bmp\n"
        "limits:\n  pices: 3\n  pices: 4\n"
    )
    done = imgflow("lint", "bad.yaml")
    places = [line.split(" ")[0] for line in done.out.splitlines()]
    assert done.code == 2
    assert places == [f"bad.yaml:{at}:" for at in ("2:18", "2:28", "3:3", "4:11", "6:11", "7:9", "9:10", "10:3")]


def test_lint_says_what_would_be_for_nothing_and_submit_notes_it(imgflow: Cli, demo: Store) -> None:
    told = "step 2, grayscale: does nothing"
    linted = imgflow("lint", "--steps", "grayscale,grayscale")
    submitted = imgflow("submit", "-m", "Demo", "--steps", "grayscale,grayscale")
    assert (linted.code, submitted.code) == (2, 0)
    assert told in linted.out
    assert f"note: {told}" in submitted.err


def test_lint_opens_models(imgflow: Cli) -> None:
    Path("model.onnx").write_bytes(b"no model")
    Path("flow.yaml").write_text("steps:\n- infer: ./model.onnx\n- infer: {model: gone.onnx}\n")
    done = imgflow("lint", "flow.yaml")
    first, second = done.out.splitlines()
    assert done.code == 2
    assert first.startswith("flow.yaml:2:10: step 1, infer: ONNX Runtime")
    assert second == "flow.yaml:3:18: step 2, infer.model: there is no file 'gone.onnx'"


def test_lint_for_programs_is_one_document(imgflow: Cli) -> None:
    Path("bad.yaml").write_text("- rotate: 360\n")
    done = imgflow("lint", "bad.yaml", "-o", "json")
    assert done.code == 2
    assert done.json["problems"] == [
        {"line": 1, "column": 11, "message": "step 1, rotate: does nothing with these parameters; leave it out"}
    ]
    assert imgflow("lint", "--steps", "scale", "-o", "json").json["problems"] == []


def test_lint_asks_for_a_pipeline(imgflow: Cli) -> None:
    assert imgflow("lint").code == imgflow("lint", "a.yaml", "--steps", "scale").code == 2


def test_a_mapping_that_says_a_thing_twice_is_no_pipeline(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    path.write_text("steps:\n- scale: {width: 1, width: 2}\n")
    [found] = pipeline_file.read(path).faults()
    assert (found.line, found.column) == (2, 21)
    assert "more than once" in str(found.fault)


def test_a_file_that_is_given_as_a_step_is_told_how_files_are_given(imgflow: Cli) -> None:
    done = imgflow("lint", "--steps", "flow.yaml")

    assert done.code == 2
    assert "for the steps of a file write @flow.yaml" in " ".join(done.out.split())


def test_a_step_is_shown_with_the_values_that_its_parameters_take(imgflow: Cli) -> None:
    shown = imgflow("steps", "infer").out

    assert "auto decides by the model. One of: auto, scores, number, yolo," in shown
    assert "One of: auto, softmax, raw." in shown
    assert "pixels; 0 takes the model's own. One of" not in shown
