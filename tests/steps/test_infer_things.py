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
        "int64[1] one = {1}, int64[3] three = {1, 1, 1}, float[1, 5, 1] each = {20, 20, 20, 20, 1}> "
        "{ m = ReduceMax <axes = [1, 2, 3], keepdims = 0> (x) r = Reshape (m, three) c = Mul (r, each) "
        "y = Expand (c, s) }"
    )
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


def refusal(path: str, **params: Any) -> str:
    with pytest.raises(BadParametersError) as error:
        build(Infer(model=path, **params))
    return str(error.value)


def one(boxes: Any, **said: Any) -> dict[str, Any]:
    """What torchvision says of one thing: nothing of it is known before a picture in which it is."""
    return {
        "boxes": np.array([boxes], np.float32),
        "labels": np.array([said.get("label", 0)], np.int64),
        "scores": np.array([said.get("score", 0.9)], np.float32),
    }


@pytest.mark.parametrize("layout", ["yolo", "yolo5"])
def test_boxes_in_other_units_than_they_are_taken_for_are_refused_since_nothing_would_be_found(
    tmp_path: Path, layout: str
) -> None:
    made, metadata = LAYOUTS[layout]
    given = made()
    for value in given.values():
        (value[:, :4] if layout == "yolo" else value[:, :, :4])[...] /= SIDE
    path = model(tmp_path, singles(given), names="{0: 'car', 1: 'face'}", **metadata)
    assert "write units: relative" in refusal(path)
    assert found(path, units="relative")["objects"]["count"] == 2


def test_relative_boxes_of_other_layouts_are_refused_where_the_trial_shows_them(tmp_path: Path) -> None:
    relative = one(corners()[1] / SIDE)
    assert "write units: relative" in refusal(model(tmp_path, relative, names="{0: 'face'}"))
    pixels = ssd() | {"detection_boxes": (corners()[:, [1, 0, 3, 2]])[np.newaxis]}
    path = model(tmp_path, singles(pixels), names="{0: 'car', 1: 'face'}")
    assert "write units: pixels" in refusal(path)
    assert found(path, units="pixels")["objects"]["count"] == 2


SEES = """<ir_version: 8, opset_import: ["": 13]>
m (float[1, 3, 64, 64] x) => (float[1, 4] boxes, int64[1] labels, float[1] scores)
<float[1, 4] there = {BOX}, int64[1] label = {LABEL}, float[1] sure = {SCORE}, float grey = {100}, float[1] no = {0}>
{
    boxes = Identity (there)
    labels = Identity (label)
    mean = ReduceMean <keepdims = 0> (x)
    dark = Less (mean, grey)
    scores = Where (dark, sure, no)
}"""


def seeing(folder: Path, box: str, label: int = 0, score: float = 0.9) -> str:
    """A model that says so of a dark picture only: a trial with noise shows nothing of it."""
    text = SEES.replace("BOX", box).replace("LABEL", str(label)).replace("SCORE", str(score))
    made = onnx.parser.parse_model(text)
    helper.set_model_props(made, {"names": "{0: 'face'}"})
    path = folder / "model.onnx"
    onnx.save(made, path)
    return str(path)


@pytest.mark.parametrize(
    ("box", "label", "score", "words"),
    [
        ("0.6, 0.4, 0.7, 0.6", 0, 0.9, "write units: relative"),
        ("10, 20, 30, 40", 1, 0.9, r"label number 1.*only 0 to 0 have names.*background"),
        ("10, 20, 30, 40", -1, 0.9, "label number -1"),
        ("10, 20, 30, 40", 0, 2.5, r"a score of 2.5"),
    ],
)
def test_what_cannot_be_read_rightly_rejects_the_image_since_nothing_in_it_would_be_covered(
    tmp_path: Path, box: str, label: int, score: float, words: str
) -> None:
    with pytest.raises(Rejected, match=words) as verdict:
        found(seeing(tmp_path, box, label, score))
    assert verdict.value.code == "model-failed"


def test_what_fills_a_list_up_is_no_thing_whatever_its_label(tmp_path: Path) -> None:
    assert found(seeing(tmp_path, "0, 0, 0, 0", -1), score=0)["objects"]["count"] == 0


def test_scores_without_their_sigmoid_are_refused(tmp_path: Path) -> None:
    given = yolo()
    scores = given["output0"][:, 4:]
    scores[...] = np.where(scores > 0.5, 2.0, -6.0)
    assert "not between 0 and 1" in refusal(model(tmp_path, singles(given), names="{0: 'car', 1: 'face'}"))


def test_a_list_of_places_may_have_its_columns_first_or_last(tmp_path: Path) -> None:
    turned = {"output0": yolo()["output0"].transpose(0, 2, 1)}
    named = model(tmp_path, singles(turned), names="{0: 'car', 1: 'face'}")
    assert found(named)["objects"]["labels"] == {"car": 1, "face": 1}
    unnamed = model(tmp_path, singles(turned))
    assert "read: yolo or read: yolox" in refusal(unnamed)
    assert found(unnamed, read="yolo")["objects"]["labels"] == {"0": 1, "1": 1}


def test_probabilities_beside_boxes_are_not_taken_for_those_of_a_detr(tmp_path: Path) -> None:
    """UltraFace: the first column is for nothing, and boxes are corners."""
    scores = np.tile(np.array([0.99, 0.01], np.float32), (1, 20, 1))
    boxes = np.full((1, 20, 4), 0.5, np.float32)
    path = model(tmp_path, {"scores": scores, "boxes": boxes}, names="{0: 'background', 1: 'face'}")
    assert "scores are probabilities already, which is not how DETR" in refusal(path)
    assert "probabilities" in refusal(path, read="detr")


def test_a_detr_is_asked_for_its_labels_since_they_alone_tell_whether_a_column_is_for_nothing(tmp_path: Path) -> None:
    assert "or one less where the last column is for nothing" in refusal(model(tmp_path, singles(detr())))
    three = model(tmp_path, singles(detr()), names="{0: 'car', 1: 'face', 2: 'plate'}")
    assert set(found(three, score=0)["objects"]["labels"]) == {"car", "face", "plate"}
    wrong = model(tmp_path, singles(detr()), names="{0: 'car', 1: 'face', 2: 'plate', 3: 'bus'}")
    assert "4 labels for 3 columns" in refusal(wrong)


@pytest.mark.parametrize("names", ["['car', 'Füße']", '["car", "F\\u00fc\\u00dfe"]', '{"0": "car", "1": "Füße"}'])
def test_names_in_metadata_may_be_a_list_or_a_dictionary_of_python_or_json(tmp_path: Path, names: str) -> None:
    assert found(model(tmp_path, singles(yolo()), names=names))["objects"]["labels"] == {"car": 1, "Füße": 1}


def test_a_model_whose_weights_are_in_another_file_is_refused_since_a_run_takes_one_file_along(tmp_path: Path) -> None:
    path = model(tmp_path, {"v": np.zeros((1, 3), np.float32)})
    made = onnx.load(path)
    weights = onnx.numpy_helper.from_array(np.zeros((1, 3), np.float32), "w")
    made.graph.initializer.append(weights)
    del made.graph.node[:]
    made.graph.node.append(helper.make_node("Identity", ["w"], ["v"]))
    onnx.save(made, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    words = refusal(path)
    assert "weights.bin" in words
    assert "one file" in words
