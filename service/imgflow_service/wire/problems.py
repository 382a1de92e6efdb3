"""What may go wrong with a request, in the same words over HTTP and gRPC: code, status, title."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """The HTTP status of a code, and its title."""

    status: int
    title: str


KINDS = {
    "bad-request": Kind(400, "The request cannot be read."),
    "bad-pipeline": Kind(400, "The steps of the request are not possible."),
    "unauthorized": Kind(401, "The request has no valid key."),
    "url-refused": Kind(403, "The URL is not fetched."),
    "not-found": Kind(404, "There is nothing here."),
    "method-not-allowed": Kind(405, "This is not done here."),
    "too-many-bytes": Kind(413, "The body is too large."),
    "too-many-files": Kind(413, "There are too many files."),
    "unsupported-format": Kind(415, "This is not a picture that imgflow reads."),
    "rate": Kind(429, "This key asks more often than it may."),
    "step-error": Kind(500, "A step failed, which is a fault of its code."),
    "internal": Kind(500, "The service failed, which is a fault of its code."),
    "url-failed": Kind(502, "The URL gave no picture."),
    "busy": Kind(503, "All is busy."),
    "url-timeout": Kind(504, "The URL took too long."),
    "timeout": Kind(504, "It was not done in time."),
}
REJECTED = Kind(422, "The image was rejected.")
FAULT = 500  # statuses from here on are the service's own doing


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - an answer
    """What a client is told instead of a picture (RFC 9457); any code without a kind is the house's, of a rejection."""

    code: str
    detail: str
    retry_after: float = 0.0  # seconds, where trying again may help
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Status and title."""
        return KINDS.get(self.code, REJECTED)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kind.status

    @property
    def lasting(self) -> bool:
        """Whether the same picture would be told the same again."""
        return self.code not in KINDS or self.code == "unsupported-format"

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    def document(self, request_id: str) -> bytes:
        """The body."""
        said = {
            "type": f"urn:imgflow:{self.code}",
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
            **self.more,
        }
        return json.dumps(said).encode()

    def headers(self) -> dict[str, str]:
        """Headers beside the body."""
        retry = {"retry-after": str(max(1, round(self.retry_after)))} if self.retry_after else {}
        sign = {"www-authenticate": "Bearer"} if self.code == "unauthorized" else {}
        return {"content-type": "application/problem+json", "cache-control": "no-store", **retry, **sign}


def once(names: Iterable[str]) -> None:
    """Raises Problem where a parameter of a query is given more than once."""
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise Problem("bad-request", f"{repeated[0][:80]!r} is given more than once; give it once")
