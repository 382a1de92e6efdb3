"""A sample of a stream whose length nobody knows."""

from __future__ import annotations

from dataclasses import dataclass, field

from imgflow_steps.records.row import Row


@dataclass(slots=True)
class Evenly:
    """Every so-manieth of a stream of unknown length, between ``limit`` and half of it."""

    limit: int
    kept: list[Row] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, row: Row) -> None:
        """Keep it if it is its turn."""
        if self.seen % self.stride == 0:
            self.kept.append(row)
        self.seen += 1
        if len(self.kept) > self.limit:
            self.kept = self.kept[::2]
            self.stride *= 2
