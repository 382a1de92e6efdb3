"""One image's lines in a sorted file of JSON lines, found by binary search: the file is never read whole.

Cost: about log2(size / 64 KiB) + 1 ranged reads of 16 KiB each, such as 13 for the 200 MB that a listing of a
million images has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from pydantic import BaseModel

from imgflow_steps.records import documents

if TYPE_CHECKING:
    from imgflow_steps.store import Store, StoredObject

PIECE = 16 << 10  # bytes read at once; doubled while one line goes on
NEAR = 64 << 10  # bytes that are read on from, not searched any further
NEIGHBOURS = 1000  # lines


class _Head(BaseModel):
    image: str


def seek(store: Store, file: StoredObject, image: str) -> list[bytes]:
    """The lines about an image, without their ends. Raises StoreError, ValidationError where a line is damaged."""
    wanted = image.encode()
    around = (line for line in lines(store, file, _begin(store, file, wanted)) if _image(line, file.key) >= wanted)
    return list(takewhile(lambda line: _image(line, file.key) == wanted, around))


def near(store: Store, file: StoredObject, image: str) -> list[bytes]:
    """Some hundred lines around the place where an image is, or would be."""
    return list(islice(lines(store, file, _begin(store, file, image.encode())), NEIGHBOURS))


def _begin(store: Store, file: StoredObject, wanted: bytes) -> int:
    """A place in a file, not far before the first line about an image."""
    low, high = 0, file.bytes  # the first wanted line, if any, begins at the first line's begin in (low, high] or at 0
    while high - low > NEAR:
        middle = (low + high) // 2
        line = next(lines(store, file, middle), None)
        if line is None or _image(line, file.key) >= wanted:
            high = middle
        else:
            low = middle
    return low


def last_before(files: Sequence[str], image: str, first: Callable[[str], bytes | None]) -> str | None:
    """Of files that continue each other, the only one that may hold an image; ``first`` gives a file's first line.

    None when the image comes before all of them. Asks for about log2(number of files) first lines.
    """
    wanted = image.encode()
    low, high = 0, len(files)
    while low < high:
        middle = (low + high) // 2
        line = first(files[middle])
        if line is None or _image(line, files[middle]) > wanted:
            high = middle
        else:
            low = middle + 1
    return files[low - 1] if low else None


def lines(store: Store, file: StoredObject, start: int = 0) -> Iterator[bytes]:
    """The lines that begin at ``start`` or behind it, streaming."""
    at, rest, piece = max(start - 1, 0), b"", PIECE
    skip = start > 0  # up to the end of the line before
    while at < file.bytes:
        data = store.read_range(file.key, at, piece, file.version)
        at += len(data)
        *whole, rest = (rest + data).split(b"\n")
        piece = PIECE if whole else piece * 2
        if skip and whole:
            del whole[0]
            skip = False
        yield from whole
    if rest and not skip:
        yield rest


def _image(line: bytes, name: str) -> bytes:
    return documents.parsed(_Head, line, name).image.encode()
