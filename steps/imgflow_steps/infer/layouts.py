"""In which layout a model describes things: read from its metadata, the names and shapes of its outputs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer.grids import STRIDES, middles, places

ANCHORS = 3  # of YOLO v5 at a place
STRIDE = 4  # of CenterFace
CENTERFACE = (1, 2, 2, 10)  # channels: certainty, size, offset, landmarks
SCRFD, YUNET = (1, 4, 10), (1, 1, 4, 10)  # columns at every stride: certainties, box, landmarks
PAIR = 2  # boxes of SCRFD at a place
ULTRAFACE = {8: 3, 16: 2, 32: 2, 64: 3}  # boxes of UltraFace at a place, by stride
FLAT, COLUMNS = "flat_predictions", 7  # of YOLO-NAS after suppression: what its output is called, and holds of a thing
COUNTED = (  # a number, and so many boxes, scores and labels: endings of the outputs' names
    ("num_dets", "det_boxes", "det_scores", "det_classes"),  # EfficientNMS
    ("num_predictions", "pred_boxes", "pred_scores", "pred_classes"),  # YOLO-NAS
)
SUM, SLACK = 1e-3, 1.0  # how far float16 may take shares from 1, and edges of a box, in pixels, from where they are
LONGEST = 16  # a vector without labels that is longer is more likely what a picture is like than what is in it
BOXES = (
    *("yolo", "yolo5", "yolox", "end2end", "detr", "ssd", "lists", "centerface", "scrfd", "yunet", "ultraface"),
    *("yolonas", "nms", "map"),
)
REFUSED = {"pose", "obb", "segment"}  # tasks of Ultralytics whose shapes could pass for others


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of a model: its outputs on two trial pictures, the sizes of these, labels and metadata."""

    names: Sequence[str]
    trials: Sequence[Sequence[Any]]
    sizes: Sequence[tuple[int, int]]  # height and width of the input
    labels: tuple[str, ...]
    metadata: Mapping[str, str]

    @property
    def shapes(self) -> list[list[tuple[int, ...]]]:
        """By output, then by trial picture."""
        return [[np.shape(trial[i]) for trial in self.trials] for i in range(len(self.names))]

    @property
    def said(self) -> str:
        """The outputs, in words."""
        parts = [
            f"{name} is {np.asarray(value).dtype} {np.shape(value)}"
            for name, value in zip(self.names, self.trials[0], strict=True)
        ]
        return ", ".join(parts)


def is_ultralytics(metadata: Mapping[str, str]) -> bool:
    """Whether Ultralytics wrote the model, for things: it then takes RGB from 0 to 1, with bars."""
    return metadata.get("author") == "Ultralytics" and metadata.get("task") == "detect"


def layout(told: Told, read: str) -> str:
    """The layout of boxes, maps or vectors; "" is numbers and scores.

    Raises BadParametersError where nothing fits, or more than one layout does.
    """
    task = told.metadata.get("task", "")
    if task in REFUSED:
        raise BadParametersError(f"{told.said} of a {task} model; supported are models for scores and for boxes")
    fitting = [name for name, fits in FITS.items() if fits(told)]
    if read in {"scores", "number"}:
        return ""
    if "detr" in fitting and read in {"auto", "detr"} and (fault := _undecided(told)):
        raise BadParametersError(f"{told.said}: {fault}")
    if read != "auto":
        if read not in fitting and not (read in ASKED and ASKED[read](told.shapes[0])):
            raise BadParametersError(
                f"{told.said}, which is not the layout of read: {read}; `imgflow steps infer` lists the layouts"
            )
        return read
    if len(fitting) > 1:
        raise BadParametersError(f"{told.said}, which fits more than one layout; write {_choice(fitting)}")
    if fitting == ["end2end"] and not _says_end2end(told):
        raise BadParametersError(f"{told.said}; if these are boxes without duplicates, write read: end2end")
    return fitting[0] if fitting else ""


def _choice(names: Sequence[str]) -> str:
    return " or ".join(f"read: {name}" for name in names)


def _alone(told: Told) -> list[tuple[tuple[int, ...], tuple[int, int]]]:
    """Shape and input size by trial picture of the only output; none where there are several."""
    return list(zip(told.shapes[0], told.sizes, strict=True)) if len(told.names) == 1 else []


def _columns(told: Told, before: int, columns: int) -> bool:
    return columns == before + len(told.labels) if told.labels else columns > before


