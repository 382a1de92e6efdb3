"""Detectors that give boxes in one output and scores beside them, or a number and so many things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from tests import finders

from imgflow_steps.contract.sample import Sample
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build

if TYPE_CHECKING:
    from pathlib import Path

Outputs = dict[str, Any]
SIDE = 64  # of the input: a picture of 128 x 64 is shown at half its size between bars of 16 rows
CAR, FACE = ["car", 0.9, 10.0, 8.0, 40.0, 30.0], ["face", 0.8, 80.0, 20.0, 16.0, 24.0]
CORNERS = np.array([[5, 20, 25, 35], [40, 26, 48, 38]], np.float32)  # of both, in the input
PRIORS = 3 * 64 + 2 * 16 + 2 * 4 + 3  # boxes at which an UltraFace looks
NAMES = "{0: 'car', 1: 'face'}"


def found(folder: Path, outputs: Outputs, names: str = NAMES, **params: Any) -> list[Any]:
    metadata = {"names": names} if names else {}
    path = finders.saying(folder, outputs, SIDE, **metadata)
    [out] = build(Infer(model=str(path), **params))(Sample(np.zeros((64, 128, 3), np.uint8)))
    boxes: list[Any] = out.found["objects"]["boxes"]
    return boxes


def refusal(folder: Path, outputs: Outputs, names: str = NAMES, **params: Any) -> str:
    with pytest.raises(BadParametersError) as error:
        found(folder, outputs, names, **params)
    return str(error.value)


def agree(said: list[Any], *expected: list[Any]) -> None:
    assert [box[0] for box in said] == [box[0] for box in expected]
    for box, other in zip(said, expected, strict=True):
        assert box[1:] == pytest.approx(other[1:], abs=0.06)


def ultraface() -> Outputs:
    scores, boxes = np.tile(np.float32([0.99, 0.01]), (1, PRIORS, 1)), np.full((1, PRIORS, 4), 0.5, np.float32)
    scores[0, 7], boxes[0, 7] = [0.2, 0.8], CORNERS[1] / SIDE
    return {"scores": scores, "boxes": boxes}


def around() -> Any:
    """A box of 8 pixels around the middle of every place, stride by stride."""
    middles = [
        (stride * (x + 0.5), stride * (y + 0.5))
        for stride in (8, 16, 32)
        for y in range(SIDE // stride)
        for x in range(SIDE // stride)
    ]
    return np.array([[x - 4, y - 4, x + 4, y + 4] for x, y in middles], np.float32)


def yolonas() -> Outputs:
    boxes = around()
    scores = np.zeros((len(boxes), 2), np.float32)
    car, face = 3 * 8 + 1, 3 * 8 + 5  # places whose middles lie in them
    boxes[[car, face]], scores[[car, face]] = CORNERS, [[0.9, 0.05], [0.1, 0.8]]
    return {"913": boxes[np.newaxis], "904": scores[np.newaxis]}


def flat(name: str = "graph2_flat_predictions") -> Outputs:
    return {name: np.array([[0, *CORNERS[0], 0.9, 0], [0, *CORNERS[1], 0.8, 1]], np.float32)}


def counted(number: str, boxes: str, scores: str, labels: str) -> Outputs:
    """Two things, and what the list is filled up with."""
    return {
        labels: np.array([[0, 1, 0, -1]], np.int32),
        boxes: np.concatenate([CORNERS, [[0, 0, 60, 60], [0, 0, 0, 0]]])[np.newaxis].astype(np.float32),
        number: np.array([[2]], np.int32),
        scores: np.array([[0.9, 0.8, 0.7, 0]], np.float32),
    }


LISTED = {
    "yolonas": yolonas,
    "flat": flat,
    "EfficientNMS": lambda: counted("num_dets", "det_boxes", "det_scores", "det_classes"),
    "batch": lambda: counted(*(f"graph2_{end}" for end in ("num_predictions", "pred_boxes", "pred_scores",
                                                           "pred_classes"))),
}  # fmt: skip


@pytest.mark.parametrize("which", LISTED)
def test_what_is_listed_is_told_by_names_and_places_and_read_in_pixels(tmp_path: Path, which: str) -> None:
    agree(found(tmp_path, LISTED[which]()), CAR, FACE)


@pytest.mark.parametrize(("which", "read"), [("yolonas", "yolonas"), ("flat", "yolonas"), ("EfficientNMS", "nms")])
def test_the_layout_of_a_list_may_be_asked_for(tmp_path: Path, which: str, read: str) -> None:
    agree(found(tmp_path, LISTED[which](), read=read), CAR, FACE)
    assert "not the layout of read: detr" in refusal(tmp_path, LISTED[which](), read="detr")


@pytest.mark.parametrize("names", ["", "{0: 'face'}", "{0: 'background', 1: 'face'}"])
def test_an_ultraface_is_told_by_the_boxes_at_which_it_looks_and_finds_faces(tmp_path: Path, names: str) -> None:
    agree(found(tmp_path, ultraface(), names), FACE)
    agree(found(tmp_path, dict(reversed(ultraface().items())), names), FACE)


def test_an_ultraface_is_shown_the_units_of_its_family(tmp_path: Path) -> None:
    """A face is half as certain here as the brightest number that comes in: 1, and 255 in other units."""
    graph = f"""<ir_version: 8, opset_import: ["": 13]>
    m (float[1, 3, {SIDE}, {SIDE}] x) => (float[1, {PRIORS}, 2] scores, float[1, {PRIORS}, 4] boxes)
    <float one = {{1}}, float half = {{0.5}}, int64[3] many = {{1, {PRIORS}, 1}}, int64[3] box = {{1, {PRIORS}, 4}},
     float[4] there = {{0.1, 0.1, 0.5, 0.5}}, float nought = {{0}}>
    {{
        most = ReduceMax <keepdims = 0> (x)
        halved = Mul (most, half)
        sure = Clip (halved, nought, one)
        other = Sub (one, sure)
        face = Expand (sure, many)
        rest = Expand (other, many)
        scores = Concat <axis = 2> (rest, face)
        boxes = Expand (there, box)
    }}"""
    path = tmp_path / "bright.onnx"
    onnx.save(onnx.parser.parse_model(graph), path)
    [out] = build(Infer(model=str(path)))(Sample(np.full((SIDE, SIDE, 3), 255, np.uint8)))
    assert out.found["objects"]["boxes"][0][:2] == ["face", 0.5]


def without(outputs: Outputs, name: str) -> Outputs:
    return {key: value for key, value in outputs.items() if key != name}


def centred(outputs: Outputs) -> Outputs:
    """The same boxes by middle, width and height."""
    boxes = outputs["913"]
    middles, sides = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    return outputs | {"913": np.concatenate([middles, sides], axis=2)}


def unlike(outputs: Outputs) -> Outputs:
    """Scores of labels that do not exclude each other."""
    return outputs | {"scores": np.float32(outputs["scores"] * 0.5)}


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        (centred(yolonas()), "probabilities already, which is not how DETR"),
        (unlike(ultraface()), "probabilities already, which is not how DETR"),
        ({name: value[:, 1:] for name, value in ultraface().items()}, "probabilities already"),
        ({name: value[:, 1:] for name, value in yolonas().items()}, "probabilities already"),
        (flat("output"), "need `read`"),
        (without(LISTED["EfficientNMS"](), "det_classes"), "need `read`"),
        (LISTED["EfficientNMS"]() | {"masks": np.zeros((1, 4, 9), np.float32)}, "need `read`"),
    ],
    ids=["centred", "unlike", "fewer", "places", "yolov7", "unnamed", "masks"],
)
def test_what_only_resembles_a_list_is_refused(tmp_path: Path, outputs: Outputs, words: str) -> None:
    """YOLO v7 gives rows of seven numbers too, with label and score in the other order."""
    assert words in refusal(tmp_path, outputs)


def test_a_detr_that_looks_at_as_many_things_as_a_yolo_nas_has_places_stays_one(tmp_path: Path) -> None:
    scores = np.full((1, len(around()), 3), -6, np.float32)
    scores[0, :, 2], scores[0, 0] = 6, [6, -6, -6]
    boxes = np.full((1, len(around()), 4), 0.25, np.float32)
    [[label, score, *_]] = found(tmp_path, {"logits": scores, "pred_boxes": boxes})
    assert (label, score > 0.99) == ("car", True)


# Other ways in which the layouts of test_infer_things.py are told


def rows(*columns: float) -> Any:
    given = np.zeros((1, 300, len(columns)), np.float32)
    given[0, 0] = columns
    return given


@pytest.mark.parametrize("arguments", ["{'nms': True}", "{'batch': 1, 'nms': True}"])
def test_ultralytics_says_in_its_arguments_that_there_are_no_duplicates(tmp_path: Path, arguments: str) -> None:
    path = finders.saying(tmp_path, {"output0": rows(*CORNERS[1], 0.8, 1)}, SIDE, args=arguments, names=NAMES)
    [out] = build(Infer(model=str(path)))(Sample(np.zeros((64, 128, 3), np.uint8)))
    agree(out.found["objects"]["boxes"], FACE)


def test_an_rt_detr_of_ultralytics_has_relative_boxes_and_scores_in_one_output(tmp_path: Path) -> None:
    box = [(40 + 4) / SIDE, (26 + 6) / SIDE, 8 / SIDE, 12 / SIDE]  # middle, width and height
    metadata = {"description": "Ultralytics RT-DETR-l model", "names": NAMES}
    path = finders.saying(tmp_path, {"output0": rows(*box, 0.1, 0.8)}, SIDE, **metadata)
    [out] = build(Infer(model=str(path)))(Sample(np.zeros((64, 128, 3), np.uint8)))
    agree(out.found["objects"]["boxes"], FACE)


def test_lists_of_torchvision_are_told_without_their_names(tmp_path: Path) -> None:
    outputs = {"3": np.float32([0.9, 0.8]), "1": CORNERS, "2": np.array([0, 1], np.int64)}
    agree(found(tmp_path, outputs), CAR, FACE)


def test_boxes_in_rows_have_one_digit_and_scores_four(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    corners = random.uniform(0, 60, (300, 4)).astype(np.float32)
    corners[:, 2:] = corners[:, :2] + 3
    outputs = {
        "boxes": corners, "labels": np.zeros(300, np.int64), "scores": random.uniform(0.3, 1, 300).astype(np.float32),
    }  # fmt: skip
    said = found(tmp_path, outputs, overlap=1.0)
    assert len(said) > 100
    assert all([round(box[1], 4), *(round(side, 1) for side in box[2:])] == box[1:] for box in said)
