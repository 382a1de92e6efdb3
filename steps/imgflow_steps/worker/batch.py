"""A slice of a shard: what a computing process is handed at a time. Names and numbers only, no pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from imgflow_steps.records.row import Entry
from imgflow_steps.records.run import Run
from imgflow_steps.worker.intermediate import Member

Item = tuple[int, Entry] | Member


@dataclass(frozen=True, slots=True)
class Batch:
    """Some images of a shard, and the positions of the pipeline to take them through."""

    run: Run
    store: str  # URL
    shard: int
    first: int  # position of the first step, counted from 1
    last: int
    items: tuple[Item, ...]  # photographs with their numbers, or members of…
    input: Path | None  # …this shard between steps
    output: Path | None  # where members go; None publishes
    journal: Path  # the number of the image being computed
    thumbs: bool = True  # whether reports get small pictures; not on a last try, which is about the image alone


def number(item: Item) -> int:
    """The image's number in its shard."""
    return item.number if isinstance(item, Member) else item[0]
