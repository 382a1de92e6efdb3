"""``python -m imgflow_service.processor``: serve until SIGTERM, then finish what is in hand."""

from __future__ import annotations

import asyncio
import logging
import sys

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from imgflow_service.processor.crew import Crew
from imgflow_service.processor.http import Http
from imgflow_service.processor.pictures import Pictures
from imgflow_service.processor.servicer import Servicer
from imgflow_service.processor.telemetry import Telemetry
from imgflow_service.settings import ServiceSettings
from imgflow_service.wire import exporters
from imgflow_service.wire.listening import HttpServer, address, announce, asked_to_end, check, run
from imgflow_service.wire.processors import ROOM, SERVICE, message_options
from imgflow_steps.worker.log import facts

GRACE_OF_AGE = 60_000  # milliseconds that a connection has to end what it carries, once it is old

_LOG = logging.getLogger("imgflow_service.processor")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


def main() -> int:
    """Serve; gives the exit code."""
    return run(lambda settings: asyncio.run(_serve(settings)))


async def _serve(settings: ServiceSettings) -> None:
    own, telemetry, tracer = settings.processor, Telemetry(), exporters.opened("imgflow-processor")
    wanted = ("port", "http_port", "metrics_port")
    check(own.host, {f"processor.{name}": getattr(own, name) for name in wanted})
    crew = Crew(own.crew, own.queue, settings.limits.of_pipeline, telemetry)
    telemetry.workers.set(crew.workers)
    telemetry.busy.set_function(lambda: crew.busy)
    telemetry.waiting.set_function(lambda: crew.waiting)
    await crew.warm()
    serving = True
    pictures, largest = Pictures(settings, crew), settings.limits.bytes
    checks = health.aio.HealthServicer()
    server = grpc.aio.server(options=_options(settings))
    server.add_generic_rpc_handlers((Servicer(pictures, largest, tracer).handler(),))
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    reflection.enable_server_reflection([SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = server.add_insecure_port(address(own.host, own.port))
    await checks.set(SERVICE, NOT_SERVING)  # known from the first moment: it is a processor, and not yet to be asked
    await server.start()
    asked = Http(pictures, largest, settings.timeout, tracer, lambda: serving)
    http = HttpServer(asked, own.host, own.http_port)
    metrics, _ = start_http_server(own.metrics_port, own.host, telemetry.registry)
    for name in ("", SERVICE):
        await checks.set(name, SERVING)
    ports = {"grpc": port, "http": http.port, "metrics": metrics.server_port}
    _LOG.info("listening", extra=facts(**ports, workers=crew.workers, waiting=crew.places))
    announce(**ports)

    await asked_to_end()
    serving = False
    http.leave()
    for name in ("", SERVICE):
        await checks.set(name, NOT_SERVING)
    _LOG.info("draining", extra=facts(busy=crew.busy, waiting=crew.waiting))
    await asyncio.sleep(settings.drain.delay)
    await asyncio.gather(server.stop(settings.drain.grace), http.stop(settings.drain.grace))
    await crew.close()
    await asyncio.to_thread(tracer.close)
    metrics.shutdown()
    _LOG.info("ended")


def _options(settings: ServiceSettings) -> list[tuple[str, int]]:
    return [
        *message_options(settings.limits.bytes + ROOM),
        # Connections end now and then, so that a new processor gets its share.
        ("grpc.max_connection_age_ms", round(settings.processor.connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", GRACE_OF_AGE),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.so_reuseport", 0),
    ]


if __name__ == "__main__":
    sys.exit(main())
