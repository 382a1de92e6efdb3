"""Who may ask: keys that are known by their SHA-256 alone, and how often each of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass

from imgflow_service.wire.problems import Problem

BEARER = "bearer "


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Guests:
    """Names by the SHA-256 of their key; without any, everybody may ask. ``rate`` is requests a second for each."""

    def __init__(self, keys: Mapping[str, str], rate: float) -> None:
        self._names = {digest: name for name, digest in keys.items()}
        self._rate = rate
        self._most = max(1.0, rate)  # requests at once, after a pause
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, headers: Mapping[str, str]) -> str:
        """The name of whoever asks, "" where everybody may. Raises Problem: unauthorized, rate."""
        if not self._names:
            return ""
        given = headers.get("x-api-key", "")
        authorization = headers.get("authorization", "")
        if not given and authorization.lower().startswith(BEARER):
            given = authorization[len(BEARER) :].strip()
        if not given:
            raise Problem("unauthorized", "send a key: Authorization: Bearer KEY, or X-Api-Key: KEY")
        name = self._names.get(hashlib.sha256(_bytes(given)).hexdigest())
        if name is None:
            raise Problem("unauthorized", "this key is not known here")
        self._spend(name)
        return name

    def _spend(self, name: str) -> None:
        if not self._rate:
            return
        now = time.monotonic()
        bucket = self._buckets.setdefault(name, _Bucket(self._most, now))
        bucket.tokens = min(self._most, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            wait = (1 - bucket.tokens) / self._rate
            raise Problem("rate", f"{name} may ask {self._rate:g} times a second", retry_after=wait)
        bucket.tokens -= 1


def _bytes(given: str) -> bytes:
    """A key as its client wrote it: HTTP reads bytes as Latin-1, gRPC as UTF-8 where it can."""
    try:
        return given.encode("latin-1")
    except UnicodeEncodeError:
        return given.encode("utf-8", "surrogatepass")
