"""The one join of sorted streams: neither side is ever held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal, TypeVar

from imgflow_steps.records.row import Entry, Row

Left = TypeVar("Left")
Right = TypeVar("Right")
Named = TypeVar("Named", Entry, Row)
How = Literal["outer", "left", "inner"]


def order(image: str) -> bytes:
    """What listings, row files, manifests and selections are sorted by, also where a name is not UTF-8."""
    return image.encode("utf-8", "surrogateescape")


def joined(
    left: Iterable[Left],
    right: Iterable[Right],
    left_name: Callable[[Left], str],
    right_name: Callable[[Right], str],
    *,
    how: How,
) -> Iterator[tuple[Left | None, Right | None]]:
    """Items of the same name side by side, None where a side lacks one; both sorted by ``order``, each name once.

    As in SQL: ``left`` gives every item of the left side, ``inner`` those that both sides have, ``outer`` all.
    No side is read further than that needs.
    """
    lefts, rights = iter(left), iter(right)
    one, other = next(lefts, None), next(rights, None)
    while one is not None or other is not None:
        if (one is None and how != "outer") or (other is None and how == "inner"):
            return
        takes_left, takes_right = other is None, one is None
        if one is not None and other is not None:
            mine, theirs = order(left_name(one)), order(right_name(other))
            takes_left, takes_right = mine <= theirs, theirs <= mine
        if (takes_left and takes_right) or how == "outer" or (takes_left and how == "left"):
            yield (one if takes_left else None), (other if takes_right else None)
        if takes_left:
            one = next(lefts, None)
        if takes_right:
            other = next(rights, None)


def with_rows(entries: Iterable[Named], rows: Iterable[Row]) -> Iterator[tuple[Named, Row | None]]:
    """Each entry with the row of the same image and version, if there is one."""
    for entry, row in with_newest(entries, rows):
        yield entry, of_version(entry, row)


def with_newest(entries: Iterable[Named], rows: Iterable[Row]) -> Iterator[tuple[Named, Row | None]]:
    """Each entry with the row of the same image, if there is one, whatever version of it that tells of."""
    for entry, row in joined(entries, rows, image_of, image_of, how="left"):
        assert entry is not None  # noqa: S101 - narrows the type: a left join
        yield entry, row


def of_version(entry: Entry | Row, row: Row | None) -> Row | None:
    """The row where it tells of the entry's very version."""
    return row if row is not None and row.version == entry.version else None


def among(items: Iterable[Left], image: Callable[[Left], str], images: Iterable[str]) -> Iterator[Left]:
    """Those items whose image is among ``images``."""
    for item, _ in joined(items, images, image, str, how="inner"):
        assert item is not None  # noqa: S101 - narrows the type: an inner join
        yield item


def without(names: Iterable[str], images: Iterable[str]) -> Iterator[str]:
    """Those names that are not among ``images``."""
    return (name for name, image in joined(names, images, str, str, how="left") if name is not None and image is None)


def image_of(one: Entry | Row) -> str:
    """The image that an entry or a row is about."""
    return one.image
