"""Ask a model where things are, how much of a picture is what, or what a picture is like."""

from __future__ import annotations

import ast
import dataclasses
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imgflow_steps.contract.sample import Rejected, Sample, beside
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer, decoders, looking, plausible, things
from imgflow_steps.infer.layouts import Told, is_ultralytics

if TYPE_CHECKING:
    from imgflow_steps.contract.sample import Pixels
    from imgflow_steps.infer.intake import Intake

Ask = Callable[["Pixels"], list[Any]]
OTHERWISE = {
    "centerface": "face",
    "scrfd": "face",
    "yunet": "face",
    "ultraface": "face",
    "map": "region",
}  # what a thing is called where a model has no labels
UNITS = {"scrfd": (127.5, 1 / 128), "ultraface": (127.0, 1 / 128)}  # mean and scale of a family


def completed(params: Infer, metadata: Mapping[str, str]) -> Infer:
    """The parameters, completed by what Ultralytics writes into its models for things: units and size."""
    if not is_ultralytics(metadata):
        return params
    height, width = _sides(metadata.get("imgsz", ""))
    changes: dict[str, Any] = {} if params.scale or params.mean else {"scale": (1 / 255,)}
    if not (params.width or params.height):
        changes |= {"width": width, "height": height}
    return params.model_copy(update=changes)


def accustomed(params: Infer, kind: str, entry: Intake) -> Infer:
    """The parameters, completed by the units that every model of a family takes and none says.

    Raises BadParametersError where only the user can tell: an order of channels that is the default is not a choice.
    """
    if kind in UNITS and not (params.mean or params.scale or entry.dtype is np.uint8):
        mean, scale = UNITS[kind]
        return params.model_copy(update={"mean": (mean,), "scale": (scale,)})
    if kind == "yunet" and params.read == "auto" and params.order == "rgb":
        raise BadParametersError(
            "the model is a YuNet, which takes blue first: write order: bgr, or read: yunet if this one takes red first"
        )
    return params


def _sides(text: str) -> tuple[int, int]:
    try:
        height, width = map(int, ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError):
        return 0, 0
    return height, width


def _check_only(only: Sequence[str], known: Sequence[str]) -> None:
    """Raise BadParametersError for a label that the model never gives: nothing would be found, so nothing covered."""
    unknown = [label for label in only if (label not in known if known else not label.isdecimal())]
    if unknown:
        there = ", ".join(known) or "its labels have no names, so give numbers, or name them with labels"
        raise BadParametersError(f"the model finds no {', '.join(unknown)} (only); there are: {there}")


