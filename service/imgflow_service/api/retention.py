"""The cache within its bounds: results that are too old go, and of what is too much the oldest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from imgflow_steps.records import keys

if TYPE_CHECKING:
    from imgflow_steps.store import Store, StoredObject

DAY = 86_400.0
MINUTE = 60  # seconds: results of the same one go together


class Pruned(NamedTuple):
    """What was removed."""

    objects: int
    bytes: int


def cutoff(there: Iterable[StoredObject], days: float, most: int, now: float) -> float:
    """Before which moment results go, in seconds since the epoch: they are too old, or newer ones are ``most`` bytes.

    Memory does not grow with the number of results. 0 for ``most``: as many bytes as there are.
    """
    oldest = now - days * DAY
    sizes: Counter[int] = Counter()
    for each in there:
        if each.placed >= oldest:
            sizes[int(each.placed // MINUTE)] += each.bytes
    held = 0
    for minute in sorted(sizes, reverse=True):
        held += sizes[minute]
        if most and held > most:
            return float((minute + 1) * MINUTE)
    return oldest


def prune(store: Store, days: float, most: int, now: float, ended: Callable[[], bool] = lambda: False) -> Pruned:
    """Remove results that are older than ``days``, and the oldest of more than ``most`` bytes, until it is ``ended``.

    A result whose pictures go before its index is not whole, and so is made anew. Raises StoreError.
    """

    def there() -> Iterator[StoredObject]:
        return takewhile(lambda _: not ended(), store.entries(keys.CACHE))

    before = cutoff(there(), days, most, now)
    removed: Counter[str] = Counter()

    def old() -> Iterator[str]:
        for each in there():
            if 0 < each.placed < before:  # 0: the store does not say when
                removed.update(objects=1, bytes=each.bytes)
                yield each.key

    store.delete(old())
    return Pruned(removed["objects"], removed["bytes"])
