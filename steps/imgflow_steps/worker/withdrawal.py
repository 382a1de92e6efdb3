"""Pictures of an image that show what is to be covered now: they go before its row says that it has no result.

An earlier run with the same pipeline published them, before a person gave a box, or before the photograph changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.records.row import Row, Status

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store


def withdraw(store: Store, run: Run, rows: Iterable[Row]) -> None:
    """Where the pipeline hides, delete what there is in the store of images without a result. Raises StoreError."""
    if not run.pipeline.hides:
        return
    for row in rows:
        if row.status is not Status.PROCESSED:
            below = store.entries(keys.pictures(run.municipality, run.digest, row.image))
            store.delete([found.key for found in below if keys.is_of(found.key, row.image)])
