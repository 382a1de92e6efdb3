"""Models that find things: every layout gives the same boxes, told in pixels of the upright source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from tests import finders

from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build
from imgflow_steps.pipeline.model import parse

SIDE = 64  # of the models' input
PLACES = 8 * 8 + 4 * 4 + 2 * 2
# Two things in a picture of 128 x 64, which a square input of 64 shows at half its size between bars of 16 rows.
CAR, FACE = [10.0, 8.0, 40.0, 30.0], [80.0, 20.0, 16.0, 24.0]  # left, upper, width, height
INSIDE = np.array([[x / 2, y / 2 + 16, w / 2, h / 2] for x, y, w, h in (CAR, FACE)])  # of the input
SCORES = np.array([[0.9, 0.05], [0.1, 0.8]])  # of car and face
EXPECTED = [["car", 0.9, *CAR], ["face", 0.8, *FACE]]


def model(folder: Path, outputs: dict[str, Any], **metadata: str) -> str:
    """A model that says the same of every picture, with an input of 64 x 64."""
    return str(finders.saying(folder, outputs, SIDE, **metadata))


def centred() -> Any:
    return np.concatenate([INSIDE[:, :2] + INSIDE[:, 2:] / 2, INSIDE[:, 2:]], axis=1)


def corners() -> Any:
    return np.concatenate([INSIDE[:, :2], INSIDE[:, :2] + INSIDE[:, 2:]], axis=1)


def rows(many: int, columns: Any) -> Any:
    """So many candidates, of which the first three are ours: the first thing twice, less certain the second time."""
    found = np.zeros((many, columns.shape[1]))
    found[0], found[1], found[2] = columns[0], columns[0], columns[1]
    return found


def yolo() -> dict[str, Any]:
    found = rows(PLACES, np.concatenate([centred(), SCORES], axis=1))
    found[1, 4:] *= 0.9
    return {"output0": found.T[np.newaxis]}


def yolo5() -> dict[str, Any]:
    found = rows(3 * PLACES, np.concatenate([centred(), [[1.0], [0.5]], SCORES / [[1.0], [0.5]]], axis=1))
    found[1, 4] = 0.9
    return {"output": found[np.newaxis]}


def yolox() -> dict[str, Any]:
    found = rows(PLACES, np.concatenate([centred(), [[1.0], [1.0]], SCORES], axis=1))
    found[1, 4] = 0.9
    x, y = np.arange(3), np.zeros(3)  # the first places of stride 8
    found[:3, 0], found[:3, 1] = found[:3, 0] / 8 - x, found[:3, 1] / 8 - y
    found[:3, 2:4] = np.log(found[:3, 2:4] / 8)
    return {"output": found[np.newaxis]}


def end2end() -> dict[str, Any]:
    found = np.zeros((300, 6))
    found[:2] = np.concatenate([corners(), [[0.9, 0], [0.8, 1]]], axis=1)
    return {"output0": found[np.newaxis]}


def detr() -> dict[str, Any]:
    scores = np.zeros((20, 3))
    scores[:, 2] = 1
    scores[:2] = [[0.9, 0.05, 0.05], [0.1, 0.8, 0.1]]
    boxes = rows(20, centred() / SIDE)
    boxes[1] = boxes[2]
    return {"logits": np.log(scores + 1e-9)[np.newaxis], "pred_boxes": boxes[np.newaxis]}


def ssd() -> dict[str, Any]:
    return {
        "detection_boxes": (corners()[:, [1, 0, 3, 2]] / SIDE)[np.newaxis],
        "detection_classes": np.array([[1.0, 2.0]]),
        "detection_scores": np.array([[0.9, 0.8]]),
        "num_detections": np.array([2.0]),
    }


def lists() -> dict[str, Any]:
    return {"boxes": corners(), "labels": np.array([0, 1], np.int64), "scores": np.array([0.9, 0.8])}


LAYOUTS = {
    "yolo": (yolo, {}),
    "yolo5": (yolo5, {}),
    "yolox": (yolox, {}),
    "end2end": (end2end, {"end2end": "True"}),
    "detr": (detr, {}),
    "ssd": (ssd, {}),
    "lists": (lists, {}),
}


def singles(outputs: dict[str, Any]) -> dict[str, Any]:
    return {name: value.astype(np.float32) if value.dtype.kind == "f" else value for name, value in outputs.items()}


def found(path: str, **params: Any) -> Any:
    [out] = build(Infer(model=path, **params))(Sample(np.zeros((64, 128, 3), np.uint8)))
    return out.found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_told_from_the_model_and_gives_the_same_boxes(tmp_path: Path, layout: str) -> None:
    made, metadata = LAYOUTS[layout]
    path = model(tmp_path, singles(made()), names="{0: 'car', 1: 'face'}", **metadata)
    said = found(path)["objects"]
    assert said["boxes"] == [
        pytest.approx(box, abs=0.11) if not isinstance(box[0], str) else box for box in said["boxes"]
    ]
    assert [box[0] for box in said["boxes"]] == ["car", "face"]
    for box, expected in zip(said["boxes"], EXPECTED, strict=True):
        assert box[1:] == pytest.approx(expected[1:], abs=0.11)
    assert (said["count"], said["labels"], said["best"]) == (2, {"car": 1, "face": 1}, pytest.approx(0.9, abs=0.001))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_may_be_asked_for(tmp_path: Path, layout: str) -> None:
    made, _ = LAYOUTS[layout]
    path = model(tmp_path, singles(made()), names="{0: 'car', 1: 'face'}")
    assert found(path, read=layout)["objects"]["count"] == 2


def test_one_label_and_eighty_are_told_as_well(tmp_path: Path) -> None:
    for many in (1, 80):
        given = np.zeros((1, 4 + many, PLACES), np.float32)
        given[0, :4, 5], given[0, 3 + many, 5] = centred()[0], 0.7
        path = model(tmp_path, {"output0": given})
        if many == 80:  # 84 places, too, at this size of the input
            with pytest.raises(BadParametersError, match="read: yolo or read: yolox"):
                found(path)
        [box] = found(path, read="yolo")["objects"]["boxes"]
        assert box == [str(many - 1), 0.7, *CAR]


def test_what_was_found_is_chosen_by_score_label_and_number(tmp_path: Path) -> None:
    path = model(tmp_path, singles(yolo()), names="{0: 'car', 1: 'face'}")
    assert found(path, score=0.85)["objects"]["labels"] == {"car": 1}
    assert found(path, only=("face",))["objects"]["labels"] == {"face": 1}
    kept = found(path, most=1)["objects"]
    assert (kept["count"], kept["more"]) == (1, 1)
    assert found(path, overlap=1.0)["objects"]["count"] == 3
    assert list(found(path, name="cars")) == ["cars"]


def test_a_label_that_the_model_never_gives_is_refused_since_nothing_would_be_found_under_it(tmp_path: Path) -> None:
    named = model(tmp_path, singles(yolo()), names="{0: 'car', 1: 'face'}")
    with pytest.raises(BadParametersError, match=r"finds no faces \(only\); there are: car, face"):
        found(named, only=("car", "faces"))


def test_labels_without_names_are_chosen_by_number(tmp_path: Path) -> None:
    path = model(tmp_path, singles(yolo()))
    assert found(path, only=("1",))["objects"]["labels"] == {"1": 1}
    with pytest.raises(BadParametersError, match="give numbers"):
        found(path, only=("face",))


def test_boxes_are_those_of_the_source_whatever_has_moved_the_pixels(tmp_path: Path) -> None:
    path = model(tmp_path, singles(yolo()), names="{0: 'car', 1: 'face'}")
    turned = Sample(np.zeros((64, 128, 3), np.uint8), at=(2.0, 0.0, 100.0, 0.0, 2.0, 50.0))
    [out] = build(Infer(model=path))(turned)
    assert out.found["objects"]["boxes"][0][2:] == pytest.approx([120.0, 66.0, 80.0, 60.0], abs=0.11)


def test_ultralytics_says_itself_how_pixels_come_in(tmp_path: Path) -> None:
    brightness = (
        "m (float[1, 3, 64, 64] x) => (float[1, 5, 84] y) <int64[3] s = {1, 5, 84}, int64[1] zero = {0}, "
        "int64[1] one = {1}, int64[4] at = {0, 0, 0, 0}> "
        "{ m = ReduceMax <axes = [1, 2, 3], keepdims = 0> (x) r = Reshape (m, three) y = Expand (r, s) }"
    ).replace("int64[4] at = {0, 0, 0, 0}", "int64[3] three = {1, 1, 1}")
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 13]> {brightness}')
    helper.set_model_props(made, {"author": "Ultralytics", "task": "detect", "names": "{0: 'a'}", "imgsz": "[64, 64]"})
    path = tmp_path / "model.onnx"
    onnx.save(made, path)
    [out] = build(Infer(model=str(path)))(Sample(np.full((64, 64, 3), 255, np.uint8)))
    assert out.found["objects"]["best"] == 1.0  # 255 was told as 1


@pytest.mark.parametrize(
    ("outputs", "metadata", "params", "words"),
    [
        ({"o": np.zeros((1, 56, PLACES), np.float32)}, {"task": "pose"}, {}, "of a pose model"),
        ({"o": np.zeros((1, 20, PLACES), np.float32)}, {"task": "obb"}, {}, "of a obb model"),
        ({"o": np.zeros((1, 300, 6), np.float32)}, {}, {}, "read: end2end"),
        ({"o": np.zeros((1, 7), np.float32)}, {}, {"read": "yolo"}, "not the layout of read: yolo"),
        ({"o": np.arange(512, dtype=np.float32)[np.newaxis]}, {}, {}, "read: scores or read: vector"),
        ({"o": np.zeros((4, 7), np.float32)}, {}, {"read": "end2end"}, "not the layout of read: end2end"),
        ({"o": np.zeros((1, 4, 7), np.float32)}, {}, {"read": "end2end"}, "not the layout of read: end2end"),
        ({"o": np.zeros((1, 8, 8), np.int64)}, {}, {"read": "classes"}, "not the layout of read: classes"),
        ({"o": np.zeros((1, 1, 8, 8), np.int64)}, {}, {"read": "classes"}, "not the layout of read: classes"),
        ({"o": np.zeros((1, 7), np.float32)}, {}, {"read": "classes"}, "not the layout of read: classes"),
    ],
)
def test_what_fits_no_layout_or_could_be_another_is_refused_by_name(
    tmp_path: Path, outputs: dict[str, Any], metadata: dict[str, str], params: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadParametersError, match=words):
        build(Infer(model=model(tmp_path, outputs, **metadata), **params))


def test_a_vector_and_a_map_of_classes_are_read(tmp_path: Path) -> None:
    vector = np.linspace(-1, 1, 32, dtype=np.float32)[np.newaxis]
    said = found(model(tmp_path, {"v": vector}), read="vector")["v"]
    assert said["length"] == 32
    classes = np.zeros((1, 2, 4, 4), np.float32)
    classes[0, 1, :1] = 1
    said = found(model(tmp_path, {"m": classes}, names="{0: 'road', 1: 'sky'}"))["m"]
    assert said == {"shares": {"road": 0.75, "sky": 0.25}}


def test_classes_of_one_name_share_what_each_of_them_has(tmp_path: Path) -> None:
    """Lists of labels have several that are called N/A."""
    classes = np.zeros((1, 3, 4, 4), np.float32)
    classes[0, 1, :1], classes[0, 2, 1:2] = 1, 1
    said = found(model(tmp_path, {"m": classes}, names="{0: 'road', 1: 'N/A', 2: 'N/A'}"))["m"]
    assert said == {"shares": {"road": 0.5, "N/A": 0.5}}


def test_a_vector_that_half_precision_cannot_hold_is_not_kept_as_infinite(tmp_path: Path) -> None:
    vector = np.full((1, 32), 70_000, np.float32)
    with pytest.raises(Rejected, match="beyond what is kept of a vector"):
        found(model(tmp_path, {"v": vector}), read="vector")


def test_a_map_of_regions_gives_a_box_for_each(tmp_path: Path) -> None:
    regions = np.zeros((1, 1, 64, 64), np.float32)
    regions[0, 0, 20:24, 8:40] = 0.9
    regions[0, 0, 24:30, 8:12] = 0.9  # joined to it below
    regions[0, 0, 40:44, 50:60] = 0.5
    boxes = found(model(tmp_path, {"m": regions}))["objects"]["boxes"]
    assert [(label, score) for label, score, *_ in boxes] == [("region", 0.9), ("region", 0.5)]


def test_the_digest_of_a_pipeline_that_asks_for_none_of_it_stays() -> None:
    assert set(Infer().model_dump()) == {
        "model", "labels", "width", "height", "order", "mean", "scale", "scores", "top"
    }  # fmt: skip
    assert parse({"steps": ["infer"]}).digest != parse({"steps": [{"infer": {"tile": 640}}]}).digest


def test_no_model_may_call_what_it_finds_as_boxes_are_called_that_people_gave() -> None:
    with pytest.raises(BadParametersError, match="manual is what boxes that people gave are called"):
        parse({"steps": [{"infer": {"name": "manual"}}]})
    with pytest.raises(BadParametersError, match="redacted is what redact says of what it has covered"):
        parse({"steps": [{"infer": {"name": "redacted"}}]})


@pytest.mark.parametrize("tile", [1, 64, 128, 159])
def test_pieces_are_larger_than_what_they_share_or_there_would_be_none_or_thousands(tile: int) -> None:
    with pytest.raises(BadParametersError, match="tile is 0 or at least 160"):
        parse({"steps": [{"infer": {"tile": tile}}]})
    assert parse({"steps": [{"infer": {"tile": 0}}, {"infer": {"tile": 160}}]})
