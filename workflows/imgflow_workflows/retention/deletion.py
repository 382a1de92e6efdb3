"""Deleting what ``prune.plan`` found, while runs may begin and others prune.

A run writes ``run.json`` and then looks for the mark of a deletion; a deletion sets its mark and then looks for new
runs. So at least one sees the other, and gives way: the run tries again a moment later, the deletion lets go. Of a
digest the rows go first: what has no row is computed anew, so whatever stops a deletion leaves a store that is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import ValidationError

from imgflow_steps.records import keys
from imgflow_steps.store.threads import ahead
from imgflow_workflows.retention.plan import Item, RunIndex, What, files
from imgflow_workflows.runs.history import record

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.runs.history import Record

BATCH = 1000  # keys in one request, the most that S3 takes
THREADS = 8  # requests at the same time
LOOK = 1.0  # seconds between two looks for runs that have begun

Tell = Callable[[int], None]  # how many objects are gone


class Deletion:
    """Deletes items one after the other; ``kept`` says of those that somebody began to need meanwhile, why."""

    def __init__(self, store: Store, runs: RunIndex, tell: Tell = lambda _: None) -> None:
        self._store, self._known, self._tell = store, runs, tell
        self.kept: dict[str, str] = {}
        self.objects = 0

    def delete(self, item: Item) -> None:
        """Delete one item, or as much of it as was gone when a run began to need it. Raises StoreError."""
        mark = keys.pruning(item.municipality, item.digest) if item.what is What.DIGESTS else ""
        try:
            for prefix in _order(item):
                self._prefix(prefix, item, mark)
        except _NeededError as error:
            self.kept[item.name] = str(error)
        finally:
            if mark:
                self._store.delete([mark])

    def _prefix(self, prefix: str, item: Item, mark: str) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for gone in ahead(self._batches(prefix, item, mark, pool), THREADS + 1):
                gone.result()

    def _batches(self, prefix: str, item: Item, mark: str, pool: ThreadPoolExecutor) -> Iterator[Future[None]]:
        found = (one.key for one in self._store.entries(prefix) if one.key != mark)
        looked = -LOOK
        while batch := list(islice(found, BATCH)):
            if time.monotonic() - looked >= LOOK:
                if mark:
                    self._store.write(mark, b"")
                self._check(item)
                looked = time.monotonic()
            self.objects += len(batch)
            self._tell(self.objects)
            yield pool.submit(self._store.delete, batch)

    def _check(self, item: Item) -> None:
        """Raises _NeededError when a run that began, or went on, since the plan was made needs an item."""
        for name in self._store.folders("runs/"):
            before = self._known.records.get(name)
            if (before and name not in item.runs) or name in self._known.strange:
                continue
            try:
                now = record(self._store, name)
            except ValidationError:
                raise _NeededError(f"run {name} is of another imgflow, which alone knows what it needs") from None
            if now and now != before and _needs(now, item):
                raise _NeededError(f"run {name} began to need it")


class _NeededError(Exception):
    """Somebody needs an item; the message says who."""


def _needs(one: Record, item: Item) -> bool:
    if item.what in {What.DIGESTS, What.THUMBS}:
        return one.run.municipality == item.municipality and item.digest in one.digests
    return item.name in files(one.run.pipeline) if item.what is What.MODELS else item.name == one.run.id


def _order(item: Item) -> list[str]:
    """Prefixes in such an order that a deletion killed at any moment leaves nothing that anybody would believe."""
    if item.what is What.DIGESTS:
        return [f"{item.prefix}rows/", item.prefix]
    return [keys.run_json(item.name), item.prefix] if item.what is What.RUNS else [item.prefix]
