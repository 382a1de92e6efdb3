"""What engines of this machine share: they keep nothing of a run, so that it stands where the store says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.records.summary import read_summary
from imgflow_workflows.standing import Standing

if TYPE_CHECKING:
    from imgflow_steps.records.summary import Phase
    from imgflow_steps.store import Store


class Here:
    """How a run of this machine stands."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def phase(self, run: str) -> Phase | None:
        """Succeeded or failed once collected; before that only the process that runs it could say."""
        summary = read_summary(self._store, run)
        return summary.status if summary else None

    def standing(self, run: str, since: float) -> Standing | None:  # noqa: ARG002 - the interface's
        """As ``phase``."""
        phase = self.phase(run)
        return Standing(phase) if phase else None