class Finder:
    """A model that gives boxes; what it finds is told in pixels of the upright source.

    ``boxes`` says so to whoever opens a pipeline, ``labels`` which there may be, () where any number may come. ``side``
    is the longer one of its input in pixels, 0 where it takes any, and ``colour`` whether it looks at that.
    """

    boxes = True

    def __init__(self, kind: str, entry: Intake, told: Told, params: Infer, ask: Ask) -> None:
        self._entry, self._params, self._ask = entry, params, ask
        self._decode, self._kind = decoders.DECODERS[kind], kind
        self._row = things.Told(told.labels, params.most, OTHERWISE.get(kind, ""))
        one = OTHERWISE.get(kind, "")
        known = told.labels or ((one,) if one else ())
        _check_only(params.only, known)
        self.labels = params.only or known
        self.side, self.colour = max(entry.width, entry.height), entry.channels > 1
        first = told.trials[0][0][0].astype(np.float64) if kind == "yolox" else np.empty((0, 0))
        self._context = decoders.DecoderContext(
            names=told.names,
            size=(0, 0),
            score=params.score,
            labels=len(told.labels),
            relative={"auto": None, "relative": True, "pixels": False}[params.units],
            decoded=kind == "yolox" and decoders.is_decoded(first, told.sizes[0]),
        )
        self._check_trials(told)

    def __call__(self, sample: Sample) -> Iterable[Sample]:
        """The sample with what was found in it beside what others found."""
        height, width, _ = sample.pixels.shape
        parts = list(looking.pieces(width, height, self._params.tile)) if self._params.tile else []
        found = [
            self._seen(self._view(sample.pixels, None)),
            *(self._seen(self._view(sample.pixels, p)) for p in parts),
        ]
        kept = things.chosen(things.joined(found), self._params, self._row.name, pieces=bool(parts))
        said = {self._params.name or "objects": self._row.row(self._inside(kept, width, height), sample.at)}
        yield dataclasses.replace(sample, found=beside(sample.found, said))

    def _check_trials(self, told: Told) -> None:
        """Raise BadParametersError where what the model says of trial pictures shows that it would be misread."""
        if self._kind not in plausible.MEASURED:
            return
        dense = self._kind in plausible.DENSE
        for outputs, size in zip(told.trials, told.sizes, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                found = self._decode(_numbers(outputs), dataclasses.replace(self._context, size=size))
            kept = found if dense else things.certain(found, self._params.score)
            if fault := plausible.scores(kept, dense=dense) or self._misread(kept, size):
                raise BadParametersError(f"{told.said}, read as {self._kind}: {fault}")

    def _misread(self, found: decoders.Candidates, size: tuple[int, int]) -> str:
        if self._kind not in plausible.MEASURED:
            return ""
        asked = self._context.relative
        return plausible.units(found, size, relative=self._kind in plausible.RELATIVE if asked is None else asked)

    def _view(self, pixels: Pixels, part: tuple[float, float, float, float] | None) -> looking.View:
        width, height = self._entry.width, self._entry.height
        if self._params.fit == "stretch" and part is None:
            return looking.stretched(pixels, width, height)
        if self._params.tile and part is None and not (width or height):  # the whole, as large as a piece
            width = height = -(-self._params.tile // looking.MULTIPLE) * looking.MULTIPLE
        return looking.letterboxed(pixels, width, height, part)

    def _seen(self, view: looking.View) -> decoders.Candidates:
        outputs = _numbers(self._ask(view.pixels))
        if not all(np.isfinite(value).all() for value in outputs):
            raise Rejected("model-failed", "the model gave numbers that are not finite")
        height, width, _ = view.pixels.shape
        size = self._entry.height or height, self._entry.width or width
        with np.errstate(over="ignore", invalid="ignore"):  # a box without end is rejected when boxes are chosen
            found = self._decode(outputs, dataclasses.replace(self._context, size=size))
        kept = things.certain(found, self._params.score)
        if fault := plausible.scores(kept) or self._misread(kept, size) or plausible.labels(kept, self._row.names):
            raise Rejected("model-failed", f"what the model found cannot be read: {fault}")
        boxes = found.boxes * np.array([*view.gain, *view.gain]) + np.array([*view.offset, *view.offset])
        return dataclasses.replace(found, boxes=boxes)

    @staticmethod
    def _inside(found: decoders.Candidates, width: int, height: int) -> decoders.Candidates:
        """Boxes end where the picture ends; what lies in the bars beside it is none of its things."""
        boxes = np.clip(found.boxes, 0, [width, height, width, height])
        there = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        return decoders.Candidates(boxes[there], found.scores[there], found.labels[there])


def _numbers(outputs: Sequence[Any]) -> list[Any]:
    """What a model gave, floats in double precision."""
    values = [np.asarray(value) for value in outputs]
    return [value.astype(np.float64) if value.dtype.kind == "f" else value for value in values]


class Summary:
    """A map of classes as the share of the picture that each has, or a vector that says what a picture is like."""

    def __init__(self, kind: str, told: Told, params: Infer, ask: Ask) -> None:
        self._kind, self._names, self._params, self._ask = kind, told.labels, params, ask
        self._name = params.name or told.names[0]

    def __call__(self, sample: Sample) -> Iterable[Sample]:
        """The sample with what the model said of it beside what others found."""
        value = np.asarray(self._ask(sample.pixels)[0])
        if not np.isfinite(value).all():
            raise Rejected("model-failed", "the model gave numbers that are not finite")
        said = self._shares(value) if self._kind == "classes" else _vector(value)
        yield dataclasses.replace(sample, found=beside(sample.found, {self._name: said}))

    def _shares(self, value: Any) -> dict[str, Any]:
        best = value[0].argmax(axis=0)
        counts = np.bincount(best.ravel(), minlength=value.shape[1])
        names = self._names if len(self._names) == value.shape[1] else [str(i) for i in range(value.shape[1])]
        pixels: Counter[str] = Counter()
        for name, n in zip(names, counts, strict=True):  # several classes may have one name
            pixels[name] += int(n)
        return {"shares": {name: round(n / best.size, 4) for name, n in pixels.items() if n}}


def _vector(value: Any) -> dict[str, Any]:
    if np.abs(value).max(initial=0) > np.finfo(np.float16).max:
        raise Rejected("model-failed", "the model gave numbers beyond what is kept of a vector, 65504")
    flat = value.reshape(-1).astype("<f2")
    return {"vector": b64encode(flat.tobytes()).decode(), "length": int(flat.size)}
