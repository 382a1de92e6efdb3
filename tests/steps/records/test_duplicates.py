"""Near-duplicates are exactly those that comparing all with all would find, at a price that does not explode."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgflow_steps.records import hamming
from imgflow_steps.records.duplicates import Duplicates, Hashes, duplicates


def hashes(some: list[str]) -> Hashes:
    kept = Hashes()
    for place, dhash in enumerate(some):
        kept.add(place, dhash)
    return kept


def words(some: np.ndarray[tuple[int, int], np.dtype[np.uint64]]) -> Hashes:
    kept = Hashes(count=len(some))
    kept.places.extend(range(len(some)))
    kept.bits.frombytes(some.tobytes())
    return kept


def found(some: Duplicates) -> dict[int, int]:
    return dict(zip(some.places, some.firsts, strict=True))


def naive(some: list[str], near: int) -> dict[int, int]:
    """All with all, as it is defined."""
    firsts: list[int] = []
    those: dict[int, int] = {}
    for place, dhash in enumerate(some):
        if not dhash:
            continue
        like = (f for f in firsts if (int(some[f], 16) ^ int(dhash, 16)).bit_count() <= near)
        first = next(like, None)
        if first is None:
            firsts.append(place)
        else:
            those[place] = first
    return those


@st.composite
def photographs(draw: st.DrawFn) -> list[str]:
    """Hashes of a few pictures and of what became of them, some bits apart; some pictures have none."""
    pictures = draw(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=4))
    changes = st.sets(st.integers(0, 127), max_size=9)
    copies = draw(st.lists(st.tuples(st.sampled_from(pictures), changes, st.integers(0, 9)), max_size=40))
    return [f"{picture ^ sum(1 << bit for bit in bits):032x}" if some else "" for picture, bits, some in copies]


@settings(max_examples=300, deadline=None)
@given(photographs(), st.integers(0, 12))
def test_those_are_found_that_comparing_all_with_all_finds(some: list[str], near: int) -> None:
    result = duplicates(hashes(some), near)

    assert found(result) == naive(some, near)
    assert list(result.places) == sorted(result.places)
    assert result.groups == len(set(result.firsts))
    assert result.near == near


def test_a_chain_of_small_changes_is_several_groups_not_one() -> None:
    chain = [f"{(1 << 3 * n) - 1:032x}" for n in range(9)]  # each three bits from the one before

    assert found(duplicates(hashes(chain), 6)) == {1: 0, 2: 0, 4: 3, 5: 3, 7: 6, 8: 6}


def test_the_largest_groups_come_first_with_their_first_images() -> None:
    one, other = "0" * 32, "f" * 32
    result = duplicates(hashes([other, one, other, one, one, "0f" * 16]), 6)

    assert result.largest(2, 2) == [(3, [1, 3]), (2, [0, 2])]
    assert result.largest(1, 9) == [(3, [1, 3, 4])]


@pytest.mark.parametrize("count", [0, 1])
def test_of_fewer_than_two_images_none_is_a_duplicate(count: int) -> None:
    result = duplicates(hashes(["0" * 32] * count), 6)

    assert (len(result.places), result.groups, result.largest(5, 5)) == (0, 0, [])


def test_more_images_than_are_compared_are_not_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgflow_steps.records.duplicates.MOST", 3)

    some = hashes(["0" * 32] * 4)

    assert len(some.places) == 3
    assert duplicates(some, 6).near is None
    assert duplicates(hashes(["0" * 32] * 3), 6).near == 6


def test_where_comparing_would_take_too_long_equal_hashes_are_found_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "COMPARISONS", 10)
    some = [f"{n % 50:032x}" for n in range(100)]

    result = duplicates(hashes(some), 6)

    assert (result.near, found(result)) == (0, naive(some, 0))


def test_thousands_that_are_all_nearly_alike_are_not_compared_with_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    frames = np.zeros((5000, 2), np.uint64)
    for _ in range(4):
        bit = random.integers(0, 128, len(frames))
        frames[np.arange(len(frames)), bit // 64] ^= np.uint64(1) << (bit % 64).astype(np.uint64)
    monkeypatch.setattr(hamming, "COMPARISONS", 5_000_000)  # all with all are 12 million pairs, in each of 28 keys

    result = duplicates(words(frames), 6)

    assert result.near == 6
    assert len(result.places) > 4900


def test_memory_is_a_hundred_bytes_an_image() -> None:
    random = np.random.default_rng(1)
    pictures = random.integers(0, 2**63, (20_000, 2), np.uint64)
    some = words(np.concatenate([pictures, pictures ^ np.uint64(5)]))
    duplicates(some, 6)

    tracemalloc.start()
    result = duplicates(some, 6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert result.groups == len(result.places) == 20_000
    assert peak < 40_000 * 130
