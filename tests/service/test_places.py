"""Places and bytes that a front gives to requests: what is more is refused, and what ends gives its share back."""

from __future__ import annotations

import pytest

from imgflow_service.api.admission import RETRY, Admission
from imgflow_service.wire.problems import Problem


@pytest.fixture
def refused() -> list[str]:
    return []


@pytest.fixture
def admission(refused: list[str]) -> Admission:
    return Admission(places=2, most=100, refused=refused.append)


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
