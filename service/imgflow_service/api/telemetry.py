"""What a front counts, for Prometheus, ``/stats`` and the log."""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections import deque
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
LATEST = 1000  # requests that quantiles of /stats are taken from


class Telemetry:
    """The figures of one front."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.started = time.time()
        self.statuses: Tally[int] = Tally()
        self.codes: Tally[str] = Tally()
        self.cached: Tally[str] = Tally()
        self.latest: deque[float] = deque(maxlen=LATEST)
        self._requests = Counter(
            "imgflow_service_requests", "Requests.", ["route", "status", "code"], registry=self.registry
        )
        self._seconds = Histogram(
            "imgflow_service_request_seconds",
            "A request to its last byte.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.inflight = Gauge("imgflow_service_inflight", "Requests with an image in hand.", registry=self.registry)
        self.held = Gauge("imgflow_service_bytes_held", "Bytes of bodies in hand.", registry=self.registry)
        self.unread = Gauge(
            "imgflow_service_unread", "Bodies that wait, unread, for room in memory.", registry=self.registry
        )
        self._refused = Counter(
            "imgflow_service_refused", "Requests refused.", ["where", "reason"], registry=self.registry
        )
        self._cache = Counter("imgflow_service_cache", "Where results came from.", ["result"], registry=self.registry)
        self._gone = Counter("imgflow_service_gone", "Clients that left before their answer.", registry=self.registry)
        self._rpc = Histogram(
            "imgflow_service_rpc_seconds", "A picture at the processors.", buckets=SECONDS, registry=self.registry
        )
        self._attempts = Counter(
            "imgflow_service_rpc_attempts", "Calls of processors.", ["code"], registry=self.registry
        )

    def answered(self, route: str, status: int, code: str, seconds: float) -> None:
        """A request was answered, or given up with status 499."""
        self._requests.labels(route, str(status), code).inc()
        self._seconds.labels(route).observe(seconds)
        self.statuses[status] += 1
        if code:
            self.codes[code] += 1
        self.latest.append(seconds)

    def refused(self, where: str, reason: str) -> None:
        """A request was not taken on."""
        self._refused.labels(where, reason).inc()

    def cache(self, result: str) -> None:
        """A result was had: hit, miss, shared, bypass, read-failed, write-failed."""
        self._cache.labels(result).inc()
        self.cached[result] += 1

    def gone(self) -> None:
        """A client left."""
        self._gone.inc()

    def called(self, code: str, seconds: float) -> None:
        """A processor answered."""
        self._attempts.labels(code).inc()
        self._rpc.observe(seconds)

    def stats(self) -> dict[str, Any]:
        """The same since the start, as a person reads it."""
        ordered = sorted(self.latest)

        def quantile(share: float) -> float | None:
            return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1) if ordered else None

        return {
            "seconds": round(time.time() - self.started, 1),
            "requests": sum(self.statuses.values()),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "codes": dict(sorted(self.codes.items())),
            "cache": dict(sorted(self.cached.items())),
            "ms": {"p50": quantile(0.5), "p90": quantile(0.9), "p99": quantile(0.99), "of_latest": len(ordered)},
        }
