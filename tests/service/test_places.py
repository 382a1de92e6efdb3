"""Places and bytes that a front gives to requests: what is more is refused, and what ends gives its share back."""

from __future__ import annotations

import asyncio

import pytest

from imgflow_service.api.admission import RETRY, Admission
from imgflow_service.wire.problems import Problem


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def admission(refused: list[str]) -> Admission:
    return Admission(places=2, most=100, room=50, refused=refused.append)


def test_as_many_requests_as_there_are_places_are_taken_and_one_more_is_refused(
    admission: Admission, refused: list[str]
) -> None:
    with admission.place(), admission.place():
        assert admission.inflight == 2
        with pytest.raises(Problem, match="2 requests are in hand") as told:
            admission.place()
    assert (told.value.code, told.value.retry_after) == ("busy", RETRY)
    assert RETRY == 1
    assert refused == ["places"]
    assert admission.inflight == 0
    with admission.place():
        assert admission.inflight == 1


def test_bytes_are_counted_once_for_a_request_and_given_back_at_its_end(admission: Admission) -> None:
    with admission.place() as place:
        place.reserve(40)
        place.reserve(30)  # it holds more already
        assert admission.held == 40
        place.reserve(60)
        assert admission.held == 60
        with admission.place() as other:
            other.reserve(40)
            assert admission.held == 100
        assert admission.held == 60
    assert admission.held == 0


def test_bytes_that_there_is_no_room_for_are_refused_and_none_of_them_held(
    admission: Admission, refused: list[str]
) -> None:
    with admission.place() as place, admission.place() as other:
        place.reserve(60)
        with pytest.raises(Problem, match="as large as they may be") as told:
            other.reserve(41)
        assert (told.value.code, told.value.retry_after) == ("busy", RETRY)
        assert (admission.held, refused) == (60, ["bytes"])
        other.reserve(40)
    assert admission.held == 0


def test_one_request_alone_may_hold_more_than_all_together(admission: Admission, refused: list[str]) -> None:
    with admission.place() as place:
        place.reserve(1000)
        assert admission.held == 1000
    assert (admission.held, refused) == (0, [])


def test_a_place_waits_for_room_and_gives_it_back_at_its_end(admission: Admission, refused: list[str]) -> None:
    async def scene() -> None:
        with admission.place() as first:
            await first.room(30, 60)
            first.come(40)
            assert admission.room.taken == 40
            with admission.place() as second:
                await second.room(10, 60)
                assert admission.room.taken == 50
        assert (admission.room.taken, refused) == (0, [])

    asyncio.run(scene())


def test_a_place_that_finds_no_room_in_its_time_is_refused(admission: Admission, refused: list[str]) -> None:
    async def scene() -> None:
        with admission.place() as first, admission.place() as second:
            await first.room(50, 60)
            with pytest.raises(Problem, match=r"no room to read the body within 0\.01 seconds") as told:
                await second.room(1, 0.01)
            assert (told.value.code, told.value.retry_after) == ("busy", RETRY)
            second.come(5)  # it has no room, and takes up none
            assert (admission.room.taken, refused) == (50, ["room"])

    asyncio.run(scene())
