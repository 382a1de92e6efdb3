"""Images that a run is about where it is not about all: a file of sorted keys, merged with the sorted listing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path


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
