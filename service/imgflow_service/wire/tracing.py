"""Which trace a request belongs to (W3C Trace Context), and spans of it, where somebody has named a place for them.

Without that a trace is passed on as it came, and nothing is recorded. OpenTelemetry is loaded only to record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

PARENT, STATE = "traceparent", "tracestate"  # headers, and metadata of gRPC
REQUEST = "x-request-id"
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
WRITTEN = re.compile(
    r"(?P<version>(?!ff)[0-9a-f]{2})-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
STATED = re.compile(r"[\x20-\x7e]{1,512}")

Kind = Literal["server", "client", "consumer"]


@dataclass(frozen=True, slots=True)
class Trace:
    """The span that asks, as ``traceparent`` and ``tracestate`` name it; both are "" where none is known."""

    parent: str = ""
    state: str = ""

    @classmethod
    def read(cls, headers: Iterable[tuple[str, str]]) -> Trace:
        """The trace of a request by its headers or metadata; none where they do not say it as the standard has it."""
        told = [(name.lower(), value.strip()) for name, value in headers]
        parents = [value for name, value in told if name == PARENT]
        found = WRITTEN.fullmatch(parents[0]) if len(parents) == 1 else None
        if found is None or (found["version"] == "00" and found["more"]):
            return cls()
        state = ",".join(value for name, value in told if name == STATE and value)
        return cls(_parent(found), state if STATED.fullmatch(state) else "")

    def headers(self) -> dict[str, str]:
        """As headers or metadata of another request."""
        return {name: value for name, value in ((PARENT, self.parent), (STATE, self.state)) if value}


def request_id(given: str) -> str:
    """What the log calls a request: as its client does, or a name of its own."""
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


class Span:
    """A piece of work. This one is recorded nowhere; ``trace`` is what it passes on."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def note(self, facts: Mapping[str, str | float]) -> None:
        """Say more about it; what is "" is left out."""

    def name(self, name: str) -> None:
        """Call it something else, once more is known."""

    def failed(self, code: str) -> None:
        """It did not come to a good end."""


class Tracer:
    """Begins spans. This one records none."""

    @contextmanager
    def span(self, name: str, trace: Trace, kind: Kind) -> Iterator[Span]:  # noqa: ARG002 - what a recorder records
        """A span below the one that asks, for as long as the context lasts."""
        yield Span(trace)

    def close(self) -> None:
        """Hand over what was recorded; blocks, for some seconds at most."""


def _parent(found: re.Match[str]) -> str:
    """As version 00, the one that is spoken here; of later versions the flag that all of them have."""
    flags = found["flags"] if found["version"] == "00" else f"{int(found['flags'], 16) & 1:02x}"
    return f"00-{found['trace']}-{found['span']}-{flags}"
