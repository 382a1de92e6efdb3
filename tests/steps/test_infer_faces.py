"""SCRFD and YuNet: told from their outputs, and decoded as their authors' formulas say."""

from __future__ import annotations

from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tests import finders

from imgflow_steps.contract.sample import Rejected, Sample
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.work import build

WIDTH, HEIGHT = 96, 64
STRIDES = (8, 16, 32)
Outputs = dict[str, Any]


def scrfd(*, batch: bool = True, landmarks: bool = True) -> Outputs:
    """Outputs as insightface exports them: all certainties, then all boxes, then all landmarks."""
    random = np.random.default_rng(1)
    kinds = {"score": (1, 0.0, 1.0), "bbox": (4, 0.2, 2.0), "kps": (10, -1.0, 1.0)}
    made = {
        f"{kind}_{stride}": random.uniform(low, high, (2 * (HEIGHT // stride) * (WIDTH // stride), columns))
        for kind, (columns, low, high) in kinds.items()
        for stride in STRIDES
        if landmarks or kind != "kps"
    }
    return {name: (value[np.newaxis] if batch else value).astype(np.float32) for name, value in made.items()}


def yunet() -> Outputs:
    """Outputs as OpenCV's zoo has them: cls, obj, bbox and kps, by stride; a certainty may be beyond 0 to 1."""
    random = np.random.default_rng(2)
    kinds = {"cls": (1, -0.1, 1.2), "obj": (1, -0.1, 1.2), "bbox": (4, -0.5, 1.0), "kps": (10, -1.0, 1.0)}
    return {
        f"{kind}_{stride}": random.uniform(low, high, (1, (HEIGHT // stride) * (WIDTH // stride), columns)).astype(
            np.float32
        )
        for kind, (columns, low, high) in kinds.items()
        for stride in STRIDES
    }


def scrfd_by_the_book(outputs: Outputs) -> list[list[float]]:
    """SCRFD (Guo et al. 2021), as insightface decodes it: two anchors at a place, distances in strides."""
    boxes = []
    for stride in STRIDES:
        row = 0
        for y in range(HEIGHT // stride):
            for x in range(WIDTH // stride):
                for _ in range(2):
                    score = float(outputs[f"score_{stride}"].reshape(-1)[row])
                    left, up, right, down = (float(n) * stride for n in outputs[f"bbox_{stride}"].reshape(-1, 4)[row])
                    boxes.append([score, x * stride - left, y * stride - up, x * stride + right, y * stride + down])
                    row += 1
    return boxes


def yunet_by_the_book(outputs: Outputs) -> list[list[float]]:
    """YuNet (Wu et al. 2023), as OpenCV's FaceDetectorYN decodes it."""
    boxes = []
    for stride in STRIDES:
        for row in range((HEIGHT // stride) * (WIDTH // stride)):
            y, x = divmod(row, WIDTH // stride)
            certain = (float(outputs[f"{kind}_{stride}"][0, row, 0]) for kind in ("cls", "obj"))
            one, other = (min(1.0, max(0.0, value)) for value in certain)
            across, down, wide, high = (float(n) for n in outputs[f"bbox_{stride}"][0, row])
            middle_x, middle_y, width, height = (
                (x + across) * stride, (y + down) * stride, exp(wide) * stride, exp(high) * stride
            )  # fmt: skip
            boxes.append(
                [sqrt(one * other), middle_x - width / 2, middle_y - height / 2, middle_x + width / 2,
                 middle_y + height / 2]
            )  # fmt: skip
    return boxes


def expected(boxes: list[list[float]], least: float) -> list[list[float]]:
    """Score, left, upper, width and height of those that are certain enough, cut where the picture ends."""
    cut = [
        [score, max(left, 0), max(upper, 0), min(right, WIDTH), min(lower, HEIGHT)]
        for score, left, upper, right, lower in boxes
        if score >= least
    ]
    return sorted([s, x, y, r - x, b - y] for s, x, y, r, b in cut if r > x and b > y)


def found(folder: Path, outputs: Outputs, **params: Any) -> list[Any]:
    path = finders.saying(folder, outputs)
    asked = Infer(model=str(path), width=WIDTH, height=HEIGHT, **params)
    [out] = build(asked)(Sample(np.zeros((HEIGHT, WIDTH, 3), np.uint8)))
    boxes: list[Any] = out.found["objects"]["boxes"]
    return boxes


def agree(said: list[Any], book: list[list[float]]) -> None:
    assert {box[0] for box in said} == {"face"}
    assert len(said) == len(book)
    for mine, theirs in zip(sorted(box[1:] for box in said), book, strict=True):
        assert mine == pytest.approx(theirs, abs=0.051)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("landmarks", [True, False])
def test_scrfd_is_told_from_its_outputs_and_decoded_by_the_book(tmp_path: Path, batch: bool, landmarks: bool) -> None:
    outputs = scrfd(batch=batch, landmarks=landmarks)
    agree(found(tmp_path, outputs, score=0.5, overlap=1.0), expected(scrfd_by_the_book(outputs), 0.5))


def test_yunet_is_told_from_its_outputs_and_decoded_by_the_book(tmp_path: Path) -> None:
    outputs = yunet()
    agree(found(tmp_path, outputs, order="bgr", score=0.5, overlap=1.0), expected(yunet_by_the_book(outputs), 0.5))


def test_the_order_of_the_outputs_makes_no_difference(tmp_path: Path) -> None:
    outputs = scrfd()
    turned = dict(reversed(outputs.items()))
    assert found(tmp_path, turned) == found(tmp_path, outputs)
    outputs = yunet()
    by_stride = dict(sorted(outputs.items(), key=lambda item: item[0].rpartition("_")[2]))
    assert found(tmp_path, by_stride, order="bgr") == found(tmp_path, outputs, order="bgr")


def test_what_lacks_one_output_or_has_another_number_of_places_is_neither(tmp_path: Path) -> None:
    for made, name in ((scrfd(), "bbox_16"), (yunet(), "obj_32")):
        fewer = {key: value for key, value in made.items() if key != name}
        shorter = {key: value[:, 1:] if key == name else value for key, value in made.items()}
        for read in ("scrfd", "yunet"):
            for outputs in (fewer, shorter):
                with pytest.raises(BadParametersError, match=f"not the layout of read: {read}"):
                    found(tmp_path, outputs, read=read)


def test_a_number_that_is_not_finite_fails_the_image(tmp_path: Path) -> None:
    outputs = yunet()
    outputs["bbox_8"][0, 0, 2] = 1e9  # its exponential is infinite
    outputs["cls_8"][0, 0] = outputs["obj_8"][0, 0] = 1
    with pytest.raises(Rejected, match="not a finite number"):
        found(tmp_path, outputs, order="bgr")


def test_a_yunet_is_shown_blue_first_or_asked_about(tmp_path: Path) -> None:
    outputs = yunet()
    with pytest.raises(BadParametersError, match="order: bgr"):
        found(tmp_path, outputs)
    assert found(tmp_path, outputs, read="yunet") == found(tmp_path, outputs, order="bgr")


def bright(folder: Path, name: str) -> str:
    """A SCRFD whose certainties are the brightest number that comes in."""
    outputs = scrfd()
    path = finders.saying(folder, outputs)
    model = onnx.load(path)
    for node in [node for node in model.graph.node if node.output[0].startswith("score")]:
        shape = outputs[node.output[0]].shape
        said = onnx.numpy_helper.from_array(np.array(shape, np.int64), f"{node.output[0]}_shape")
        model.graph.initializer.append(said)
        brightest = onnx.helper.make_node("ReduceMax", ["x"], [f"{node.output[0]}_m"], axes=[2, 1, 3], keepdims=0)
        spread = onnx.helper.make_node("Expand", [f"{node.output[0]}_m", said.name], [node.output[0]])
        model.graph.node.remove(node)
        model.graph.node.extend([brightest, spread])
    made = folder / name
    onnx.save(model, made)
    return str(made)


@pytest.mark.parametrize(("params", "best"), [({}, 127.5 / 128), ({"mean": (0,), "scale": (1 / 510,)}, 0.5)])
def test_a_scrfd_is_shown_the_units_of_its_family_unless_others_are_asked_for(
    tmp_path: Path, params: dict[str, Any], best: float
) -> None:
    asked = Infer(model=bright(tmp_path, "bright.onnx"), width=WIDTH, height=HEIGHT, **params)
    [out] = build(asked)(Sample(np.full((HEIGHT, WIDTH, 3), 255, np.uint8)))
    assert out.found["objects"]["best"] == pytest.approx(best, abs=1e-4)
