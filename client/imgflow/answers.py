"""What a flow says before, beside and after its runs: a plan, a try of one photograph, tables of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from imgflow_steps.report.markup import table, tag
from imgflow_workflows.text import duration, size

if TYPE_CHECKING:
    from PIL.Image import Image

    from imgflow_steps.records.listing import Listing
    from imgflow_steps.records.prediction import Prediction
    from imgflow_workflows.doctor.checks import Check
    from imgflow_workflows.preview import Trial
    from imgflow_workflows.tuning import Proposal

T = TypeVar("T", "Check", "Proposal")


def _shown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [tag("tr", [tag("td", cell) for cell in row]) for row in rows]
    return str(table("answers", [(head, None) for head in heads], cells))


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``submit`` would do: nothing was written, and nothing has begun."""

    municipality: str
    digest: str
    listing: Listing  # how many images there are, which are done, and how the others are cut
    prediction: Prediction  # seconds for each step, from earlier runs

    def _rows(self) -> list[tuple[str, str]]:
        wall = self.prediction.wall
        return [
            ("images", f"{self.listing.listed:,}"),
            ("to compute", f"{self.listing.todo:,} ({size(self.listing.bytes)})"),
            ("done before", f"{self.listing.cached + self.listing.processed + self.listing.rejected:,}"),
            ("shards", f"{self.listing.shards:,}, layout {self.listing.layout}"),
            ("time", f"{duration(wall.low)} to {duration(wall.high)}" if wall else self.prediction.pace or "unknown"),
        ]

    def __str__(self) -> str:
        """A line for each figure."""
        return "\n".join(f"{name:<12} {value}" for name, value in self._rows())

    def _repr_html_(self) -> str:
        return _shown(["", self.municipality], self._rows())


@dataclass(frozen=True, slots=True)
class Preview:
    """One photograph before and after some steps."""

    trial: Trial  # sizes, findings, and what each step took
    sheet: Image  # before and after beside each other

    def _repr_png_(self) -> bytes:
        from io import BytesIO  # noqa: PLC0415 - a notebook's

        self.sheet.save(out := BytesIO(), "PNG")
        return out.getvalue()


class Answers(Sequence[T], Generic[T]):
    """Some checks or proposals: a sequence, which a notebook shows as a table."""

    def __init__(self, items: Sequence[T]) -> None:
        self._items: tuple[T, ...] = tuple(items)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """One of them, or some."""
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __repr__(self) -> str:
        """A line for each."""
        return "\n".join(map(repr, self._items)) or "nothing"

    def _repr_html_(self) -> str:
        if not self._items:
            return str(tag("div", "nothing"))
        names = [field.name for field in fields(self._items[0])]
        return _shown(names, [[str(getattr(one, name)) for name in names] for one in self._items])
