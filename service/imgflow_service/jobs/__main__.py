"""``python -m imgflow_service.jobs``: work through jobs until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import sys

from prometheus_client import start_http_server

from imgflow_service.jobs.queue import Queue
from imgflow_service.jobs.worker import Worker
from imgflow_service.settings import ServiceSettings
from imgflow_service.wire import exporters
from imgflow_service.wire.listening import announce, asked_to_end, check, run
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import open_store
from imgflow_steps.worker.log import facts

_LOG = logging.getLogger("imgflow_service.jobs")


def main() -> int:
    """Work; gives the exit code."""
    return run(_work)


def _work(settings: ServiceSettings) -> None:
    if not settings.jobs.broker or not settings.store:
        raise BadParametersError(
            "jobs need a broker and a store: set IMGFLOW_SERVE_JOBS_BROKER (redis://HOST:6379/0) and IMGFLOW_STORE"
        )
    check(settings.api.host, {"api.metrics_port": settings.api.metrics_port})
    tracer = exporters.opened("imgflow-jobs")
    worker = Worker(settings, open_store(settings.store), Queue(settings.jobs), tracer)
    metrics, _ = start_http_server(settings.api.metrics_port, settings.api.host, worker.telemetry.registry)
    worker.start()
    _LOG.info("listening", extra=facts(metrics=metrics.server_port, store=settings.store))
    announce(metrics=metrics.server_port)
    asyncio.run(_over(worker))
    lost = not worker.working
    worker.stop(settings.drain.grace)
    tracer.close()
    metrics.shutdown()
    if lost:
        _LOG.critical("celery ended by itself: whoever started this process is to start it again")
        raise SystemExit(1)
    _LOG.info("ended")


async def _over(worker: Worker) -> None:
    """Wait for SIGTERM or Ctrl-C, or for celery: it ends for good where its broker goes away in a bad moment."""
    asked = asyncio.create_task(asked_to_end())
    while worker.working and not asked.done():
        await asyncio.wait({asked}, timeout=1)


if __name__ == "__main__":
    sys.exit(main())
