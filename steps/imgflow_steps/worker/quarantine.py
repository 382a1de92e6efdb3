"""What a container leaves of the images it was at when it dies whole: killed for memory, evicted, lost with its node.

Which of them it died over nobody can say, so the next attempt computes them first and one at a time. The one that
is computed when a container dies then as well has its verdict; a container that was merely evicted rejects nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgflow_steps.contract.sample import Rejected

if TYPE_CHECKING:
    from imgflow_steps.records.progress import ShardProgress

VERDICT = Rejected(
    "out-of-memory",
    "the container was killed twice with this image in work, the second time with no other: "
    "it needs more memory than the container may have",
)


@dataclass(frozen=True, slots=True)
class Suspects:
    """Numbers of images: over which containers died for certain, and those that have to show it alone."""

    convicted: tuple[int, ...] = ()
    alone: tuple[int, ...] = ()


def left_by(earlier: ShardProgress | None) -> Suspects:
    """What an attempt says that never came to its end; nobody when it did, or when there was none."""
    if earlier is None:
        return Suspects()
    certain = [*earlier.convicted, *([] if earlier.alone is None else [earlier.alone])]
    return Suspects(tuple(certain), tuple(n for n in numbers(earlier.under_way) if n not in certain))


def spans(some: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as first and last of each unbroken sequence, in order: short, however many they are."""
    found: list[tuple[int, int]] = []
    for n in sorted(some):
        if found and found[-1][1] == n - 1:
            found[-1] = (found[-1][0], n)
        else:
            found.append((n, n))
    return found


def numbers(spans: Iterable[tuple[int, int]]) -> list[int]:
    """The numbers again."""
    return [n for first, last in spans for n in range(first, last + 1)]
