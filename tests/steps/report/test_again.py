from __future__ import annotations

import json
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.made_runs import make_run

from imgflow_steps.collect.work import run as collect
from imgflow_steps.list import List
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.run import Run
from imgflow_steps.report.again import FILE, commands, in_short

if TYPE_CHECKING:
    from pathlib import Path

STEPS: list[Any] = [
    *("scale", "scale:50%", "scale:640x480", "scale:300x", {"scale": {"width": 10, "enlarge": True}}, "resize:9x9"),
    *("blur:median", "rotate:90", "crop:16:9", "crop:10x20+3+4", {"crop": {"width": 5, "height": 5, "left": 0}}),
    *("grayscale", "split", "augment", "normalize", "infer", {"infer": {"only": ["a,b", "it's"], "score": 0.5}}),
]


def run_of(steps: list[Any], **more: Any) -> Run:
    return Run(id="mine", municipality="Demo", pipeline=parse({"steps": steps, **more}))


def typed(lines: list[str], folder: Path) -> list[str]:
    """The words of ``imgflow submit`` as a shell hands them to it, after whatever is to be typed before."""
    shell = 'imgflow() { printf "%s\\0" "$@"; }\n' + "\n".join(lines)
    done = subprocess.run(["sh", "-c", shell], cwd=folder, check=True, capture_output=True)
    return done.stdout.decode().split("\0")[:-1]


@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=5))
def test_steps_in_short_are_the_same_pipeline_or_a_file_has_it_whole(steps: list[Any]) -> None:
    run = run_of(steps)
    text = in_short(run.pipeline)

    if text:
        assert parse({"steps": text.split(",")}) == run.pipeline
    else:
        before, _ = commands(run, "")
        _, _, document, *_ = shlex.split(before)
        assert parse(json.loads(document)) == run.pipeline


@pytest.mark.parametrize("step", STEPS[:4] + STEPS[6:10] + STEPS[11:16])
def test_what_can_be_said_in_short_is(step: str) -> None:
    assert in_short(run_of([step]).pipeline)


@pytest.mark.parametrize("name", ["it's $HOME `id`", "a\nb; rm -rf /", "{{=1+1}}", "-x", "Östra Göinge"])
def test_a_shell_takes_every_name_as_one_word(name: str, tmp_path: Path) -> None:
    run = run_of([{"infer": {"only": [name]}}]).model_copy(
        update={"municipality": name, "list": List(include=name, links="all")}
    )

    words = typed(commands(run, f"/srv/{name}"), tmp_path)

    assert words[:3] == ["submit", "--municipality", name]
    assert f"list.include={name}" in words
    assert "list.links=all" in words
    assert words[words.index("--store") + 1] == f"/srv/{name}"
    assert parse(json.loads((tmp_path / FILE).read_text())) == run.pipeline


def test_where_the_cluster_tells_the_store_the_command_names_its_namespace_alone() -> None:
    run = run_of(["scale"]).model_copy(update={"engine": "argo", "namespace": "city"})

    [line] = commands(run, "s3://bucket")

    assert line == "imgflow submit --municipality Demo --steps scale --engine argo --namespace city"


def test_no_secret_is_in_the_command_and_the_page_says_that_one_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG")
    made = make_run(tmp_path / "store")
    run = made.run.model_copy(update={"list": List(exclude="wJalrXUtnFEMI/K7MDENG")})
    made.list(["a.jpg"])

    collect(made.store, run, output=None)

    page = made.read(keys.report(run.id) + "index.html")
    assert "wJalr" not in page
    assert "stands for a secret, which you have to fill in" in page


def said(folder: Path, **changes: Any) -> str:
    made = make_run(folder / "store")
    run = made.run.model_copy(update=changes)
    made.list(["a.jpg"])
    collect(made.store, run, output=None)
    found = re.search(r'<section id="again".*?</section>', made.read(keys.report(run.id) + "index.html"), re.DOTALL)
    assert found
    return re.sub(r"<[^>]+>", "", found[0])


def test_the_page_says_what_the_command_cannot_bring_back(tmp_path: Path) -> None:
    model = "models/" + "0" * 64 + ".onnx"
    pipeline = parse({"steps": [{"infer": {"model": model, "top": 5}}]})

    text = said(tmp_path, pipeline=pipeline, source="file:///photos", selection=keys.selection("utrecht-1"))

    assert "its comments are not" in text
    assert f"finds {model} in the store, and fails where that was deleted" in text
    assert "a directory of the machine" in text
    assert "that chose them is not recorded" in text
