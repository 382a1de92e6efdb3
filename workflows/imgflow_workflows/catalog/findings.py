"""Tables ``findings``, a row per thing that a model found, and ``vectors``, a row per vector that a model gave."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imgflow_steps.records import findings

if TYPE_CHECKING:
    from imgflow_steps.infer import Infer
    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_steps.records.row import Row

MODEL = 12  # digits of a model's SHA-256 that name it
WHOSE = dict.fromkeys(("image", "piece", "run", "step", "name", "model"), "string")
FINDINGS = WHOSE | {"label": "string"} | dict.fromkeys(("score", "x", "y", "w", "h", "side"), "double")
VECTORS = WHOSE | {"length": "int64", "vector": "list<float>"}
OTHERS = frozenset({"scores", "number", "classes"})  # what is read so gives neither boxes nor vectors


def things(row: Row, pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """A row's things, each once; ``pipeline`` is what the row's run did."""
    said = list(findings.once(row.outputs))
    whose = origins(pipeline, dict.fromkeys(name for _, name, value in said if findings.is_boxes(value)), "objects")
    for piece, name, value in said:
        told = {"image": row.image, "piece": piece, "run": row.run, "name": name, **whose.get(name, {})}
        for box in findings.boxes({name: value}).get(name, ()):
            yield {**told, **box._asdict(), "side": round(box.side, 1)}


def vectors(row: Row, pipeline: Pipeline) -> Iterator[dict[str, Any]]:
    """A row's vectors, each once."""
    said = list(findings.once(row.outputs))
    whose = origins(pipeline, dict.fromkeys(name for _, name, value in said if findings.is_vector(value)))
    for piece, name, value in said:
        for vector in findings.vectors({name: value}).values():
            told = {"image": row.image, "piece": piece, "run": row.run, "name": name, **whose.get(name, {})}
            yield {**told, "length": len(vector), "vector": vector}


def origins(pipeline: Pipeline, names: Iterable[str], otherwise: str = "") -> Mapping[str, dict[str, str]]:
    """The step and the model behind each name of what was found; a name is missing where several may have given it.

    ``otherwise`` is what a step without a name of its own calls what it finds; "" is as its model has it.
    """
    asked: dict[str, list[tuple[str, Infer]]] = {}
    for label, call in zip(pipeline.labels, pipeline.steps, strict=True):
        params: Any = call.params
        if call.name == "infer" and params.model and params.read not in OTHERS:
            asked.setdefault(params.name or otherwise, []).append((label, params))
    given: dict[str, list[str]] = {}
    for name in names:
        base = re.sub(r"_\d+$", "", name)
        given.setdefault(next((one for one in (name, base) if one in asked), ""), []).append(name)
    return {
        name: {"step": label, "model": model_name(params.model)}
        for base, all_names in given.items()
        if len(all_names) == len(asked.get(base, ()))
        for name, (label, params) in zip(all_names, asked[base], strict=True)
    }


def model_name(file: str) -> str:
    """What a model is called in tables: the first digits of the SHA-256 that it lies under in the store."""
    return file.rsplit("/", 1)[-1].partition(".")[0][:MODEL]
