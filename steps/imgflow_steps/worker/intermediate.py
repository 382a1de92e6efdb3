"""A shard between two steps: one uncompressed tar of rows and raw pixels, never extracted.

Image number n of the manifest is the member ``00000n.json`` (its row so far and the shapes of its
samples) followed by ``00000n.0.raw``, ``00000n.1.raw``… (pixels, C order). An image that was rejected
on the way is its row alone. Workers write runs of members; laid end to end in order they are the tar.
"""

from __future__ import annotations

import shutil
import tarfile
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

from pydantic import Base64Bytes, BaseModel

from imgflow_steps.contract.sample import WHOLE, Affine, Extent, Sample
from imgflow_steps.records.row import Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

END = b"\0" * 2 * tarfile.BLOCKSIZE


class ShardDamagedError(Exception):
    """A shard between steps is not whole; the step before it has to run again."""


class _Shape(BaseModel):
    shape: tuple[int, int, int]
    piece: str = ""
    found: dict[str, Any] = {}
    extent: Extent | None = None
    at: Affine = WHOLE
    exif: Base64Bytes = b""


class _Head(BaseModel):
    row: Row
    samples: list[_Shape] = []


@dataclass(frozen=True, slots=True)
class Member:
    """Where one image lies in a shard: offsets and sizes in bytes, its head first, then its samples."""

    number: int
    spans: tuple[tuple[int, int], ...]


def append(out: IO[bytes], number: int, row: Row, samples: Iterable[Sample]) -> None:
    """Write one image's members at the end of ``out``."""
    kept = list(samples)
    shapes = [_Shape.model_construct(None, **_said(s)) for s in kept]
    _member(out, f"{number:06d}.json", _Head(row=row, samples=shapes).model_dump_json().encode())
    for i, sample in enumerate(kept):
        _member(out, f"{number:06d}.{i}.raw", sample.pixels.tobytes())


def _said(sample: Sample) -> dict[str, Any]:
    said: dict[str, Any] = {"shape": _shape(sample), "piece": sample.piece, "found": dict(sample.found)}
    return said | {"extent": sample.extent, "at": sample.at, "exif": sample.exif}


def _shape(sample: Sample) -> tuple[int, int, int]:
    height, width, channels = sample.pixels.shape
    return height, width, channels


def _member(out: IO[bytes], name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    out.write(info.tobuf(tarfile.GNU_FORMAT))
    out.write(data)
    out.write(b"\0" * (-len(data) % tarfile.BLOCKSIZE))


def join(parts: Sequence[Path], out: IO[bytes]) -> None:
    """Lay the workers' parts end to end and close the tar."""
    for part in parts:
        with part.open("rb") as file:
            shutil.copyfileobj(file, out, 1 << 20)
    out.write(END)


def members(path: Path, expected: int) -> list[Member]:
    """Where each image lies. Raises ShardDamagedError unless all ``expected`` images are there and whole."""
    spans: dict[int, list[tuple[int, int]]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                spans.setdefault(int(info.name.split(".")[0]), []).append((info.offset_data, info.size))
        whole = path.stat().st_size
    except (tarfile.TarError, ValueError, OSError) as error:
        raise ShardDamagedError(f"{path.name} cannot be read as a shard: {error}") from error
    if len(spans) != expected or any(o + n > whole for s in spans.values() for o, n in s):
        raise ShardDamagedError(f"{path.name} holds {len(spans)} of {expected} images")
    return [Member(number, tuple(at)) for number, at in sorted(spans.items())]


def read(file: IO[bytes], member: Member) -> tuple[Row, list[Sample]]:
    """One image: its row so far, and its samples (none when it was rejected)."""
    import numpy as np  # noqa: PLC0415 - list and collect never touch pixels

    head = _Head.model_validate_json(_span(file, member.spans[0]).getvalue())
    samples = [
        Sample(
            np.frombuffer(_span(file, span).getbuffer(), np.uint8).reshape(s.shape),
            s.piece,
            s.found,
            s.extent,
            head.row.image,
            s.at,
            s.exif,
        )
        for s, span in zip(head.samples, member.spans[1:], strict=True)
    ]
    return head.row, samples


def _span(file: IO[bytes], span: tuple[int, int]) -> BytesIO:
    file.seek(span[0])
    return BytesIO(file.read(span[1]))
