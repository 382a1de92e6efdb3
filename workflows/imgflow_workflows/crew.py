"""Threads that work ahead of whoever takes what they made, in order and within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def crew(workers: int, name: str = "") -> Iterator[ThreadPoolExecutor]:
    """``workers`` threads. Where the body fails, Ctrl-C included, what has not begun never does."""
    with ThreadPoolExecutor(workers, thread_name_prefix=name) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ahead(begun: Iterable[T], most: int) -> Iterator[T]:
    """The items of ``begun`` in their order; taking one begins its work, and ``most`` are taken before one is given."""
    waiting: deque[T] = deque()
    for one in begun:
        waiting.append(one)
        if len(waiting) >= most:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()
