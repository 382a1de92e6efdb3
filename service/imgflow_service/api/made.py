"""A finished result, as a processor gave it or as it lay in the cache."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imgflow_service.wire.processor_pb2 import ProcessResponse


@dataclass(frozen=True, slots=True)
class Piece:
    """One picture of a result; ``found`` is what steps found in it."""

    data: bytes
    width: int
    height: int
    content_type: str
    sha256: str
    piece: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Made:
    """All pictures of a result. ``ms`` and ``processor`` are empty where nothing was computed for it."""

    source: str  # "4000x3000 jpeg", upright
    pieces: tuple[Piece, ...]
    ms: Mapping[str, float] = field(default_factory=dict)
    processor: str = ""

    @classmethod
    def of(cls, response: ProcessResponse) -> Made:
        """What a processor answered."""
        pieces = tuple(
            Piece(
                data=picture.data,
                width=picture.width,
                height=picture.height,
                content_type=picture.content_type,
                sha256=picture.sha256,
                piece=picture.piece,
                found=json.loads(picture.found_json) if picture.found_json else {},
            )
            for picture in response.pictures
        )
        source = f"{response.source_width}x{response.source_height} {response.source_format}"
        return cls(source, pieces, dict(response.ms), response.processor)
