"""Whether spans are recorded, and by which exporters: what OpenTelemetry's variables say."""

from __future__ import annotations

import os
from collections.abc import Mapping

from imgflow_service.wire.tracing import Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def opened(service: str, environment: Mapping[str, str] = os.environ) -> Tracer:
    """What the variables OTEL_* of OpenTelemetry say; ``service`` is the name unless they give another.

    Raises BadParametersError where they name what is not here.
    """
    if not (exporters := _exporters(environment)):
        return Tracer()
    from imgflow_service.wire import spans  # noqa: PLC0415 - OpenTelemetry, which hardly anybody switches on

    return spans.Recorder(service, [spans.exporter(name) for name in exporters])


def _exporters(environment: Mapping[str, str]) -> list[str]:
    """Names of exporters as their packages have them, none where nothing is recorded."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return []
    default = "otlp" if any(environment.get(name, "").strip() for name in ENDPOINTS) else "none"
    named = environment.get("OTEL_TRACES_EXPORTER", "").strip() or default
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    otlp = f"otlp_proto_{(protocol or 'http').partition('/')[0]}"
    return [otlp if one == "otlp" else one for one in map(str.strip, named.split(",")) if one and one != "none"]
