"""Which of many hashes differ by few bits: all that do, without comparing all with all.

Of ``near + 2`` bands of bits at least two are the same in hashes that differ by ``near`` bits, so only those are
compared that share two (Norouzi, Punjani, Fleet, "Fast Exact Search in Hamming Space with Multi-Index Hashing", 2014).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations, count
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from array import array

    from numpy.typing import NDArray

    Words = NDArray[np.uint64]  # (hashes, 2)
    Numbers = NDArray[np.intp | np.int32]  # of hashes

BITS = 128
WORD = 64
COMPARISONS = 500_000_000  # some ten seconds of a core
MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it maps words to words one to one, and sums seldom collide


class TooManyAlikeError(Exception):
    """This many hashes share two bands that comparing them would take too long."""


@dataclass(slots=True)
class _Comparisons:
    left: int = field(default_factory=lambda: COMPARISONS)

    def take(self, some: int) -> None:
        self.left -= some
        if self.left < 0:
            raise TooManyAlikeError


def firsts(bits: array[int], near: int) -> Numbers:
    """For each hash of two words the number of the first one that it is a near-duplicate of; its own where of none.

    That is the first before it that is none itself and differs from it by at most ``near`` bits.
    Raises TooManyAlikeError, never for ``near`` 0. Needs 100 bytes a hash.
    """
    words = np.frombuffer(bits, np.uint64).reshape(-1, 2)
    order = np.lexsort((words[:, 1], words[:, 0]))  # stable: of equal hashes the first stays the first
    begins = np.zeros(len(order), bool)
    for word in words.T:
        begins[1:] |= word[order[1:]] != word[order[:-1]]
    begins[0] = True
    same = np.empty(len(order), np.int32)
    same[order] = np.repeat(order[begins], np.diff(np.append(np.flatnonzero(begins), len(order))))
    del order, begins
    heads = np.flatnonzero(same == np.arange(len(same), dtype=np.int32)).astype(np.int32)  # the first of each hash
    different = words if len(heads) == len(words) else words[heads]
    stars = heads[_stars(different, near)] if near else heads
    found = np.empty(len(same), np.int32)
    found[heads] = stars
    return found[same]


def _stars(words: Words, near: int) -> Numbers:
    """The same for hashes that all differ: of those connected the first takes what is near it; again with the rest."""
    comparisons = _Comparisons()
    groups = _connected(words, near, comparisons)
    stars = np.arange(len(words))
    left = np.flatnonzero(np.bincount(groups, minlength=len(words))[groups] > 1)
    left = left[np.argsort(groups[left], kind="stable")]
    while len(left):
        comparisons.take(len(left))
        begins = np.ones(len(left), bool)
        begins[1:] = groups[left[1:]] != groups[left[:-1]]
        first = left[begins][np.cumsum(begins) - 1]
        close = _distance(words, left, first) <= near
        stars[left[close]] = first[close]
        left = left[~close]
    return stars


def _connected(words: Words, near: int, comparisons: _Comparisons) -> Numbers:
    """For each hash the lowest number of those that it is connected with by steps of at most ``near`` bits.

    Each is compared with all that share a key with it, in a circle. From time to time those leave whose group is that
    of the one halfway round: whoever stays is compared with them, and they need not be with each other.
    """
    groups = np.arange(len(words), dtype=np.int32)
    for key in _keys(words, near + 2):
        order = np.argsort(key)
        key = key[order]  # noqa: PLW2901 - the same, sorted
        begins = np.flatnonzero(np.append(True, key[1:] != key[:-1])).astype(np.int32)
        sizes = np.diff(begins, append=np.int32(len(order)))
        begins, sizes = begins[sizes > 1], sizes[sizes > 1]
        circle = np.repeat(np.arange(len(begins), dtype=np.int32), sizes)
        at = np.arange(len(circle), dtype=np.int32) - np.repeat(
            np.cumsum(sizes, dtype=np.int32) - sizes, sizes
        )  # in its circle
        for step in count(1):
            going = step < sizes[circle]
            if not step & (step - 1):
                going &= groups[order[begins[circle] + at]] != groups[order[begins + sizes // 2]][circle]
            circle, at = circle[going], at[going]
            if not len(at):
                break
            comparisons.take(len(at))
            one, other = (order[begins[circle] + place % sizes[circle]] for place in (at, at + step))
            close = _distance(words, one, other) <= near
            _join(groups, one[close], other[close])
    return groups


def _keys(words: Words, bands: int) -> Iterator[Words]:
    """For every two bands numbers that are equal where these bands are: (hashes,).

    A band takes every so-manieth bit: neighbours in a picture often agree, and a band of theirs would tell little.
    """
    masks = [sum(1 << bit for bit in range(band, BITS, bands)) for band in range(bands)]
    for one, other in combinations(masks, 2):
        high, low = divmod(one | other, 1 << WORD)
        key = words[:, 0] & np.uint64(high)
        key *= MIX
        key += words[:, 1] & np.uint64(low)
        yield key


def _distance(words: Words, one: Numbers, other: Numbers) -> NDArray[np.uint8]:
    """In how many bits hashes differ."""
    bits: NDArray[np.uint8] = np.bitwise_count(words[one] ^ words[other]).sum(axis=1, dtype=np.uint8)
    return bits


def _join(groups: Numbers, one: Numbers, other: Numbers) -> None:
    """Give each two that are near, and all that they are connected with, the lower of their groups."""
    while len(one):
        mine, theirs = groups[one], groups[other]
        apart = mine != theirs
        one, other, mine, theirs = one[apart], other[apart], mine[apart], theirs[apart]
        np.minimum.at(groups, np.maximum(mine, theirs), np.minimum(mine, theirs))
        while len(one) and not np.array_equal(further := groups[groups], groups):
            groups[:] = further
