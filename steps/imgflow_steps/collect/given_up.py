"""Why images had no turn: what the containers said that gave their shards up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from imgflow_steps.records.listing import read_manifest
from imgflow_steps.records.merge import order
from imgflow_steps.store import NotFoundError

if TYPE_CHECKING:
    from imgflow_steps.records.progress import ShardProgress
    from imgflow_steps.store import Store


class GivenUp:
    """Asked image after image, in the order of the listing, in which shards lie as well: one manifest at a time."""

    def __init__(self, store: Store, run: str, shards: Iterable[ShardProgress]) -> None:
        self._causes = {shard.shard: shard.error for shard in shards if shard.error}
        self._lost = self._read(store, run)
        self._next: tuple[str, str] | None = next(self._lost, None)

    def of(self, image: str) -> str:
        """Why the shard of an image was given up; "" where that is not known."""
        while self._next and order(self._next[0]) < order(image):
            self._next = next(self._lost, None)
        return self._next[1] if self._next and self._next[0] == image else ""

    def _read(self, store: Store, run: str) -> Iterator[tuple[str, str]]:
        for shard, cause in sorted(self._causes.items()):
            with suppress(NotFoundError):
                for entry in read_manifest(store, run, shard):
                    yield entry.image, cause