def _yolo(told: Told) -> bool:
    return (
        bool(_alone(told))
        and all(
            len(shape) == 3  # noqa: PLR2004
            and any(many == places(size) and _columns(told, 4, columns) for columns, many in (shape[1:], shape[:0:-1]))
            for shape, size in _alone(told)
        )
    )


def _rows(told: Told, each: int) -> bool:
    return bool(_alone(told)) and all(
        len(shape) == 3 and shape[1] == each * places(size) and _columns(told, 5, shape[2])  # noqa: PLR2004
        for shape, size in _alone(told)
    )


def _end2end(told: Told) -> bool:
    shapes = [shape for shape, _ in _alone(told)]
    fixed = all(len(shape) == 3 and shape[0] == 1 and shape[2] == 6 for shape in shapes)  # noqa: PLR2004
    others = _yolo(told) or _rows(told, 1) or _rows(told, ANCHORS) or _transformer(told)
    return bool(shapes) and fixed and not others


def _says_end2end(told: Told) -> bool:
    try:
        arguments = ast.literal_eval(told.metadata.get("args", "{}"))
    except (ValueError, SyntaxError):
        arguments = {}
    asked = arguments.get("nms") if isinstance(arguments, dict) else False
    return told.metadata.get("end2end", "").lower() == "true" or bool(asked)


def _transformer(told: Told) -> bool:
    """RT-DETR as Ultralytics writes it: one output, relative boxes beside scores."""
    named = "rtdetr" in told.metadata.get("description", "").lower().replace("-", "")
    return named and all(len(shape) == 3 and _columns(told, 4, shape[2]) for shape, _ in _alone(told))  # noqa: PLR2004


def _detr(told: Told) -> bool:
    if len(told.names) != 2:  # noqa: PLR2004 - logits and boxes
        return len(told.names) == 1 and _transformer(told)
    return (
        not (_ultraface(told) or _yolonas(told))
        and all(
            len(logits) == len(boxes) == 3 and logits[:2] == boxes[:2] and boxes[2] == 4  # noqa: PLR2004
            for logits, boxes in (
                sorted(pair, key=lambda shape: shape[-1:] == (4,)) for pair in zip(*told.shapes, strict=True)
            )
        )
    )


def _undecided(told: Told) -> str:
    """Why scores beside boxes cannot be read as those of a DETR; "" where they can."""
    if len(told.names) == 1:
        return ""
    scores = np.asarray(min(told.trials[0], key=lambda value: np.shape(value)[-1:] == (4,)))
    if scores.min(initial=0) >= 0 and scores.max(initial=0) <= 1:
        return "scores are probabilities already, which is not how DETR gives them"
    many, columns = len(told.labels), scores.shape[-1]
    if many in {columns - 1, columns}:
        return ""
    return (
        f"the model has {many} labels for {columns} columns of scores; give infer as many labels as there are columns "
        "(RT-DETR, deformable DETR), or one less where the last column is for nothing (DETR)"
    )


def _ssd(told: Told) -> bool:
    return {"detection_boxes", "detection_scores", "detection_classes"} <= {
        name.partition(":")[0] for name in told.names
    }


def _lists(told: Told) -> bool:
    if {"boxes", "labels", "scores"} <= set(told.names):
        return True
    kinds = sorted((np.asarray(value).dtype.kind, np.ndim(value)) for value in told.trials[0])
    return kinds == [("f", 1), ("f", 2), ("i", 1)]


