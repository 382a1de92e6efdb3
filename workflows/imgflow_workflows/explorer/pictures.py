"""The bytes of small and whole pictures of an image: only what its own row names, and never what a step covers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError, StoreError, open_source

if TYPE_CHECKING:
    from imgflow_workflows.explorer.index import Index

LARGEST = 64 << 20  # bytes of a picture that is shown
KINDS = (  # what a browser shows, by what it begins with: a name may lie
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
)
SIDES = ("before", "after", "original", "result")


def picture(index: Index, municipality: str, image: str, side: str) -> tuple[bytes, str] | None:
    """Bytes and media type; None where there is none that a browser shows.

    ``before`` and ``after`` are small where the run made small ones, else the whole picture. Nothing is decoded here.
    """
    rows = index.ask(
        "SELECT thumb_before, thumb_after, output_key FROM images WHERE municipality = ? AND image = ?",
        [municipality, image],
    )
    if not rows or side not in SIDES:
        return None
    before, after, output = rows[0]
    wanted = {"before": [before, "original"], "after": [after, output], "original": ["original"], "result": [output]}[
        side
    ]
    for key in filter(None, wanted):
        data = _original(index, municipality, image) if key == "original" else _read(index, key)
        if data and (kind := kind_of(data)):
            return data, kind
    return None


def kind_of(data: bytes) -> str:
    """A picture's media type, if a browser shows it."""
    return next((kind for begins, kind in KINDS if begins.match(data)), "")


def _read(index: Index, key: str) -> bytes:
    try:
        return index.store.read(key)
    except (NotFoundError, StoreError):
        return b""


def _original(index: Index, municipality: str, image: str) -> bytes:
    if municipality in index.covered:
        return b""
    known = index.newest.get(municipality)
    run = known.run if known else None
    try:
        outside = open_source(run.source) if run and run.source else None
        store, key = (outside, image) if outside else (index.store, keys.images(municipality) + image)
        found = store.stat(key)
        return store.read(key) if found and found.bytes <= LARGEST else b""
    except StoreError:
        return b""
