"""Images that a run is about where it is not about all: a file of sorted keys, merged with the sorted listing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


def order(image: str) -> bytes:
    """What selections and listings are sorted by, also where a file's name is not UTF-8."""
    return image.encode("utf-8", "surrogateescape")


def write(path: Path, images: Iterable[str]) -> int:
    """Write keys below a dataset, sorted by ``order``, as JSON strings, one a line; how many there were."""
    count = 0
    with path.open("w", encoding="ascii") as file:
        for count, image in enumerate(images, 1):  # noqa: B007 - the last one is the number of all
            file.write(json.dumps(image) + "\n")
    return count


def read(path: Path) -> Iterator[str]:
    """The keys again, streaming."""
    with path.open(encoding="ascii") as file:
        yield from map(json.loads, file)


def without(names: Iterable[str], images: Iterable[str]) -> Iterator[str]:
    """Those names that are not among ``images``; both sorted."""
    ahead = iter(images)
    unwanted = next(ahead, None)
    for name in names:
        while unwanted is not None and order(unwanted) < order(name):
            unwanted = next(ahead, None)
        if name != unwanted:
            yield name


def among(items: Iterable[Item], image: Callable[[Item], str], images: Iterable[str]) -> Iterator[Item]:
    """Those items whose image is among ``images``; both sorted, so neither is held in memory."""
    ahead = iter(images)
    wanted = next(ahead, None)
    for item in items:
        name = image(item)
        while wanted is not None and order(wanted) < order(name):
            wanted = next(ahead, None)
        if wanted is None:
            return
        if wanted == name:
            yield item
