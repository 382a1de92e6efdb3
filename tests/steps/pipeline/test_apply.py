"""One image through a pipeline: the same bytes as a run publishes, and nothing loaded that one image does not need."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests import photographs
from tests.local_runs import submit

from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline import registry
from imgflow_steps.pipeline.apply import OpenPipeline, StepFailedError, process
from imgflow_steps.pipeline.model import parse
from imgflow_steps.records import keys
from imgflow_steps.records.results import read_jsonl
from imgflow_steps.store import open_store

SPLIT = parse({"steps": ["scale:64x64", "grayscale", "split"], "output": "png"})


def test_pictures_are_those_that_a_run_publishes(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    data = photographs.jpeg(3, 200, 120)
    store.write(f"{keys.images('Demo')}a/photo.jpg", data)
    submit(store, "published", SPLIT)
    store.download(keys.results_jsonl("published"), tmp_path / "results.jsonl")
    [row] = read_jsonl(tmp_path / "results.jsonl")

    made = process(data, SPLIT, "a/photo.jpg")

    assert [(picture.piece, hashlib.sha256(picture.data).hexdigest()) for picture in made.pictures] == [
        (published.piece, published.sha256) for published in row.outputs
    ]
    assert (made.width, made.height, made.format) == (200, 120, "jpeg")


def test_each_part_of_the_work_has_its_time() -> None:
    assert set(process(photographs.png(1), SPLIT).ms) == {"decode", "scale", "grayscale", "split", "encode"}


def test_findings_come_without_pictures_where_the_pipeline_publishes_none() -> None:
    made = process(photographs.jpeg(1), parse({"steps": ["scale:64x64", "infer"], "output": "none"}))

    [picture] = made.pictures
    assert picture.data == b""
    assert picture.found


def test_what_is_no_picture_is_rejected() -> None:
    with pytest.raises(Rejected, match="begins with") as rejected:
        process(b"Dear Sir or Madam", SPLIT)

    assert rejected.value.code == "unsupported-format"


def test_a_fault_of_a_step_names_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: object) -> object:
        return lambda sample: [Sample(sample.pixels[:, :, 0])]

    monkeypatch.setattr("imgflow_steps.grayscale.work.build", build)

    with pytest.raises(StepFailedError, match="grayscale: TypeError: it gave pixels of uint8"):
        process(photographs.jpeg(1), SPLIT)


def test_a_finding_that_no_row_could_hold_is_a_fault_of_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: object) -> object:
        return lambda sample: [replace(sample, found={"label": "caf\udce9"})]

    monkeypatch.setattr("imgflow_steps.grayscale.work.build", build)

    with pytest.raises(StepFailedError, match="grayscale: UnicodeEncodeError"):
        process(photographs.jpeg(1), SPLIT)


def test_a_step_that_cannot_be_opened_is_named_with_what_the_user_called_the_file(tmp_path: Path) -> None:
    pipeline = parse({"steps": [{"infer": {"model": "street.onnx"}}]})
    model = tmp_path / "copy-of-it"
    model.write_bytes(b"no model")

    with pytest.raises(BadParametersError, match=r"step infer: .*street\.onnx"):
        OpenPipeline(pipeline, local=lambda params: params.model_copy(update={"model": str(model)}))


def test_a_step_is_opened_once_for_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    build = registry.PIXEL_STEPS["scale"].build

    def counted(self: object, params: object) -> object:
        opened.append(str(params))
        return build(params)  # type: ignore[arg-type]

    monkeypatch.setattr("imgflow_steps.contract.step.Step.build", counted)
    pipeline = OpenPipeline(parse({"steps": ["scale:64x64"]}))

    for seed in range(3):
        pipeline.process(photographs.jpeg(seed))

    assert len(opened) == 1


def test_one_image_loads_no_store_and_no_network() -> None:
    foreign = {
        "minio",
        "urllib3",
        "requests",
        "kubernetes",
        "hera",
        "pebble",
        "imgflow_steps.store",
        "imgflow_steps.records",
    }
    script = f"import sys, imgflow_steps.pipeline.apply; print(sorted({foreign!r} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_documented_lines_give_pictures(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    (tmp_path / "photo.jpg").write_bytes(photographs.jpeg(1, 200, 120))
    [code] = re.findall(
        r"```python\n(.*?)```", (pytestconfig.rootpath / "docs/library.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert len(code.strip().splitlines()) <= 15

    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("200 120 jpeg ['decode', 'encode', 'grayscale', 'scale', 'split']")
    assert {path.name for path in tmp_path.glob("*.png")} == {"photo-r1c1.png", "photo-r1c2.png"}
