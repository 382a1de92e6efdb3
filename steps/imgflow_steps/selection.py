"""Images that a run is about where it is not about all: a file of sorted keys, merged with the sorted listing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgflow_steps.store import Found


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


def chosen(found: Iterable[Found], prefix: str, images: Iterable[str]) -> Iterator[Found]:
    """Those of a listing below ``prefix`` that are among ``images``; both sorted, so neither is held in memory."""
    ahead = iter(images)
    wanted = next(ahead, None)
    for one in found:
        image = one.key.removeprefix(prefix)
        while wanted is not None and order(wanted) < order(image):
            wanted = next(ahead, None)
        if wanted is None:
            return
        if wanted == image:
            yield one
