"""A request's trace goes through every part of the service, and its spans to a collector where one is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests import photographs
from tests.services import SECONDS, Served, Start, serving, until

from imgflow_service.wire.exporters import opened
from imgflow_service.wire.imagescaler_pb2 import Image, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerStub
from imgflow_service.wire.tracing import Trace, Tracer
from imgflow_steps.contract.step import BadParametersError

PHOTO = photographs.jpeg(1, 640, 480)
TRACE, ABOVE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{ABOVE}-01"
ACTIONS = {"actions": json.dumps({"operations": [["resize", "50%"]], "output": "jpg"})}


class Collector(BaseHTTPRequestHandler):
    """Takes spans as the OpenTelemetry protocol sends them over HTTP."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.path == "/v1/traces"
        with self.server.came:  # type: ignore[attr-defined]
            self.server.requests.append(ExportTraceServiceRequest.FromString(body))  # type: ignore[attr-defined]
            self.server.came.notify_all()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silent."""


class Collected:
    """What came to a collector."""

    def __init__(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
        self.server.requests = []  # type: ignore[attr-defined]
        self.server.came = threading.Condition()  # type: ignore[attr-defined]
        self.variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "NO_PROXY": "127.0.0.1",
        }

    def spans(self) -> list[tuple[str, Span]]:
        """Each span, with the name of the service that sent it."""
        return [
            (service(resource.resource.attributes), span)
            for request in self.server.requests  # type: ignore[attr-defined]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def of(self, trace: str, count: int) -> dict[tuple[str, str], Span]:
        """The spans of a trace by service and name, once there are so many."""

        def there() -> dict[tuple[str, str], Span]:
            return {(name, one.name): one for name, one in self.spans() if one.trace_id.hex() == trace}

        with self.server.came:  # type: ignore[attr-defined]
            self.server.came.wait_for(lambda: len(there()) >= count, SECONDS)  # type: ignore[attr-defined]
            return there()


def service(attributes: object) -> str:
    return next(one.value.string_value for one in attributes if one.key == "service.name")  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def collected() -> Iterator[Collected]:
    collected = Collected()
    thread = threading.Thread(target=collected.server.serve_forever)
    thread.start()
    yield collected
    collected.server.shutdown()
    thread.join()
    collected.server.server_close()


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def observed(start: Start, collected: Collected) -> Served:
    """A processor whose spans are collected."""
    return start("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1", **collected.variables)


@pytest.fixture(scope="module")
def keeper(start: Start, observed: Served, collected: Collected, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A front whose spans are collected as well, with a store."""
    store = tmp_path_factory.mktemp("traces") / "store"
    processors = f"127.0.0.1:{observed.ports['grpc']}"
    return start("api", IMGFLOW_SERVE_API_PROCESSORS=processors, IMGFLOW_STORE=str(store), **collected.variables)


def of_request(served: Served, event: str, request_id: str) -> dict[str, object]:
    """Its line of the log, which may come after the answer."""

    def lines() -> list[dict[str, object]]:
        return [one for one in served.logged(event) if one.get("request_id") == request_id]

    until(lambda: bool(lines()))
    [line] = lines()
    return line


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-" + "0" * 32 + f"-{ABOVE}-01",
        f"00-{TRACE}-" + "0" * 16 + "-01",
        f"ff-{TRACE}-{ABOVE}-01",
        f"00-{TRACE.upper()}-{ABOVE}-01",
        f"00-{TRACE}-{ABOVE}-01-more",
        f"00-{TRACE}-{ABOVE}",
    ],
)
def test_what_is_not_a_trace_is_none(text: str) -> None:
    assert Trace.read([("traceparent", text), ("tracestate", "a=1")]) == Trace()


def test_two_parents_are_none_and_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert Trace.read([("traceparent", GIVEN), ("traceparent", GIVEN)]) == Trace()
    assert Trace.read([("Traceparent", f"01-{TRACE}-{ABOVE}-ff-more")]) == Trace(GIVEN)


