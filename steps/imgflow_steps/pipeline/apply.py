"""One image through a pipeline: encoded bytes in, pictures and findings out. No store, no run, no other process."""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imgflow_steps import codec
from imgflow_steps.contract.sample import WHOLE, Affine, Apply, Rejected, Sample
from imgflow_steps.contract.step import BadParametersError, Params, file_fields
from imgflow_steps.pipeline.decode_plan import decode_plan
from imgflow_steps.pipeline.model import Pipeline, StepCall

NO_MEMORY = -4
PIECE = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*)?")

Times = dict[str, float]  # milliseconds by part of the work: "decode", the labels of steps, "encode"
Watch = Callable[[str, Sequence[Sample]], None]  # told what there is after each part


class StepFailedError(Exception):
    """A step, the decoder or the encoder raised what none may: a fault of its code, which costs only this image."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One result of an image: ``data`` is encoded, b"" where the pipeline publishes findings alone."""

    data: bytes
    width: int
    height: int
    piece: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    at: Affine = WHOLE


@dataclass(frozen=True, slots=True)
class Made:
    """What one image became: the size and format of the original, upright, and every picture in the steps' order."""

    width: int
    height: int
    format: str
    pictures: list[Picture]
    ms: Times


def unchanged(params: Params) -> Params:
    """Files that parameters name are already where they say."""
    return params


def declared(call: StepCall, params: Params) -> Apply:
    """The work of a step as it declares it."""
    return call.step.build(params)


def unwatched(_label: str, _samples: Sequence[Sample]) -> None:
    """Nobody looks at what there is between two parts."""


class OpenPipeline:
    """A pipeline whose steps are open (a model is loaded, say): what a process keeps from one image to the next.

    ``first`` and ``last`` are positions of steps, counted from 1; the default is all of them. ``local`` gives
    parameters with paths for the files that they name otherwise; ``opening`` is entered while a step opens; ``build``
    gives its work, where that is to be another than the step's own; ``marked``: samples come with the boxes that
    people gave. Not for several threads at once. Raises BadParametersError when a step cannot be opened.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        first: int = 1,
        last: int = 0,
        *,
        local: Callable[[Params], Params] = unchanged,
        opening: Callable[[], AbstractContextManager[None]] = nullcontext,
        build: Callable[[StepCall, Params], Apply] = declared,
        marked: bool = False,
    ) -> None:
        self.pipeline = pipeline
        self.plan = decode_plan(pipeline)
        chosen = slice(first - 1, last or len(pipeline.steps))
        calls = zip(pipeline.labels[chosen], pipeline.steps[chosen], strict=True)
        self._steps = [(label, _open(label, call, local(call.params), opening, build)) for label, call in calls]
        for i, text in uncoverable(pipeline.steps[chosen], [apply for _, apply in self._steps], marked=marked):
            raise BadParametersError(f"step {self._steps[i][0]}: {text}")

    def process(self, data: bytes, image: str = "", watch: Watch = unwatched) -> Made:
        """An encoded image through every step: decoded as far as they need, encoded at the end.

        ``image`` is its key below a source, which a step that draws by chance draws from.
        Raises Rejected where the image is at fault, StepFailedError where a step is, MemoryError.
        """
        ms: Times = {}
        decoded = self.decode(data, ms)
        samples = [decoded.sample(image)]
        watch("decode", samples)
        samples = self.apply(samples, ms, watch)
        pictures = self.encode(samples, ms)
        return Made(decoded.width, decoded.height, decoded.format, pictures, ms)

    def decode(self, data: bytes, ms: Times) -> codec.Decoded:
        """The pixels that the first step needs. Raises as ``process`` does."""
        with part(ms, "decode"):
            return codec.decode(data, self.plan, self.pipeline.limits)

    def apply(self, samples: list[Sample], ms: Times, watch: Watch = unwatched) -> list[Sample]:
        """What the steps make of an image's samples. Raises as ``process`` does."""
        for label, apply in self._steps:
            with part(ms, label):
                samples = _applied(apply, samples, self.pipeline.limits.pieces)
            watch(label, samples)
        return samples

    def encode(self, samples: Sequence[Sample], ms: Times) -> list[Picture]:
        """The pictures of an image, encoded as the pipeline's output says. Raises as ``process`` does."""
        with part(ms, "encode"):
            return [self._picture(sample) for sample in samples]

    def _picture(self, sample: Sample) -> Picture:
        height, width = sample.pixels.shape[:2]
        output = self.pipeline.output
        data = b"" if output.format == "none" else codec.encode(sample.pixels, output, sample.exif)
        return Picture(data, width, height, sample.piece, sample.found, sample.at)


def process(data: bytes, pipeline: Pipeline, image: str = "") -> Made:
    """One encoded image through a pipeline; whoever has many keeps an ``OpenPipeline``.

    Raises Rejected where the image is at fault, StepFailedError where a step is, BadParametersError where a step
    cannot be opened, MemoryError.
    """
    return OpenPipeline(pipeline).process(data, image)


