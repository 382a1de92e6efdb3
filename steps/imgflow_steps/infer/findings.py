"""What comes out of a model: named outputs, read as numbers, labels and class scores ready for JSON."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from imgflow_steps.contract.sample import Rejected
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.infer import Infer
from imgflow_steps.infer.layouts import LONGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS = 6  # significant; what is beyond differs between processors
SUM_TOLERANCE = 1e-3  # of a distribution in float16


@dataclass(frozen=True, slots=True)
class Outlet:
    """One output of a model and how it is read."""

    name: str
    kind: Literal["number", "label", "scores"]
    labels: tuple[str, ...]
    softmax: bool
    top: int

    def read(self, value: Any) -> Any:
        """A number, a label, or ``{"label", "score", "top": [[label, score], …]}``, best first.

        Raises Rejected when the value is not finite.
        """
        flat = np.asarray(value).reshape(-1)
        if flat.dtype.kind == "f" and not np.isfinite(flat).all():
            raise Rejected("model-failed", f"the model gave a {self.name} that is not a finite number")
        if self.kind == "label":
            return self._label(int(flat[0]))
        if self.kind == "number":
            return _rounded(flat[0].item())
        scores = _softmax(flat) if self.softmax else flat.astype(np.float64)
        best = np.argsort(-scores, kind="stable")[: self.top]
        top = [[self._label(int(i)), _rounded(float(scores[i]))] for i in best]
        return {"label": top[0][0], "score": top[0][1], "top": top}

    def _label(self, number: int) -> str:
        return self.labels[number] if 0 <= number < len(self.labels) else str(number)


def outlets(
    names: Sequence[str], trials: Sequence[Sequence[Any]], labels: tuple[str, ...], params: Infer
) -> list[Outlet]:
    """How each output is read, told from what it gave on trial pictures.

    One number is a number, or a label when it is an integer and there are labels; a vector holds class
    scores. ``scores: auto`` leaves scores alone that are a distribution (none negative, sum 1) on every
    trial and takes the others through softmax; it is decided here, so alike for all images.

    Raises BadParametersError for any other output, and for a file of labels that fits none.
    """
    found = [_outlet(name, list(values), labels, params) for name, *values in zip(names, *trials, strict=True)]
    if params.labels and not any(outlet.labels for outlet in found):
        shapes = ", ".join(f"{name} {np.shape(value)}" for name, value in zip(names, trials[0], strict=True))
        raise BadParametersError(f"{len(labels)} labels fit no output of the model; it gives {shapes}")
    return found


def _outlet(name: str, values: list[Any], labels: tuple[str, ...], params: Infer) -> Outlet:
    shapes = [tuple(n for n in np.shape(value) if n != 1) for value in values]
    dtype = np.asarray(values[0]).dtype if isinstance(values[0], np.ndarray | np.generic) else None
    if dtype is None or dtype.kind not in "biuf" or len(set(shapes)) != 1 or len(shapes[0]) > 1 or 0 in shapes[0]:
        given = type(values[0]).__name__ if dtype is None else f"{dtype} of shape {np.shape(values[0])}"
        raise BadParametersError(
            f"the model's output {name} is {given}; supported are one number or one vector of class scores "
            "for an image, of the same length for every image. Boxes, a map or regions need `read`, whose layouts "
            "`imgflow steps infer` lists"
        )
    unnamed = shapes[0] > (LONGEST,) and shapes[0] != (len(labels),)
    if unnamed and params.read == params.scores == "auto" and not all(map(_is_distribution, values)):
        raise BadParametersError(
            f"the model's output {name} is a vector of {shapes[0][0]} numbers without labels; "
            "write read: scores or read: vector"
        )
    if not shapes[0]:
        kind: Literal["label", "number"] = "label" if labels and dtype.kind in "iu" else "number"
        return Outlet(name, kind, labels if kind == "label" else (), softmax=False, top=params.top)
    auto = not all(_is_distribution(value) for value in values)
    return Outlet(
        name,
        "scores",
        labels if shapes[0] == (len(labels),) else (),
        softmax={"auto": auto, "softmax": True, "raw": False}[params.scores],
        top=params.top,
    )


def _is_distribution(scores: NDArray[Any]) -> bool:
    return bool((scores >= 0).all() and abs(scores.sum(dtype=np.float64) - 1) <= SUM_TOLERANCE)


def _softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    powers = np.exp(scores.astype(np.float64) - float(scores.max()))
    return np.asarray(powers / powers.sum())


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def labels_of(file: str, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Labels from a text file, one a line; else from the model's metadata; else none.

    Metadata is ``labels`` (a JSON list, or separated by lines or commas) or ``names`` (a list, or number
    to name).

    Raises BadParametersError when they cannot be read.
    """
    try:
        if file:
            return tuple(Path(file).read_text(encoding="utf-8-sig").rstrip().splitlines())
        if text := metadata.get("labels", "").strip():
            return _listed(text)
        if text := metadata.get("names", "").strip():
            return _numbered(text)
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise BadParametersError(
            f"cannot read the labels{f' in {file}' if file else ' of the model'}: {error}"
        ) from None
    return ()


def _listed(text: str) -> tuple[str, ...]:
    if text.startswith("["):
        return tuple(str(label) for label in json.loads(text))
    return tuple(label.strip() for label in text.split("\n" if "\n" in text else ","))


def _numbered(text: str) -> tuple[str, ...]:
    names = ast.literal_eval(text)  # as Python writes a dict, which is how YOLO exports it
    if isinstance(names, list | tuple):
        return tuple(map(str, names))
    if not isinstance(names, dict) or sorted(map(int, names)) != list(range(len(names))):
        raise ValueError("names are not numbered from 0 without gaps")
    return tuple(str(names[key]) for key in sorted(names, key=int))
