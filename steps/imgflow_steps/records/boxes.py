"""Boxes that people gave, a row per image: ``datasets/<municipality>/boxes.jsonl``, sorted, and how entries get them.

The first line tells how many images follow and the SHA-256 of all that follows, so that a table which is not whole is
never taken for a shorter one. An entry with boxes carries them, so whoever decodes an image reads no second file; its
version is stamped with them, so that what was made with other boxes counts as made of another image.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from imgflow_steps.contract.sample import MANUAL, Rejected
from imgflow_steps.contract.step import unreadable
from imgflow_steps.records import documents, keys
from imgflow_steps.store import NotFoundError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from imgflow_steps.store import Store

MEDIA = "application/jsonl"
UNNAMED = "object"  # the label of a box that got none
SURE = 1.0  # the score of a box that a person gave
STAMP = re.compile(r"\+boxes-[0-9a-f]{16}$")


class BoxesUnreadableError(StoreError):
    """The boxes of a municipality are damaged: nothing may be published as if there were none."""


class ManualBox(NamedTuple):
    """What to cover: its label, and its corners in pixels of the upright source."""

    label: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def fault(self) -> str:
        """Why it is not a box; "" where it is one."""
        if not all(map(math.isfinite, self[1:])):
            return "a coordinate is not a finite number"
        return "" if self.x0 < self.x1 and self.y0 < self.y1 else "x1 and y1 must be greater than x0 and y0"


class Marked(BaseModel):
    """What people said of one image. No box: they looked, and nothing is to be covered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str
    boxes: tuple[ManualBox, ...] = ()

    @field_validator("boxes")
    @classmethod
    def _are_boxes(cls, boxes: tuple[ManualBox, ...]) -> tuple[ManualBox, ...]:
        if fault := next((box.fault for box in boxes if box.fault), ""):
            raise ValueError(fault)
        return boxes


class Head(BaseModel):
    """The first line of a table: what must follow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: int
    boxes: int
    sha256: str


def write(store: Store, municipality: str, table: Iterable[Marked], folder: Path) -> Head:
    """Replace a municipality's table by another one, sorted as listings are, each image once; ``folder`` is for files.

    Raises StoreError.
    """
    body, whole = folder / "body.jsonl", folder / "boxes.jsonl"
    images = boxes = 0
    digest = hashlib.sha256()
    with body.open("wb") as out:
        for one in _in_order(table):
            line = one.model_dump_json().encode() + b"\n"
            images, boxes = images + 1, boxes + len(one.boxes)
            digest.update(line)
            out.write(line)
    head = Head(images=images, boxes=boxes, sha256=digest.hexdigest())
    with whole.open("wb") as out, body.open("rb") as lines:
        out.write(head.model_dump_json().encode() + b"\n")
        out.writelines(lines)
    store.upload(whole, keys.boxes(municipality), MEDIA)
    return head


def download(store: Store, municipality: str, path: Path) -> Head | None:
    """A local copy of a municipality's table, looked through; None where it has none.

    Raises BoxesUnreadableError where it is not whole, and StoreError where nobody can say whether there is one.
    """
    key = keys.boxes(municipality)
    try:
        store.download(key, path)
    except NotFoundError:
        return None
    try:
        with path.open("rb") as file:
            head = documents.parsed(Head, file.readline(), "line 1")
            if hashlib.file_digest(file, "sha256").hexdigest() != head.sha256:
                raise ValueError("what follows is not what its first line tells of")
    except ValueError as error:  # which a ValidationError is
        why = unreadable(error) if isinstance(error, ValidationError) else str(error)
        raise BoxesUnreadableError(
            f"the boxes that people gave, {key} in {store.url}, are damaged: {why}; give the table again with "
            "`imgflow boxes`, or remove it with --remove: nothing is covered by it then"
        ) from error
    return head


def read(path: Path) -> Iterator[Marked]:
    """The rows of a local copy, streaming, by image. Raises BoxesUnreadableError."""
    with path.open("rb") as file:
        next(file)
        try:
            yield from _in_order(documents.each(Marked, file, "boxes"))
        except ValidationError as error:
            raise BoxesUnreadableError(f"the boxes that people gave are damaged: {unreadable(error)}") from error


def _in_order(table: Iterable[Marked]) -> Iterator[Marked]:
    """The rows; of one out of its place, a join with a listing would find nothing."""
    last = b""
    for one in table:
        if (name := one.image.encode()) <= last:
            raise BoxesUnreadableError(f"a row of the boxes that people gave is out of order: {one.image}")
        last = name
        yield one


def nobody(municipality: str) -> str:
    """Why a pipeline cannot cover anything of a municipality, where neither a model nor a person says what."""
    return (
        f"redact has no model before it, and nobody gave boxes for {municipality}: nothing can be covered; "
        "add infer, or give boxes with `imgflow boxes`"
    )


def stamped(version: str, boxes: Iterable[ManualBox]) -> str:
    """The version of an image together with its boxes."""
    text = json.dumps([list(box) for box in boxes], separators=(",", ":"))
    return f"{version}+boxes-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def of_source(version: str) -> str:
    """The version of the image alone, as its store tells it."""
    return STAMP.sub("", version)


def found(boxes: Iterable[ManualBox] | None, width: int, height: int) -> dict[str, Any]:
    """What people said of an image of this size, as a finder would have left it; nothing where they did not.

    Raises Rejected where a box lies beside the picture: then its coordinates are of something else.
    """
    if boxes is None:
        return {}
    kept: list[list[Any]] = []
    for number, box in enumerate(boxes, 1):
        left, upper, right, lower = max(0.0, box.x0), max(0.0, box.y0), min(width, box.x1), min(height, box.y1)
        if left >= right or upper >= lower:
            raise Rejected(
                "box-outside",
                f"box {number} that people gave, from {box.x0:g}, {box.y0:g} to {box.x1:g}, {box.y1:g}, lies outside "
                f"of its {width} x {height} pixels",
            )
        kept.append([box.label, SURE, left, upper, right - left, lower - upper])
    labels = [box[0] for box in kept]
    return {
        MANUAL: {
            "count": len(kept),
            "labels": {label: labels.count(label) for label in sorted(set(labels))},
            "best": SURE if kept else 0.0,
            "boxes": kept,
        }
    }
