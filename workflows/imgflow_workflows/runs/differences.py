"""Why two runs do not share results: which parts of their digests differ, in words."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.step import FileField

if TYPE_CHECKING:
    from pydantic import BaseModel

    from imgflow_steps.pipeline.model import Pipeline
    from imgflow_workflows.runs.history import Record

DATASET = "the municipality's dataset"
CODE = {"picture": "reading and writing pictures"}  # what a version is of, where it is of no step


def differences(before: Record, after: Record) -> list[str]:
    """Each part that differs, as ``scale.width is 512, was 1024``; none when both have the same digest."""
    if before.digest == after.digest:
        return []
    found = list(_parts(before, after))
    return found or [f"another version of imgflow listed: {_of(after)}, was {_of(before)}"]


def _of(record: Record) -> str:
    return record.run.version or "unknown"


def _parts(before: Record, after: Record) -> Iterator[str]:
    if before.run.source != after.run.source:
        yield f"source is {after.run.source or DATASET}, was {before.run.source or DATASET}"
    old, new = before.run.pipeline, after.run.pipeline
    yield from _steps(old, new)
    yield from _fields("output", old.output, new.output)
    yield from _fields("limits", old.limits, new.limits)
    versions = (before.listing.versions, after.listing.versions) if before.listing and after.listing else ({}, {})
    for name in versions[0].keys() & versions[1].keys():
        was, now = (each[name] for each in versions)
        if was != now:
            yield f"{CODE.get(name, f'step {name}')} gives other bytes since: version {now}, was {was}"


def _steps(old: Pipeline, new: Pipeline) -> Iterator[str]:
    names = [call.name for call in old.steps], [call.name for call in new.steps]
    if names[0] != names[1] and sorted(names[0]) == sorted(names[1]):
        yield f"the order of the steps is {' → '.join(names[1])}, was {' → '.join(names[0])}"
        return
    for tag, i, j, k, m in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        if tag == "equal":
            for label, was, now in zip(new.labels[k:m], old.steps[i:j], new.steps[k:m], strict=True):
                yield from _fields(label, was.params, now.params)
            continue
        if j > i:
            yield f"without {_named(names[0][i:j])}"
        if m > k:
            yield f"with {_named(names[1][k:m])}"


def _named(steps: list[str]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(steps)}"


def _fields(where: str, old: BaseModel, new: BaseModel) -> Iterator[str]:
    for name, info in type(new).model_fields.items():
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            file = any(isinstance(each, FileField) for each in info.metadata)
            yield f"{where}.{name} is {'another file: ' if file else ''}{_said(now)}, was {_said(was)}"


def _said(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value) if value not in ("", ()) else "not set"
