"""One input out of others: bits, bytes, runs and numbers changed, as damage, accident and malice change them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
WIDTHS = (1, 2, 4)
MOST = 6  # changes of one input
LONGEST = 64  # bytes that are moved at a time
HEAD = 64  # where most of a file's numbers stand

Change = Callable[[bytearray, Random, Sequence[bytes]], None]


def mutated(seeds: Sequence[bytes], random: Random) -> bytes:
    """A seed with up to ``MOST`` changes, seldom so many; the same state of ``random`` gives the same bytes."""
    data = bytearray(random.choice(seeds))
    for _ in range(min(random.randint(1, MOST), random.randint(1, MOST))):
        random.choice(CHANGES)(data, random, seeds)
    return bytes(data)


def _place(data: bytearray, random: Random) -> int:
    """A position: one in three near the start."""
    return random.randrange(min(len(data), HEAD) if random.random() < 1 / 3 else len(data)) if data else 0


def _flip(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    if data:
        data[_place(data, random)] ^= 1 << random.randrange(8)


def _set(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    if data:
        data[_place(data, random)] = random.randrange(256)


def _number(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    at, width = _place(data, random), random.choice(WIDTHS)
    value = random.choice(EDGES) & ((1 << 8 * width) - 1)
    data[at : at + width] = value.to_bytes(width, random.choice(("little", "big")))


def _cut(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    del data[_place(data, random) :]


def _delete(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    at = _place(data, random)
    del data[at : at + random.randint(1, LONGEST)]


def _repeat(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    at = _place(data, random)
    data[at:at] = data[at : at + random.randint(1, LONGEST)] * random.randint(1, 4)


def _swap(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    one, other, size = _place(data, random), _place(data, random), random.randint(1, LONGEST)
    data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]


def _zero(data: bytearray, random: Random, _: Sequence[bytes]) -> None:
    at = _place(data, random)
    size = min(random.randint(1, LONGEST), len(data) - at)
    data[at : at + size] = bytes([random.choice((0, 0xFF))]) * size


def _splice(data: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    other = random.choice(seeds)
    data[_place(data, random) :] = other[random.randrange(len(other) + 1) :]


CHANGES: tuple[Change, ...] = (
    *(_flip, _flip, _flip, _set, _set, _number, _number),
    *(_cut, _delete, _repeat, _swap, _zero, _splice),
)
