"""Whether results that a run needs are being deleted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.store import UnavailableError

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

STALE = 600  # seconds after which a mark was left by a killed process


def check_not_pruned(store: Store, run: Run) -> None:
    """Called by list. Raises UnavailableError while somebody deletes the results of this run's digest."""
    mark = store.stat(keys.pruning(run.municipality, run.digest))
    if mark and time.time() - mark.placed < STALE:
        raise UnavailableError(
            f"earlier results of run {run.id}'s pipeline are being deleted by `imgflow prune`, which stops now;"
            f" `imgflow retry {run.id}` resumes it"
        )
    if mark:
        store.delete([mark.key])
