"""What a processor counts, for Prometheus and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

if TYPE_CHECKING:
    from imgflow_service.processor.answer import Answer

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Telemetry:
    """The figures of one processor."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.busy = Gauge("imgflow_processor_busy", "Pictures that are being computed.", registry=self.registry)
        self.workers = Gauge("imgflow_processor_workers", "Computing processes.", registry=self.registry)
        self.waiting = Gauge("imgflow_processor_waiting", "Requests that wait for a process.", registry=self.registry)
        self._wait = Histogram(
            "imgflow_processor_wait_seconds", "Waiting for a process.", buckets=SECONDS, registry=self.registry
        )
        self._steps = Histogram(
            "imgflow_processor_step_seconds",
            "Parts of the work on a picture.",
            ["step"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._rejected = Counter(
            "imgflow_processor_rejected", "Pictures that were rejected.", ["code"], registry=self.registry
        )
        self._deaths = Counter(
            "imgflow_processor_worker_deaths", "Computing processes that ended.", ["reason"], registry=self.registry
        )
        self._dropped = Counter(
            "imgflow_processor_dropped", "Requests given up while they waited.", registry=self.registry
        )

    def waited(self, seconds: float) -> None:
        """A request had its turn."""
        self._wait.observe(seconds)

    def computed(self, answer: Answer) -> None:
        """A picture was done with."""
        if answer.code:
            self._rejected.labels(answer.code).inc()
        for step, ms in answer.ms.items():
            self._steps.labels(step.partition(".")[0]).observe(ms / 1000)

    def died(self, reason: str) -> None:
        """A computing process ended over a picture."""
        self._deaths.labels(reason).inc()

    def dropped(self) -> None:
        """A request was given up before its turn."""
        self._dropped.inc()
