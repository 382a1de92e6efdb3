"""Work is begun ahead, comes in order and within bounds, and is dropped where nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgflow_steps.store.threads import ahead, crew


@given(count=st.integers(0, 30), most=st.integers(1, 9))
def test_items_come_in_order_with_so_many_begun_and_never_more(count: int, most: int) -> None:
    begun = 0

    def items() -> Iterator[int]:
        nonlocal begun
        for number in range(count):
            begun += 1
            yield number

    for given_on, number in enumerate(ahead(items(), most)):
        assert number == given_on
        assert begun == min(count, given_on + most)
    assert begun == count


def test_where_the_body_fails_what_has_not_begun_never_does() -> None:
    free = threading.Event()
    ran: list[int] = []
    begun: list[Future[bool]] = []
    waiting: list[Future[None]] = []

    def fails() -> None:
        with crew(1) as pool:
            begun.append(pool.submit(free.wait))
            waiting.append(pool.submit(ran.append, 1))
            threading.Timer(0.05, free.set).start()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()

    assert begun[0].result()
    assert waiting[0].cancelled()
    assert ran == []
