"""Deleting what ``prune.plan`` found, while runs may begin and others prune.

A run writes ``run.json`` and then looks for the mark of a deletion; a deletion sets its mark and then looks for new
runs. So at least one sees the other, and gives way: the run tries again a moment later, the deletion lets go. Of a
digest the rows go first: what has no row is computed anew, so whatever stops a deletion leaves a store that is whole.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

from pydantic import ValidationError

from imgflow_steps import keys
from imgflow_steps.history import record
from imgflow_steps.prune import Item, Known, What, files
from imgflow_steps.store import UnavailableError

if TYPE_CHECKING:
    from imgflow_steps.history import Record
    from imgflow_steps.run import Run
    from imgflow_steps.store import Store

BATCH = 1000  # keys in one request, the most that S3 takes
THREADS = 8  # requests at the same time
LOOK = 1.0  # seconds between two looks for runs that have begun
STALE = 600  # seconds after which a mark was left by a killed process

Tell = Callable[[int], None]  # how many objects are gone


def check_not_pruned(store: Store, run: Run) -> None:
    """Called by list. Raises UnavailableError while somebody deletes the results of this run's digest."""
    mark = store.stat(keys.pruning(run.municipality, run.digest))
    if mark and time.time() - mark.placed < STALE:
        raise UnavailableError(
            f"earlier results of run {run.id}'s pipeline are being deleted by `imgflow prune`, which stops now;"
            f" `imgflow retry {run.id}` goes on"
        )
    if mark:
        store.delete([mark.key])


class Deletion:
    """Deletes items one after the other; ``kept`` says of those that somebody began to need meanwhile, why."""

    def __init__(self, store: Store, runs: Known, tell: Tell = lambda _: None) -> None:
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
        found = (one.key for one in self._store.entries(prefix) if one.key != mark)
        waiting: deque[Future[None]] = deque()
        looked = -LOOK
        with ThreadPoolExecutor(THREADS) as pool:
            while batch := list(islice(found, BATCH)):
                if time.monotonic() - looked >= LOOK:
                    if mark:
                        self._store.write(mark, b"")
                    self._check(item)
                    looked = time.monotonic()
                waiting.append(pool.submit(self._store.delete, batch))
                self.objects += len(batch)
                self._tell(self.objects)
                if len(waiting) > THREADS:
                    waiting.popleft().result()
            for gone in waiting:
                gone.result()

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
