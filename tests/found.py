"""Rows of runs whose models found things or gave vectors, as workers write them; no model is run."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.made_runs import MadeRun, make_run

from imgflow_steps.pipeline.model import parse
from imgflow_steps.records.row import Published
from imgflow_steps.records.run import Run, save

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FACES = f"models/{'fa' * 32}.onnx"
LIKE = f"models/{'7e' * 32}.onnx"


def things(*boxes: Sequence[Any]) -> dict[str, Any]:
    """What a finder leaves: label, score, left, upper, width, height of each, the most certain first."""
    labels = sorted({box[0] for box in boxes})
    counts = {label: sum(box[0] == label for box in boxes) for label in labels}
    return {
        "count": len(boxes),
        "labels": counts,
        "best": boxes[0][1] if boxes else 0.0,
        "boxes": [list(box) for box in boxes],
    }


def vector(*numbers: float) -> dict[str, Any]:
    return {"vector": b64encode(np.array(numbers, "<f2").tobytes()).decode(), "length": len(numbers)}


def made(folder: Path, *steps: Any, municipality: str = "Utrecht") -> MadeRun:
    """A run of these steps, by default one that looks for faces."""
    run = make_run(folder, municipality=municipality)
    pipeline = parse({"steps": list(steps) or [{"infer": {"model": FACES}}]})
    changed = Run.model_validate(run.run.model_dump() | {"pipeline": pipeline.model_dump(mode="json")})
    save(run.store, changed)
    return MadeRun(run.store, changed)


def add(run: MadeRun, images: Mapping[str, Mapping[str, Any]], **changes: Any) -> None:
    """List images, and add a row for each with one picture of 512 x 384 in which this was found."""
    run.list(images)
    run.add(
        *(
            run.row(
                image,
                outputs=[Published(key=f"out/{image}", sha256="0" * 64, width=512, height=384, found=dict(found))],
                **changes,
            )
            for image, found in images.items()
        )
    )
