"""What could never be found, or never be covered, is refused by lint and by submit alike, before anything begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml
from tests import finders

from imgflow_steps.store import Store

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

PLACES = 8 * 8 + 4 * 4 + 2 * 2  # at strides 8, 16 and 32 of an input of 64 x 64
BOXES: dict[str, Any] = {
    "boxes": np.array([[8, 8, 24, 32]], np.float32),
    "labels": np.array([0], np.int64),
    "scores": np.array([0.9], np.float32),
}
NAMES = {"names": "{0: 'car', 1: 'face'}"}


def zeros(*shape: int) -> dict[str, Any]:
    return {"output0": np.zeros(shape, np.float32)}


# What the model gives, its metadata, parameters of infer, steps behind it, and what is said.
REFUSED: dict[str, tuple[dict[str, Any] | None, dict[str, str], dict[str, Any], list[Any], str]] = {
    "quality": (None, {}, {}, ["redact"], "no model before it gives boxes of things"),
    "label": (BOXES, NAMES, {}, [{"redact": {"labels": ["plate"]}}], "finds plate; there are: car, face"),
    "only": (BOXES, NAMES, {"only": ["plate"]}, ["redact"], "the model finds no plate (only); there are: car, face"),
    "covered": (BOXES, NAMES, {"only": ["car"]}, [{"redact": {"labels": ["face"]}}], "finds face; there are: car"),
    "read": (BOXES, NAMES, {"read": "yolo"}, ["redact"], "which is not the layout of read: yolo"),
    "pose": (zeros(1, 56, PLACES), {"task": "pose"}, {}, ["redact"], "of a pose model"),
    "obb": (zeros(1, 20, PLACES), {"task": "obb"}, {}, [], "of a obb model"),
    "segment": (zeros(1, 40, PLACES), {"task": "segment"}, {}, [], "of a segment model"),
    "two": (zeros(1, 84, 84), {}, {}, ["redact"], "write read: yolo or read: yolox"),
    "end2end": (zeros(1, 300, 6), {}, {}, ["redact"], "write read: end2end"),
    "vector": ({"v": np.arange(512, dtype=np.float32)[np.newaxis]}, {}, {}, [], "read: scores or read: vector"),
    "none": (zeros(1, 7, 7, 7, 7), {}, {}, ["redact"], "need `read`, whose layouts `imgflow steps infer` lists"),
    "size": (BOXES, NAMES, {"width": 32}, ["redact"], "width 32 does not fit: the model's own is 64"),
}


@pytest.mark.parametrize("which", sorted(REFUSED))
def test_lint_and_submit_say_the_same_of_what_can_never_work(
    imgflow: Cli, demo: Store, tmp_path: Path, which: str
) -> None:
    outputs, metadata, params, after, said = REFUSED[which]
    model = {"model": str(finders.saying(tmp_path, outputs, 64, **metadata))} if outputs else {}
    Path("refused.yaml").write_text(yaml.safe_dump({"steps": [{"infer": {**model, **params}}, *after]}))
    before = list(demo.entries())

    linted = imgflow("lint", "refused.yaml")
    submitted = imgflow("submit", "-m", "Demo", "--pipeline", "refused.yaml", "--run", "never")

    assert (linted.code, submitted.code) == (2, 2)
    assert said in " ".join(linted.out.split())
    assert said in " ".join(submitted.err.split())
    assert "models/" not in submitted.err, "the file is named as it was given"
    assert list(demo.entries()) == before


@pytest.mark.parametrize("form", ["submit --layout steps", "submit --set list.layout=steps", "plan --layout steps"])
def test_a_container_for_each_step_is_refused_where_pixels_between_them_show_what_is_covered(
    imgflow: Cli, demo: Store, tmp_path: Path, form: str
) -> None:
    model = finders.saying(tmp_path, BOXES, 64, **NAMES)
    Path("covers.yaml").write_text(yaml.safe_dump({"steps": [{"infer": {"model": str(model)}}, "redact"]}))
    before = list(demo.entries())

    refused = imgflow(*form.split(), "-m", "Demo", "--pipeline", "covers.yaml")

    assert refused.code == 2
    assert "choose layout fused, or auto" in " ".join(refused.err.split())
    assert list(demo.entries()) == before


def test_what_can_be_covered_is_submitted(imgflow: Cli, demo: Store, tmp_path: Path) -> None:
    model = finders.saying(tmp_path, BOXES, 64, **NAMES)
    Path("covers.yaml").write_text(yaml.safe_dump({"steps": [{"infer": {"model": str(model)}}, "redact"]}))
    assert imgflow("lint", "covers.yaml").code == 0
    assert imgflow("submit", "-m", "Demo", "--pipeline", "covers.yaml", "--workers", "1").code == 0


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("grayscale", "its model takes colour, which step 1, grayscale, has dropped"),
        ("scale:48x40", "its model looks at 64 pixels, and step 1, scale, leaves 48 at most"),
        ("scale:96x96", ""),
    ],
)
def test_lint_names_a_step_that_takes_from_a_finder_what_it_needs(
    imgflow: Cli, tmp_path: Path, before: str, words: str
) -> None:
    model = finders.saying(tmp_path, BOXES, 64, **NAMES)
    Path("steps.yaml").write_text(yaml.safe_dump({"steps": [before, {"infer": {"model": str(model)}}]}))
    done = imgflow("lint", "steps.yaml")
    assert (done.code, words in done.out) == (2 if words else 0, True)
