"""What a computing process says of one picture, without any pixels; it loads nothing."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Result:
    """One picture that came out: how many bytes of the slot are its own, and what is known of it."""

    bytes: int
    width: int
    height: int
    piece: str
    sha256: str
    found: str  # JSON, "" where nothing was found


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one picture: results, or a code and a message.

    ``width``, ``height`` and ``format`` are the upright original's.
    """

    width: int = 0
    height: int = 0
    format: str = ""
    results: tuple[Result, ...] = ()
    ms: dict[str, float] = field(default_factory=dict)
    code: str = ""
    message: str = ""
