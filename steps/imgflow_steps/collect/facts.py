"""Everything that a report shows, gathered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgflow_steps.collect.account import Account
    from imgflow_steps.collect.alike import Group
    from imgflow_steps.costs import Costs
    from imgflow_steps.prediction import Prediction
    from imgflow_steps.run import Listing, Run, ShardProgress, Summary


@dataclass(frozen=True, slots=True)
class Facts:
    """What happened in a run; ``thumbs`` are files beside the report's first page, by store key."""

    run: Run
    summary: Summary
    listing: Listing
    account: Account
    alike: list[Group]
    left_out: list[tuple[str, str]]
    given_up: list[ShardProgress]
    thumbs: Mapping[str, str]
    expected: Prediction | None = None
    took: Costs | None = None

    @property
    def title(self) -> str:
        """One line that names the run."""
        return f"{self.run.municipality} · run {self.run.id}"