def test_the_state_of_a_trace_is_one_list_and_not_kept_where_it_is_too_long() -> None:
    told = [("traceparent", GIVEN), ("tracestate", "a=1"), ("tracestate", "b=2")]
    assert Trace.read(told).headers() == {"traceparent": GIVEN, "tracestate": "a=1,b=2"}
    assert Trace.read([*told, ("tracestate", "x" * 600)]).headers() == {"traceparent": GIVEN}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nothing_is_recorded_unless_a_variable_says_so(variables: dict[str, str]) -> None:
    assert type(opened("test", variables)) is Tracer


def test_an_exporter_that_is_not_here_is_named_with_those_that_are() -> None:
    with pytest.raises(BadParametersError, match=r"otlp_proto_grpc; there is: .*otlp_proto_http"):
        opened("test", {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})


def test_a_trace_is_passed_on_as_it_came_where_nothing_is_recorded(front: Served, processor: Served) -> None:
    headers = {"traceparent": GIVEN, "tracestate": "vendor=1", "x-request-id": "passed-on"}

    answer = front.client.post("/v1/images", params={"steps": "split:30x30"}, content=PHOTO, headers=headers)

    assert answer.status_code == 422
    assert (answer.headers["traceparent"], answer.headers["tracestate"]) == (GIVEN, "vendor=1")
    assert of_request(front, "request", "passed-on")["traceparent"] == GIVEN
    assert of_request(processor, "refused", "passed-on")["traceparent"] == GIVEN
    assert "traceparent" not in front.client.get("/livez").headers


def test_a_processor_that_is_asked_over_http_answers_with_the_trace(processor: Served) -> None:
    headers = {"traceparent": GIVEN, "x-request-id": "asked-directly"}

    answers = [processor.client.post("/process", content=body, headers=headers) for body in (PHOTO, b"text")]

    assert [answer.status_code for answer in answers] == [200, 415]
    assert {(one.headers["traceparent"], one.headers["x-request-id"]) for one in answers} == {(GIVEN, "asked-directly")}
    assert answers[1].json()["request_id"] == "asked-directly"
    assert of_request(processor, "refused", "asked-directly")["traceparent"] == GIVEN


@pytest.mark.parametrize("image", [PHOTO, b"text"], ids=["a picture", "a problem"])
def test_clients_of_imagescaler_have_their_trace_in_the_trailer(front: Served, image: bytes) -> None:
    told = (("traceparent", GIVEN), ("x-request-id", "over-grpc"))
    with grpc.insecure_channel(f"127.0.0.1:{front.ports['grpc']}") as channel:
        try:
            _, call = ImageScalerStub(channel).ScaleImage.with_call(
                ScaleImageRequest(image=Image(content=image)), metadata=told
            )
        except grpc.RpcError as error:
            call = error

    assert set(told) <= {(name, value) for name, value in call.trailing_metadata()}


def test_a_request_is_one_trace_of_the_front_and_the_processor(keeper: Served, collected: Collected) -> None:
    trace = "1" * 32
    headers = {"traceparent": f"00-{trace}-{ABOVE}-01", "x-request-id": "recorded"}

    answer = keeper.client.post("/v1/images", content=PHOTO, headers=headers)

    spans = collected.of(trace, 3)
    asked = spans["imgflow-api", "POST /v1/images"]
    called = spans["imgflow-api", "imgflow.v1.Processor/Process"]
    done = spans["imgflow-processor", "imgflow.v1.Processor/Process"]
    assert asked.parent_span_id.hex() == ABOVE
    assert called.parent_span_id == asked.span_id
    assert done.parent_span_id == called.span_id
    assert answer.headers["traceparent"] == f"00-{trace}-{asked.span_id.hex()}-01"
    assert of_request(keeper, "request", "recorded")["traceparent"] == answer.headers["traceparent"]
    attributes = {one.key: one.value for one in asked.attributes}
    assert attributes["http.response.status_code"].int_value == 200
    assert attributes["imgflow.request_id"].string_value == "recorded"
    assert {"imgflow.ms.decode", "imgflow.ms.encode"} <= {one.key for one in done.attributes}


