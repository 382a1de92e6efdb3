"""One picture through a pipeline: what runs inside a computing process, which loads numpy and Pillow for it."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from imgflow_service.processor.answer import Answer, Result
from imgflow_steps.contract.sample import Rejected
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.pipeline.apply import OpenPipeline, Picture, StepFailedError
from imgflow_steps.pipeline.model import Pipeline, parse
from imgflow_steps.worker.journal import Journal

OPEN = 8  # pipelines that stay open: a model among their steps is loaded once
OPENING = 30.0  # seconds of processor time that a step may take at least to open, however short images are to take


def compute(image: Path, size: int, results: Path, journal: Path, pipeline: str, name: str) -> Answer:
    """Take ``size`` bytes of ``image`` through a pipeline (JSON) and lay what comes of it into ``results``.

    ``name`` is what chance in a step is drawn from. Raises MemoryError; whatever else goes wrong is in the answer.
    """
    parsed = _parsed(pipeline)
    seconds = parsed.limits.seconds
    try:
        with Journal(journal) as noted:
            if (opened := _OPEN.get(pipeline)) is None:
                opened = OpenPipeline(parsed, opening=lambda: noted.opening(max(OPENING, seconds)))
                _keep(pipeline, opened)
            with noted.computing(0, seconds):
                with image.open("rb") as file:
                    data = file.read(size)
                made = opened.process(data, name)
                with results.open("r+b", buffering=0) as file:
                    laid = tuple(_lay(file.write, picture) for picture in made.pictures)
    except Rejected as verdict:
        return Answer(code=verdict.code, message=verdict.message)
    except StepFailedError as error:
        return Answer(code="step-error", message=str(error))
    except BadParametersError as error:
        return Answer(code="bad-pipeline", message=str(error))
    return Answer(made.width, made.height, made.format, laid, made.ms)


_OPEN: dict[str, OpenPipeline] = {}


def _keep(pipeline: str, opened: OpenPipeline) -> None:
    while len(_OPEN) >= OPEN:
        _OPEN.pop(next(iter(_OPEN)))
    _OPEN[pipeline] = opened


@lru_cache(maxsize=4 * OPEN)
def _parsed(pipeline: str) -> Pipeline:
    return parse(json.loads(pipeline))


def _lay(write: object, picture: Picture) -> Result:
    rest = memoryview(picture.data)
    while rest:
        rest = rest[write(rest) :]  # type: ignore[operator]  # an unbuffered file may take a part
    found = json.dumps(dict(picture.found)) if picture.found else ""
    stamp = hashlib.sha256(picture.data).hexdigest() if picture.data else ""
    return Result(len(picture.data), picture.width, picture.height, picture.piece, stamp, found)
