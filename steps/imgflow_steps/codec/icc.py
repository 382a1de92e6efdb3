"""Colour profiles that are made here: ICC.1:2001-04, version 2."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WHITE = np.array([0.9642, 1.0, 0.8249])  # D50, the white of profiles


def written(tags: Mapping[bytes, bytes], device: bytes, between: bytes) -> bytes:
    """A profile from the colours of a device to those ``between`` devices, with its name and its white."""
    name = b"desc\0\0\0\0" + struct.pack(">I", 8) + b"imgflow\0" + bytes(78)
    told = {b"desc": name, b"cprt": b"text\0\0\0\0imgflow\0", b"wtpt": xyz(WHITE.tolist()), **tags}
    at, entries, bodies = 128 + 4 + 12 * len(told), b"", b""
    for tag, body in told.items():
        padded = body + bytes(-len(body) % 4)
        entries += struct.pack(">4sII", tag, at + len(bodies), len(body))
        bodies += padded
    start = struct.pack(">I4xI4s4s4s12x4s", at + len(bodies), 0x02400000, b"scnr", device, between, b"acsp")
    head = (start + bytes(28) + xyz(WHITE.tolist())[8:]).ljust(128, b"\0")
    return head + struct.pack(">I", len(told)) + entries + bodies


def xyz(values: Sequence[float]) -> bytes:
    """A colour as a tag has it."""
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(int(np.floor(value * 65536 + 0.5)) for value in values))


def curve(values: Sequence[float]) -> bytes:
    """Light, 0 to 1, at equal steps of what a device is told."""
    return (
        b"curv\0\0\0\0" + struct.pack(">I", len(values)) + np.rint(np.multiply(values, 65535)).astype(">u2").tobytes()
    )