@contextmanager
def part(ms: Times, label: str) -> Iterator[None]:
    """A part of the work on one image: its milliseconds are added under ``label`` when it ends in order.

    Whatever it raises but Rejected and MemoryError becomes StepFailedError, also a panic of Rust.
    """
    started = time.perf_counter()
    try:
        yield
    except (Rejected, MemoryError, KeyboardInterrupt):
        raise
    except BaseException as error:
        if _is_of_memory(error):
            raise MemoryError(str(error)) from error
        raise StepFailedError(f"{label}: {_trace(error)}") from error
    ms[label] = round(ms.get(label, 0.0) + (time.perf_counter() - started) * 1000, 3)


def _open(
    label: str,
    call: StepCall,
    params: Params,
    opening: Callable[[], AbstractContextManager[None]],
    build: Callable[[StepCall, Params], Apply],
) -> Apply:
    try:
        with opening():
            return build(call, params)
    except BadParametersError as error:
        text = str(error)
        for name in file_fields(params):  # the user knows the name that was given, not this process's copy
            text = text.replace(getattr(params, name), getattr(call.params, name))
        raise BadParametersError(f"step {label}: {text}") from error


def uncoverable(
    calls: Sequence[StepCall], opened: Sequence[Apply], *, marked: bool = False
) -> Iterator[tuple[int, str]]:
    """Which steps that hide could never hide what they were asked to, and why: no model before them finds it.

    ``marked``: a step without any model before it hides what people have marked.
    """
    for i, call in enumerate(calls):
        if not call.step.hides:
            continue
        finders = [apply for apply in opened[:i] if getattr(apply, "boxes", False)]
        by_people = marked and not any(earlier.step.finds for earlier in calls[:i])
        if not finders and not by_people:
            yield i, "no model before it gives boxes of things, so nothing is covered"
            continue
        known = {name for finder in finders for name in getattr(finder, "labels", ())}
        unknown = [name for name in getattr(call.params, "labels", ()) if name not in known]
        if unknown:
            there = ", ".join(sorted(known)) or "none, give infer its labels"
            yield i, f"no model before it finds {', '.join(unknown)}; there are: {there}"


def starved(calls: Sequence[StepCall], opened: Sequence[Apply]) -> Iterator[tuple[int, str]]:
    """Which steps look for things in pictures from which an earlier step has taken what their model needs, and what."""
    for i, apply in enumerate(opened):
        if not getattr(apply, "boxes", False):
            continue
        wide, colour = getattr(apply, "side", 0), getattr(apply, "colour", False)
        for place, earlier in enumerate(calls[:i], 1):
            target = earlier.step.target(earlier.params)
            most = max(target.width, target.height) if target else wide
            if colour and earlier.step.drops_colour:
                yield i, f"its model takes colour, which step {place}, {earlier.name}, has dropped; put it before that"
            if most < wide:
                left = f"its model looks at {wide} pixels, and step {place}, {earlier.name}, leaves {most} at most"
                yield i, f"{left}; put it before that"


def _applied(apply: Apply, samples: list[Sample], most: int) -> list[Sample]:
    """What a step makes of an image's pieces: ``most`` at most, no two of the same name."""
    made: dict[str, Sample] = {}
    for piece in (_checked(out) for sample in samples for out in apply(sample)):
        if piece.piece in made:
            raise TypeError(f"it gave two pieces called {piece.piece!r}; Sample.cut names each apart")
        if len(made) == most:
            raise Rejected("too-many-pieces", f"more than {most} pictures would come of it, the limit (limits.pieces)")
        made[piece.piece] = piece
    return list(made.values())


def _checked(sample: Sample) -> Sample:
    """What a step gave, when it is what the contract says; else TypeError, before it costs more than this image."""
    kind, shape = sample.pixels.dtype, sample.pixels.shape
    if kind != np.uint8 or len(shape) != 3 or shape[2] not in {1, 2, 3, 4} or 0 in shape:  # noqa: PLR2004 - as in Sample
        raise TypeError(f"it gave pixels of {kind} {shape}; they are uint8 of (height, width, 1 to 4 channels)")
    if not PIECE.fullmatch(sample.piece):
        raise TypeError(f"it called a piece {sample.piece!r}; names are [a-z0-9]+, joined by '-'")
    if sample.found:
        json.dumps(dict(sample.found), ensure_ascii=False).encode()  # half a surrogate pair is no text
    return sample


def _is_of_memory(error: BaseException) -> bool:
    """Whether OpenCV says in its own way that memory has run out (Error::StsNoMem)."""
    return type(error).__module__.startswith("cv2") and getattr(error, "code", 0) == NO_MEMORY


def _trace(error: BaseException) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
