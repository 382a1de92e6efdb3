"""Threads that work ahead of whoever takes what they made, in order and within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


def weightless(_item: object) -> int:
    """Only the number of items counts."""
    return 0


@contextmanager
def crew(workers: int, name: str = "") -> Iterator[ThreadPoolExecutor]:
    """``workers`` threads. Where the body fails, Ctrl-C included, what has not begun never does."""
    with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ahead(begun: Iterable[T], most: int, *, weight: Callable[[T], int] = weightless, heaviest: int = 0) -> Iterator[T]:
    """The items of ``begun`` in their order; taking one begins its work, and ``most`` are taken before one is given.

    Fewer are where they weigh more than ``heaviest`` together, such as bytes that are held until their turn.
    """
    waiting: deque[T] = deque()
    held = 0
    for item in begun:
        waiting.append(item)
        held += weight(item)
        while waiting and (len(waiting) >= most or held > heaviest):
            held -= weight(waiting[0])
            yield waiting.popleft()
    yield from waiting
