"""``python -m imgflow_service.api``: serve until SIGTERM, then finish what is in hand."""

from __future__ import annotations

import asyncio
import logging
import sys

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from imgflow_service.api import app
from imgflow_service.api.front import Front
from imgflow_service.api.scaler import SERVICE, Scaler
from imgflow_service.jobs.queue import Queue
from imgflow_service.jobs.records import Jobs
from imgflow_service.jobs.worker import Worker
from imgflow_service.settings import ServiceSettings
from imgflow_service.wire import exporters, imagescaler_pb2_grpc
from imgflow_service.wire.listening import HttpServer, address, announce, asked_to_end, check, run
from imgflow_service.wire.processors import ROOM, Processors, message_options
from imgflow_steps.store import open_store
from imgflow_steps.worker.log import facts

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING

NEVER = (1 << 31) - 1  # milliseconds, as gRPC says it

_LOG = logging.getLogger("imgflow_service.api")


def main() -> int:
    """Serve; gives the exit code."""
    return run(lambda settings: asyncio.run(_serve(settings)))


async def _serve(settings: ServiceSettings) -> None:
    own, tracer = settings.api, exporters.opened("imgflow-api")
    check(own.host, {"api.port": own.port, "api.grpc_port": own.grpc_port, "api.metrics_port": own.metrics_port})
    store = open_store(settings.store) if settings.store else None
    async with Processors(own.processors, settings.limits.bytes, tracer) as processors:
        queue = Queue(settings.jobs) if store else None
        front = Front(
            settings,
            processors,
            store,
            tracer=tracer,
            jobs=Jobs(store, settings.jobs.days) if store else None,
            queue=queue,
        )
        worker, keeping = _embedded(front), asyncio.create_task(front.keep())
        server, checks = _grpc(front)
        port = server.add_insecure_port(address(own.host, own.grpc_port))
        await server.start()
        http = HttpServer(app.create(front), own.host, own.port)
        metrics, _ = start_http_server(own.metrics_port, own.host, front.telemetry.registry)
        for name in ("", SERVICE):
            await checks.set(name, SERVING)
        ports = {"http": http.port, "grpc": port, "metrics": metrics.server_port}
        _LOG.info("listening", extra=facts(**ports, processors=own.processors, store=settings.store))
        announce(**ports)

        await asked_to_end()
        keeping.cancel()
        front.draining = True
        http.leave()
        for name in ("", SERVICE):
            await checks.set(name, NOT_SERVING)
        _LOG.info("draining", extra=facts(inflight=front.admission.inflight))
        await asyncio.sleep(settings.drain.delay)
        await asyncio.gather(server.stop(settings.drain.grace), http.stop(settings.drain.grace))
        if worker:
            await asyncio.to_thread(worker.stop, settings.drain.grace)
        await front.close()
        await asyncio.to_thread(tracer.close)
        metrics.shutdown()
        _LOG.info("ended")


def _embedded(front: Front) -> Worker | None:
    """Where no broker is named, jobs are done here; those that an end leaves open begin again with the next start."""
    if front.store is None or front.queue is None or not front.queue.embedded:
        return None
    worker = Worker(front.settings, front.store, front.queue, front.tracer)
    worker.start()
    return worker


def _grpc(front: Front) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    settings = front.settings
    # Every connection ends within the time in which an end is announced: a call that comes when the server stops
    # would be cancelled. The tenth is what gRPC varies an age by.
    age = ("grpc.max_connection_age_ms", round(1000 * settings.drain.delay * 0.9) or NEVER)
    options = [*message_options(settings.limits.bytes + ROOM), ("grpc.so_reuseport", 0), age]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=2 * settings.api.inflight)
    checks = health.aio.HealthServicer()
    imagescaler_pb2_grpc.add_ImageScalerServicer_to_server(Scaler(front), server)  # type: ignore[no-untyped-call]  # written by protoc
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection([SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return server, checks


if __name__ == "__main__":
    sys.exit(main())
