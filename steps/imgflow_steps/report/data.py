"""Everything that a report shows, gathered."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.records.results import read_at
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from imgflow_steps.records.costs import Costs
    from imgflow_steps.records.duplicates import Duplicates
    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.prediction import Prediction
    from imgflow_steps.records.progress import ShardProgress
    from imgflow_steps.records.row import Row
    from imgflow_steps.records.run import Run
    from imgflow_steps.records.summary import Summary
    from imgflow_steps.report.account import Account
    from imgflow_steps.report.parts import Sections
    from imgflow_steps.store import Store


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened in a run; ``thumbs`` are files beside the report's first page, by store key."""

    run: Run
    summary: Summary
    listing: Listing
    account: Account
    alike: list[Group]
    left_out: list[tuple[str, str]]
    shards: Sequence[ShardProgress]  # what each container said last
    thumbs: Mapping[str, str]
    parts: Sections | None = None
    expected: Prediction | None = None
    took: Costs | None = None
    unfinished: bool = False  # the run has no results yet
    places: Mapping[str, str] = field(default_factory=dict)  # addresses of images on the pages

    @property
    def given_up(self) -> list[ShardProgress]:
        """The first shards that containers gave up."""
        return [shard for shard in self.shards if shard.error][:GIVEN_UP]

    @property
    def store(self) -> str:
        """Address of the store, as the summary has it; "" where that has none."""
        return self.summary.report.removesuffix(f"{keys.report(self.run.id)}index.html").rstrip("/")

    @property
    def title(self) -> str:
        """One line that names the run."""
        return f"{self.run.municipality} · run {self.run.id}"


GROUPS = 12  # shown


GIVEN_UP = 20  # shards whose end is told


SHOWN = 4  # images of a group with a picture


LEFT_OUT = 60  # images that are named, of those that a run leaves out…


READ = 64 << 10  # …within this many bytes of its table


NAMED = 12  # images of a group that are named


@dataclass(frozen=True, slots=True)
class Group:
    """Images that look alike: how many, and the first of them; all others are called duplicates of the very first."""

    images: int
    rows: list[Row]

    @property
    def shown(self) -> list[tuple[Row, str]]:
        """Those with a picture, and its key, "" for none: thumbnails where all have one, else what was made of them."""
        some = self.rows[:SHOWN]
        small = all(row.thumbs for row in some)
        return [
            (row, next(filter(None, row.thumbs if small else [output.key for output in row.outputs]), ""))
            for row in some
        ]


def groups(spooled: Path, found: Duplicates) -> list[Group]:
    """The largest groups, the largest first."""
    return [
        Group(images, [read_at(spooled, place) for place in places]) for images, places in found.largest(GROUPS, NAMED)
    ]


def read_left_out(store: Store, run: Run) -> list[tuple[str, str]]:
    """The first near-duplicates that a run leaves out, and what each looks like."""
    if not run.left_out:
        return []
    try:
        begin = store.read_range(keys.left_out(run.id), 0, READ)
    except NotFoundError:
        return []
    lines = list(csv.reader(io.StringIO(begin.decode(errors="ignore"), newline="")))
    whole = lines[1:-1] if len(begin) == READ else lines[1:]
    return [(image, first) for image, first in whole[:LEFT_OUT]]
