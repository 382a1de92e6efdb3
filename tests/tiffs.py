"""TIFFs of every layout, written by hand: what a test says of a file is what stands in it."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import imagecodecs
import numpy as np

Array = np.ndarray[Any, Any]

COMPRESSIONS = {"none": 1, "lzw": 5, "deflate": 8, "packbits": 32773, "lzma": 34925, "zstd": 50000}
KINDS = {"B": (1, "u1"), "H": (3, "u2"), "I": (4, "u4"), "Q": (16, "u8")}
FRACTION = 5


def packed(samples: Array, bits: int, order: str) -> bytes:
    """(rows, columns, n) with every row beginning at a whole byte."""
    rows = samples.reshape(len(samples), -1)
    if bits == 8:
        return rows.astype(np.uint8).tobytes()
    if bits in (16, 32):
        return rows.astype(f"{order}u{bits // 8}").tobytes()
    spread = (rows[:, :, np.newaxis] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(spread.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()


def compressed(data: bytes, compression: str) -> bytes:
    encode = {
        "none": bytes,
        "lzw": imagecodecs.lzw_encode,
        "deflate": imagecodecs.zlib_encode,
        "packbits": imagecodecs.packbits_encode,
        "lzma": imagecodecs.lzma_encode,
        "zstd": imagecodecs.zstd_encode,
    }[compression]
    return bytes(encode(data))


def chunks_of(plane: Array, tile: tuple[int, int] | None, rows: int) -> list[Array]:
    """(h, w, n) in strips of so many rows, or in tiles, which are filled up with their last values."""
    height, width = plane.shape[:2]
    if tile is None:
        return [plane[y : y + rows] for y in range(0, height, rows)]
    down, across = tile
    padded = np.pad(plane, ((0, -height % down), (0, -width % across), (0, 0)), mode="edge")
    return [
        padded[y : y + down, x : x + across]
        for y in range(0, padded.shape[0], down)
        for x in range(0, padded.shape[1], across)
    ]


def tiff(
    samples: Array, bits: int, photometric: int, *, order: str = "<", big: bool = False, planar: bool = False,
    compression: str = "none", tile: tuple[int, int] | None = None, rows: int = 7, extra: Sequence[int] = (),
    predictor: bool = False, more: Mapping[int, Any] | None = None, sparse: Sequence[int] = (),
) -> bytes:  # fmt: skip
    """A file of (h, w, n) whole numbers. ``more`` are tags: numbers, bytes or pairs; ``sparse`` chunks stay out."""
    height, width, count = samples.shape
    planes = [samples[:, :, i : i + 1] for i in range(count)] if planar else [samples]
    stored = []
    for chunk in (chunk for plane in planes for chunk in chunks_of(plane, tile, rows)):
        if predictor:
            before = np.concatenate([np.zeros_like(chunk[:, :1]), chunk[:, :-1]], axis=1)
            chunk = (chunk.astype(np.int64) - before) & ((1 << bits) - 1)  # noqa: PLW2901 - what is stored of it
        stored.append(compressed(packed(chunk, bits, order), compression))
    tags: dict[int, Any] = {256: width, 257: height, 258: [bits] * count, 259: COMPRESSIONS[compression]}
    tags |= {262: photometric, 277: count, 284: 2 if planar else 1}
    tags |= {322: tile[1], 323: tile[0]} if tile else {278: rows}
    tags |= ({338: list(extra)} if extra else {}) | ({317: 2} if predictor else {})
    return filed(tags | dict(more or {}), stored, order=order, big=big, tiled=bool(tile), sparse=sparse)


def filed(
    tags: Mapping[int, Any], stored: Sequence[bytes], *, order: str = "<", big: bool = False, tiled: bool = False,
    sparse: Sequence[int] = (),
) -> bytes:  # fmt: skip
    """Header, chunks, then the directory with their places in it."""
    head = 16 if big else 8
    body, offsets = b"", []
    for index, chunk in enumerate(stored):
        offsets.append(0 if index in sparse else head + len(body))
        body += b"" if index in sparse else chunk + b"\0" * (len(chunk) % 2)
    lengths = [0 if index in sparse else len(chunk) for index, chunk in enumerate(stored)]
    where = {324: offsets, 325: lengths} if tiled else {273: offsets, 279: lengths}
    at = head + len(body)
    return header(at, order=order, big=big) + body + directory({**where, **tags}, at, order=order, big=big)


def header(at: int, *, order: str, big: bool) -> bytes:
    """What a file begins with whose directory stands at ``at``."""
    name = b"II" if order == "<" else b"MM"
    return name + (struct.pack(f"{order}HHHQ", 43, 8, 0, at) if big else struct.pack(f"{order}HI", 42, at))


def directory(tags: Mapping[int, Any], at: int, *, order: str, big: bool) -> bytes:
    room, word, size = (8, "Q", 20) if big else (4, "I", 12)
    behind = at + (8 if big else 2) + size * len(tags) + room
    entries, beside = b"", b""
    for tag in sorted(tags):
        kind, count, data = valued(tags[tag], order)
        if len(data) > room:
            data, beside = struct.pack(f"{order}{word}", behind + len(beside)), beside + data
        entries += struct.pack(f"{order}HH{word}", tag, kind, count) + data.ljust(room, b"\0")
    return struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)) + entries + bytes(room) + beside


def valued(value: Any, order: str) -> tuple[int, int, bytes]:
    """Type, count and bytes of a tag: bytes, fractions as pairs, or whole numbers in as few bits as hold them."""
    if isinstance(value, bytes):
        return 7, len(value), value
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if values and isinstance(values[0], tuple):
        return FRACTION, len(values), b"".join(struct.pack(f"{order}II", *pair) for pair in values)
    if not values:
        return 4, 0, b""
    kind, dtype = KINDS["H" if max(values) < 1 << 16 else "I" if max(values) < 1 << 32 else "Q"]
    return kind, len(values), np.array(values, f"{order}{dtype}").tobytes()