def test_a_problem_of_the_service_is_an_error_of_its_span_and_one_of_the_picture_is_not(
    keeper: Served, collected: Collected
) -> None:
    trace = "2" * 32
    headers = {"traceparent": f"00-{trace}-{ABOVE}-01"}

    keeper.client.post("/v1/images", params={"steps": "split:30x30"}, content=PHOTO, headers=headers)

    spans = collected.of(trace, 3)
    assert spans["imgflow-api", "imgflow.v1.Processor/Process"].status.message == "too-many-pieces"  # the call's
    for name in (("imgflow-api", "POST /v1/images"), ("imgflow-processor", "imgflow.v1.Processor/Process")):
        assert spans[name].status.code == 0
        assert said_of(spans[name])["imgflow.code"] == "too-many-pieces"


def test_a_call_of_imagescaler_is_recorded_and_fails_by_the_service_s_own_doing_alone(
    keeper: Served, start: Start, collected: Collected
) -> None:
    lost = start("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1", **collected.variables)
    for served, image, trace in ((keeper, b"text", "6" * 32), (lost, PHOTO, "7" * 32)):
        told = (("traceparent", f"00-{trace}-{ABOVE}-01"),)
        with grpc.insecure_channel(f"127.0.0.1:{served.ports['grpc']}") as channel, pytest.raises(grpc.RpcError):
            ImageScalerStub(channel).ScaleImage(ScaleImageRequest(image=Image(content=image)), metadata=told, timeout=2)

    rejected = collected.of("6" * 32, 1)["imgflow-api", "imagescaler.ImageScaler/ScaleImage"]
    assert (rejected.status.code, said_of(rejected)["imgflow.code"]) == (0, "unsupported-format")
    late = collected.of("7" * 32, 2)["imgflow-api", "imagescaler.ImageScaler/ScaleImage"]
    assert late.status.code == 2


def said_of(span: Span) -> dict[str, str]:
    return {one.key: one.value.string_value for one in span.attributes}


def test_images_of_a_job_belong_to_the_trace_that_asked_for_it(keeper: Served, collected: Collected) -> None:
    trace = "3" * 32
    files = [("files", ("a.jpg", PHOTO, "image/jpeg"))]
    headers = {"traceparent": f"00-{trace}-{ABOVE}-01", "tracestate": "vendor=1"}

    job = keeper.client.post("/process", params={"wait": 60}, data=ACTIONS, files=files, headers=headers).json()["job"]

    spans = collected.of(trace, 4)
    asked, image = spans["imgflow-api", "POST /process"], spans["imgflow-api", "imgflow.image"]
    assert image.parent_span_id == asked.span_id
    assert image.trace_state == "vendor=1"
    assert spans["imgflow-processor", "imgflow.v1.Processor/Process"].trace_id == image.trace_id
    assert str(of_request(keeper, "file", f"{job}-0")["traceparent"]).split("-")[1] == trace


def test_a_request_that_is_not_sampled_is_not_recorded_and_probes_have_no_spans(
    keeper: Served, collected: Collected
) -> None:
    trace, after = "4" * 32, "5" * 32
    answer = keeper.client.post("/v1/images", content=PHOTO, headers={"traceparent": f"00-{trace}-{ABOVE}-00"})
    keeper.client.get("/livez", headers={"traceparent": f"00-{trace}-{ABOVE}-01"})
    keeper.client.get("/stats", headers={"traceparent": f"00-{after}-{ABOVE}-01"})

    assert ("imgflow-api", "GET /stats") in collected.of(after, 1)
    assert collected.of(trace, 0) == {}
    assert answer.headers["traceparent"].startswith(f"00-{trace}-")
    assert answer.headers["traceparent"].endswith("-00")


def test_a_collector_that_is_away_costs_no_request_and_keeps_no_process_from_its_end(
    start: Start, observed: Served
) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}
    front = start("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{observed.ports['grpc']}", **nowhere)

    assert front.client.post("/v1/images", content=PHOTO).status_code == 200
    assert front.end() == 0


def test_opentelemetry_is_not_loaded_where_nothing_is_recorded() -> None:
    parts = "imgflow_service.api.__main__, imgflow_service.jobs.__main__, imgflow_service.processor.__main__"
    script = (
        f"import sys, {parts}; imgflow_service.wire.exporters.opened('a'); print('opentelemetry.sdk' in sys.modules)"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}

    done = subprocess.run([sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"
