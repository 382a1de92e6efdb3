"""Near-duplicates: images whose hashes (see ``dhash``) differ by few bits.

Images are taken in order. Each is compared with the earlier images that are not duplicates themselves; it becomes a
duplicate of the first whose hash differs by at most `near` bits. So the distance to that image never exceeds `near`,
and a chain of small changes becomes several groups, not one.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

MOST = 4_000_000  # images that are compared: a hundred bytes each
WORDS = "Q"  # numbers of 64 bits


def numbers() -> array[int]:
    """No places yet, of 8 bytes each."""
    return array(WORDS)


@dataclass(slots=True)
class Hashes:
    """The hashes of a stream of images, 24 bytes each, with the places where the images are found again."""

    places: array[int] = field(default_factory=numbers)
    bits: array[int] = field(default_factory=numbers)  # two words for each image
    count: int = 0

    def add(self, place: int, dhash: str) -> None:
        """The next image's hash, "" where it has none; places ascend."""
        self.count += bool(dhash)
        if dhash and self.count <= MOST:
            self.places.append(place)
            self.bits.frombytes(bytes.fromhex(dhash))


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The image at ``places[i]`` is a near-duplicate of the one at ``firsts[i]``; ``places`` ascend.

    ``near`` is by how many bits they may differ: what was asked for; 0, which is the same hash, where this many are
    nearly alike that comparing them would take too long; None above ``MOST`` images, which are not compared at all.
    ``groups`` is the number of different ``firsts``.
    """

    places: array[int] = field(default_factory=numbers)
    firsts: array[int] = field(default_factory=numbers)
    near: int | None = 0
    groups: int = 0

    def largest(self, most: int, members: int) -> list[tuple[int, list[int]]]:
        """This many groups, the largest first: their images, and the places of the first this many of these."""
        if not self.groups:
            return []
        import numpy as np  # noqa: PLC0415 - as below

        places, firsts = (np.frombuffer(some, np.uint64) for some in (self.places, self.firsts))
        heads, sizes = np.unique(firsts, return_counts=True)
        chosen = np.argsort(-sizes, kind="stable")[:most]
        others = [places[firsts == head][: members - 1].tolist() for head in heads[chosen]]
        return [(int(sizes[i]) + 1, [int(heads[i]), *some]) for i, some in zip(chosen, others, strict=True)]


def duplicates(hashes: Hashes, near: int) -> Duplicates:
    """All near-duplicates whose hashes differ by ``near`` bits at most."""
    if hashes.count > MOST:
        return Duplicates(near=None)
    if hashes.count < 2:  # noqa: PLR2004 - one is no duplicate
        return Duplicates(near=near)
    import numpy as np  # noqa: PLC0415 - who has nothing to compare does without

    from imgflow_steps.records import hamming  # noqa: PLC0415 - likewise

    try:
        firsts = hamming.firsts(hashes.bits, near)
    except hamming.TooManyAlikeError:
        near, firsts = 0, hamming.firsts(hashes.bits, 0)
    images = np.flatnonzero(firsts != np.arange(len(firsts)))
    places = np.frombuffer(hashes.places, np.uint64)
    there, those = (array(WORDS, places[some].tobytes()) for some in (images, firsts[images]))
    return Duplicates(there, those, near, len(np.unique(firsts[images])))
