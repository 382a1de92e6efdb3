"""What detectors say, by layout: boxes in pixels of the model's input, their scores and the numbers of their labels.

Each decoder is given the outputs of one picture in float64 and gives candidates; thresholds and overlaps are not its
business. The layouts are those of the exporters: Ultralytics (YOLO v5 to v26, RT-DETR), YOLOX, DETR, TensorFlow's SSD,
torchvision's lists, CenterFace (Xu et al. 2019), SCRFD (Guo et al. 2021), YuNet (Wu et al. 2023), UltraFace (Linzaer
2019), YOLO-NAS (Deci 2023), counted lists as NVIDIA's EfficientNMS gives them, DB text maps (Liao et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from imgflow_steps.infer.grids import grid, middles, places
from imgflow_steps.infer.layouts import PAIR, STRIDE, after_suppression, boxes_beside_scores
from imgflow_steps.infer.regions import regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

UNCLIP = 1.5  # a DB map shows text shrunk; it grows again by area x 1.5 / perimeter
EDGE = 4  # numbers that a box has


@dataclass(frozen=True, slots=True)
class Candidates:
    """``boxes`` (n, 4): left, upper, right, lower in pixels of the input; ``scores`` (n); ``labels`` (n), numbers."""

    boxes: Numbers
    scores: Numbers
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DecoderContext:
    """What a decoder has to know beside the outputs."""

    names: Sequence[str]
    size: tuple[int, int]  # height and width of the input
    score: float
    labels: int  # how many there are, 0: not known
    relative: bool | None  # None: as the layout has it
    decoded: bool = False  # YOLOX: whether the grid is in the numbers already


def _centred(boxes: Numbers) -> Numbers:
    """Of middle, width and height."""
    middle, half = boxes[:, :2], boxes[:, 2:EDGE] / 2
    return np.concatenate([middle - half, middle + half], axis=1)


def _scaled(boxes: Numbers, context: DecoderContext, *, relative: bool) -> Numbers:
    if context.relative if context.relative is not None else relative:
        return boxes * np.array([context.size[1], context.size[0]] * 2, np.float64)
    return boxes


def _best(boxes: Numbers, scores: Numbers) -> Candidates:
    """Each box with the label that it most likely has."""
    labels = scores.argmax(axis=1)
    return Candidates(boxes, scores[np.arange(len(scores)), labels], labels)


def _yolo(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    rows = outputs[0][0]
    rows = rows.T if rows.shape[1] == places(context.size) else rows
    return _best(_scaled(_centred(rows), context, relative=False), rows[:, EDGE:])


def _yolo5(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    rows = outputs[0][0]
    return _best(_scaled(_centred(rows), context, relative=False), rows[:, EDGE : EDGE + 1] * rows[:, EDGE + 1 :])


def is_decoded(rows: Numbers, size: tuple[int, int]) -> bool:
    """Whether YOLOX gives middles in pixels: they then lie about their places and not about 0."""
    return bool(np.abs(rows[:, :2] - middles(size)).mean() <= np.abs(rows[:, :2]).mean())


def _yolox(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    rows = outputs[0][0].copy()
    if not context.decoded:
        corners, strides = grid(context.size)
        rows[:, :2] = (rows[:, :2] + corners) * strides
        rows[:, 2:EDGE] = np.exp(rows[:, 2:EDGE]) * strides
    return _yolo5([rows[np.newaxis]], context)


def _end2end(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    rows = outputs[0][0]
    return Candidates(_scaled(rows[:, :EDGE], context, relative=False), rows[:, 4], rows[:, 5].astype(np.int64))


def _detr(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    if len(outputs) == 1:
        rows = outputs[0][0]
        return _best(_scaled(_centred(rows), context, relative=True), rows[:, EDGE:])
    logits, boxes = sorted((output[0] for output in outputs), key=lambda output: output.shape[-1] == EDGE)
    if context.labels == logits.shape[1]:  # a score of each by itself, as deformable ones have it
        scores = 1 / (1 + np.exp(-logits))
    else:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        scores = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]  # the last is: nothing
    return _best(_scaled(_centred(boxes), context, relative=True), scores)


def _named(outputs: Sequence[Numbers], context: DecoderContext) -> Mapping[str, Numbers]:
    return {name.partition(":")[0]: value for name, value in zip(context.names, outputs, strict=True)}


def _ssd(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    named = _named(outputs, context)
    boxes = named["detection_boxes"].reshape(-1, EDGE)[:, [1, 0, 3, 2]]
    labels = named["detection_classes"].reshape(-1).astype(np.int64)
    many = int(named["num_detections"].reshape(-1)[0]) if "num_detections" in named else len(boxes)
    scores = named["detection_scores"].reshape(-1)
    return Candidates(_scaled(boxes, context, relative=True)[:many], scores[:many], labels[:many] - 1)  # counted from 1


def _lists(outputs: Sequence[Any], context: DecoderContext) -> Candidates:
    named = _named(outputs, context)
    if not {"boxes", "labels", "scores"} <= set(named):
        ordered = sorted(outputs, key=lambda output: (-output.ndim, output.dtype.kind))
        named = dict(zip(("boxes", "scores", "labels"), ordered, strict=True))
    boxes = np.asarray(named["boxes"], np.float64).reshape(-1, EDGE)
    return Candidates(
        _scaled(boxes, context, relative=False),
        np.asarray(named["scores"], np.float64).reshape(-1),
        named["labels"].reshape(-1).astype(np.int64),
    )


def _centerface(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    certain, sizes, offsets = (output[0] for output in outputs[:3])
    y, x = np.nonzero(certain[0] >= context.score)
    down, across = (np.exp(sizes[i, y, x]) * STRIDE for i in (0, 1))
    middle_y, middle_x = (y + offsets[0, y, x] + 0.5) * STRIDE, (x + offsets[1, y, x] + 0.5) * STRIDE
    boxes = np.stack([middle_x - across / 2, middle_y - down / 2, middle_x + across / 2, middle_y + down / 2], axis=1)
    return Candidates(boxes, certain[0, y, x], np.zeros(len(y), np.int64))


def _by_stride(outputs: Sequence[Numbers], columns: int) -> list[Numbers]:
    """The outputs with so many columns, a row a box; the finest stride, which has the most rows, first."""
    return sorted(
        (value.reshape(-1, columns) for value in outputs if value.shape[-1] == columns), key=len, reverse=True
    )


def _scrfd(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    scores = np.concatenate(_by_stride(outputs, 1))[:, 0]
    corners, strides = (np.repeat(value, PAIR, axis=0) for value in grid(context.size))
    reach = np.concatenate(_by_stride(outputs, EDGE)) * strides  # from the place to the left, up, right and down
    place = corners * strides
    boxes = np.concatenate([place - reach[:, :2], place + reach[:, 2:]], axis=1)
    return Candidates(boxes, scores, np.zeros(len(scores), np.int64))


def _yunet(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    certain = [value[:, 0].clip(0, 1) for value in _by_stride(outputs, 1)]  # two a stride: is a face, is anything
    scores = np.concatenate([np.sqrt(one * other) for one, other in zip(certain[::2], certain[1::2], strict=True)])
    rows = np.concatenate(_by_stride(outputs, EDGE))
    corners, strides = grid(context.size)
    boxes = np.concatenate([(corners + rows[:, :2]) * strides, np.exp(rows[:, 2:]) * strides], axis=1)
    return Candidates(_centred(boxes), scores, np.zeros(len(scores), np.int64))


def _ultraface(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    boxes, scores = boxes_beside_scores(outputs)
    face = np.full(len(boxes[0]), context.labels // 2)  # the second of two labels, the only one, or the first
    return Candidates(_scaled(boxes[0], context, relative=True), scores[0, :, 1], face)


def _yolonas(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    if len(outputs) == 1:  # a row a thing: picture, box, score, label
        rows = outputs[0]
        return Candidates(_scaled(rows[:, 1:5], context, relative=False), rows[:, 5], rows[:, 6].astype(np.int64))
    boxes, scores = boxes_beside_scores(outputs)
    return _best(_scaled(boxes[0], context, relative=False), scores[0])


def _nms(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    many, boxes, scores, labels = after_suppression(context.names, outputs)
    count = int(many.reshape(-1)[0])
    return Candidates(
        _scaled(boxes[0], context, relative=False)[:count], scores[0, :count], labels[0, :count].astype(np.int64)
    )


def _map(outputs: Sequence[Numbers], context: DecoderContext) -> Candidates:
    boxes, scores = regions(outputs[0][0, 0], context.score)
    if len(boxes):
        across, down = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
        grown = (across * down * UNCLIP / (2 * (across + down)))[:, np.newaxis]
        boxes = np.concatenate([boxes[:, :2] - grown, boxes[:, 2:] + grown], axis=1)
    return Candidates(boxes, scores, np.zeros(len(boxes), np.int64))


DECODERS: dict[str, Callable[[Sequence[Any], DecoderContext], Candidates]] = {
    "yolo": _yolo,
    "yolo5": _yolo5,
    "yolox": _yolox,
    "end2end": _end2end,
    "detr": _detr,
    "ssd": _ssd,
    "lists": _lists,
    "centerface": _centerface,
    "scrfd": _scrfd,
    "yunet": _yunet,
    "ultraface": _ultraface,
    "yolonas": _yolonas,
    "nms": _nms,
    "map": _map,
}
