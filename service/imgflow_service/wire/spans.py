"""Spans as OpenTelemetry records and exports them, set up by its own variables (OTEL_*)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points

from opentelemetry import trace as api
from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from imgflow_service.wire.problems import Problem
from imgflow_service.wire.tracing import PARENT, STATE, Kind, Span, Trace, Tracer
from imgflow_steps.contract.step import BadParametersError

GROUP = "opentelemetry_traces_exporter"  # by which packages say what they export
KINDS = {"server": api.SpanKind.SERVER, "client": api.SpanKind.CLIENT, "consumer": api.SpanKind.CONSUMER}
CLOSING = 5.0  # seconds for what was not exported yet: a collector that is away does not keep a process from its end

_W3C = TraceContextTextMapPropagator()


class _Recorded(Span):
    def __init__(self, span: api.Span) -> None:
        self._span, self._code = span, ""
        carried: dict[str, str] = {}
        _W3C.inject(carried, api.set_span_in_context(span))
        super().__init__(Trace(carried.get(PARENT, ""), carried.get(STATE, "")))

    def note(self, facts: Mapping[str, str | float]) -> None:
        self._span.set_attributes({name: value for name, value in facts.items() if value != ""})

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def failed(self, code: str) -> None:
        if self._code:  # what was said first is nearest to the cause
            return
        self._code = code
        self._span.set_status(api.Status(api.StatusCode.ERROR, code))
        self._span.set_attribute("error.type", code)


class Recorder(Tracer):
    """Records spans and exports them, some at a time, in a thread of its own."""

    def __init__(self, service: str, exporters: Sequence[SpanExporter]) -> None:
        resource = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for one in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(one))
        self._tracer = self._provider.get_tracer("imgflow")

    @contextmanager
    def span(self, name: str, trace: Trace, kind: Kind) -> Iterator[Span]:
        """See Tracer."""
        span = self._tracer.start_span(name, _W3C.extract(trace.headers(), Context()), KINDS[kind])
        recorded = _Recorded(span)
        try:
            yield recorded
        except Problem:  # an answer: whether that is a failure of the span, its owner says
            raise
        except BaseException as error:
            recorded.failed(type(error).__name__)
            raise
        finally:
            span.end()

    def close(self) -> None:
        """See Tracer."""
        ending = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        ending.start()
        ending.join(CLOSING)


def exporter(name: str) -> SpanExporter:
    """An exporter by the name that its package gives it. Raises BadParametersError."""
    there = entry_points(group=GROUP)
    if name not in there.names:
        known = ", ".join(sorted(there.names))
        raise BadParametersError(
            f"OTEL_TRACES_EXPORTER or OTEL_EXPORTER_OTLP_PROTOCOL asks for {name}; there is: {known}"
        )
    made: SpanExporter = there[name].load()()
    return made
