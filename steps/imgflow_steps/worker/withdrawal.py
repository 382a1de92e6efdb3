"""Pictures of an image that show what is to be covered now: they go before its row says that it has no result.

An earlier run with the same pipeline published them, before a person gave a box, or before the photograph changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from imgflow_steps.contract.options import SUFFIX
from imgflow_steps.contract.step import one_piece
from imgflow_steps.records import keys
from imgflow_steps.records.row import Row, Status

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store


def withdraw(store: Store, run: Run, rows: Iterable[Row]) -> None:
    """Where the pipeline hides, delete what there is in the store of images without a result. Raises StoreError."""
    without = [row.image for row in rows if row.status is not Status.PROCESSED]
    if not without or not run.pipeline.hides or run.pipeline.output.format == "none":
        return
    if any(call.step.pieces is not one_piece for call in run.pipeline.steps):
        for image in without:
            store.delete(_pieces(store, run, image))
        return
    suffix = SUFFIX[run.pipeline.output.format]
    store.delete([keys.published(run.municipality, run.digest, image, "", suffix) for image in without])


def _pieces(store: Store, run: Run, image: str) -> list[str]:
    """The keys of all pieces of an image; nothing but the store says how many it was cut into."""
    below = store.entries(keys.pictures(run.municipality, run.digest, image))
    return [found.key for found in below if keys.is_of(found.key, image)]