def _centerface(told: Told) -> bool:
    return len(told.names) == len(CENTERFACE) and all(
        shape == (1, channels, -(-size[0] // STRIDE), -(-size[1] // STRIDE))
        for channels, shapes in zip(CENTERFACE, told.shapes, strict=True)
        for shape, size in zip(shapes, told.sizes, strict=True)
    )


def _strided(told: Told, columns: Sequence[int], each: int) -> bool:
    """Whether the outputs are these columns for every stride, in any order, with so many rows at a place."""
    return len(told.names) == len(columns) * len(STRIDES) and all(
        sorted(shape[-2:] for shape in shapes if len(shape) == 2 or (len(shape) == 3 and shape[0] == 1))  # noqa: PLR2004
        == sorted((each * places(size, (stride,)), column) for stride in STRIDES for column in columns)
        for shapes, size in zip(zip(*told.shapes, strict=True), told.sizes, strict=True)
    )


def _scrfd(told: Told) -> bool:
    return _strided(told, SCRFD, PAIR) or _strided(told, SCRFD[:-1], PAIR)  # some are exported without landmarks


def boxes_beside_scores(values: Sequence[Any]) -> tuple[Any, Any]:
    """Which of two outputs are boxes; with four labels both may be, and then the first ones are."""
    one, other = values
    return (one, other) if np.shape(one)[-1:] == (4,) else (other, one)


def _likely(told: Told, many: Callable[[tuple[int, int]], int]) -> list[tuple[Any, Any, tuple[int, int]]]:
    """Boxes, their probabilities and the size of the input by trial picture; none where they are something else."""
    if len(told.names) != 2:  # noqa: PLR2004 - boxes and scores
        return []
    pairs = (boxes_beside_scores([np.asarray(value) for value in trial]) for trial in told.trials)
    found = [(boxes, scores, size) for (boxes, scores), size in zip(pairs, told.sizes, strict=True)]
    fits = all(
        boxes.shape == (1, many(size), 4)
        and scores.shape[:2] == boxes.shape[:2]
        and scores.ndim == boxes.ndim
        and 0 <= scores.min(initial=0) <= scores.max(initial=0) <= 1
        for boxes, scores, size in found
    )
    return found if fits else []


def _ultraface(told: Told) -> bool:
    """Of as many boxes as it looks at, each with the shares of nothing and of a face, which are all there is."""
    found = _likely(told, lambda size: sum(each * places(size, (stride,)) for stride, each in ULTRAFACE.items()))
    return bool(found) and all(
        scores.shape[2] == 2 and len(told.labels) <= 2 and np.allclose(scores.sum(axis=2), 1, atol=SUM)  # noqa: PLR2004
        for _, scores, _ in found
    )


def _yolonas(told: Told) -> bool:
    """Before suppression corners of a box around the middle of every place; after it rows under a name of their own."""
    if shapes := _alone(told):
        flat = told.names[0].endswith(FLAT)
        return flat and all(len(shape) == 2 and shape[1] == COLUMNS for shape, _ in shapes)  # noqa: PLR2004
    found = _likely(told, places)
    return bool(found) and all(
        _columns(told, 0, scores.shape[2]) and _around(boxes[0], middles(size)) for boxes, scores, size in found
    )


def _around(boxes: Any, points: Any) -> bool:
    return bool((boxes[:, :2] <= points + SLACK).all() and (boxes[:, 2:] >= points - SLACK).all())


def after_suppression(names: Sequence[str], values: Sequence[Any]) -> list[Any]:
    """Number, boxes, scores and labels, whatever their order; [] where the outputs are called otherwise."""
    for endings in COUNTED:
        found = [value for end in endings for name, value in zip(names, values, strict=True) if name.endswith(end)]
        if len(found) == len(endings) == len(values):
            return found
    return []


def _nms(told: Told) -> bool:
    def fits(values: Sequence[Any]) -> bool:
        if not (found := after_suppression(told.names, values)):
            return False
        many, boxes, scores, labels = map(np.shape, found)
        return int(np.prod(many)) == 1 and boxes == (1, *scores[1:], 4) and scores == labels and len(scores) == 2  # noqa: PLR2004

    return all(fits(values) for values in told.trials)


def _map(told: Told) -> bool:
    return bool(_alone(told)) and all(shape == (1, 1, *size) for shape, size in _alone(told))


def _classes(told: Told) -> bool:
    return bool(_alone(told)) and all(
        len(shape) == 4 and shape[1] == len(told.labels) and min(shape[2:]) > 1  # noqa: PLR2004
        for shape, _ in _alone(told)
    )


# Layouts of the first output that are taken where they are asked for, though nothing else speaks for them.
ASKED: dict[str, Callable[[list[tuple[int, ...]]], bool]] = {
    "end2end": lambda shapes: all(len(shape) == 3 and shape[2] == 6 for shape in shapes),  # noqa: PLR2004
    "classes": lambda shapes: all(len(shape) == 4 and shape[1] > 1 for shape in shapes),  # noqa: PLR2004 - a score each
    "vector": lambda _shapes: True,
}
FITS = {
    "yolo": _yolo,
    "yolo5": lambda told: _rows(told, ANCHORS),
    "yolox": lambda told: _rows(told, 1),
    "end2end": _end2end,
    "detr": _detr,
    "ssd": _ssd,
    "lists": _lists,
    "centerface": _centerface,
    "scrfd": _scrfd,
    "yunet": lambda told: _strided(told, YUNET, 1),
    "ultraface": _ultraface,
    "yolonas": _yolonas,
    "nms": _nms,
    "map": _map,
    "classes": _classes,
}
