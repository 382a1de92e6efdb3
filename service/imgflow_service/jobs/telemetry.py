"""What a worker of jobs counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class Telemetry:
    """The figures of one worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.files = Counter("imgflow_jobs_files", "Images of jobs.", ["status"], registry=self.registry)
        self.queued = Gauge("imgflow_jobs_queued", "Images in the queue.", registry=self.registry)
        self.oldest = Gauge("imgflow_jobs_oldest_seconds", "Age of the oldest open job.", registry=self.registry)
