"""A processor and what may happen to it: processes that die, work that is too much, clients that leave, its own end."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from PIL import Image
from tests import photographs, processes
from tests.services import SECONDS, Served, Start, until

from imgflow_service.wire.processor_pb2 import ProcessChunk, ProcessRequest, Scaling
from imgflow_service.wire.processor_pb2_grpc import ProcessorStub
from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse
from imgflow_steps.worker import refused

PHOTO = photographs.jpeg(1, 640, 480)
GREY = '{"steps":["grayscale"]}'
SLOW = photographs.jpeg(2, 1200, 800)
SLOWLY = {"pipeline": '{"steps":["blur:bilateral:10"]}'}  # half a second on a machine that has nothing else to do
SLOWER = {"pipeline": '{"steps":["blur:bilateral:20"]}'}  # four times as long


def pictures(data: bytes, *steps: Any) -> list[bytes]:
    return [picture.data for picture in apply.process(data, parse({"steps": list(steps)})).pictures]


def computing(served: Served) -> list[int]:
    """Its computing processes."""
    return [pid for pid in processes.children(served.process.pid) if "spawn_main" in processes.command_line(pid)]


@pytest.fixture
def later() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as threads:
        yield threads


@pytest.fixture(scope="module")
def small(start_service: Start) -> Served:
    """A processor with one process and one place before it."""
    return start_service(
        "processor",
        IMGFLOW_SERVE_PROCESSOR_WORKERS="1",
        IMGFLOW_SERVE_PROCESSOR_WAITING="1",
        IMGFLOW_SERVE_LIMITS_MEMORY=str(300 << 20),
    )


@pytest.fixture(scope="module")
def before(start_service: Start, small: Served) -> Served:
    """A front before that."""
    return start_service("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{small.ports['grpc']}")


def test_a_process_that_dies_costs_nothing_but_time(small: Served, later: ThreadPoolExecutor) -> None:
    died = small.metric("imgflow_processor_worker_deaths_total")
    answer = later.submit(small.client.post, "/process", params=SLOWLY, content=SLOW)
    until(lambda: small.metric("imgflow_processor_busy") == 1)
    for pid in computing(small):
        os.kill(pid, signal.SIGSEGV)

    assert [answer.result().content] == pictures(SLOW, "blur:bilateral:10")
    assert small.metric("imgflow_processor_worker_deaths_total") == died + 1


def test_a_picture_over_which_two_processes_die_has_its_verdict_and_the_next_is_processed(
    small: Served, later: ThreadPoolExecutor
) -> None:
    answer = later.submit(small.client.post, "/process", params=SLOWLY, content=SLOW)
    until(lambda: small.metric("imgflow_processor_busy") == 1)
    pause = 0.2
    while not answer.done():
        for pid in computing(small):
            os.kill(pid, signal.SIGSEGV)
        time.sleep(pause)
        pause *= 1.3  # on a busy machine a process needs longer to begin with the picture

    assert (answer.result().status_code, answer.result().json()["code"]) == (422, "crashed")
    after = small.client.post("/process", params={"scale": "false", "grayscale": "true"}, content=PHOTO)
    assert [after.content] == pictures(PHOTO, "grayscale")


def test_a_picture_that_needs_too_much_memory_is_told_so(small: Served) -> None:
    Image.new("RGB", (9000, 9000)).save(out := BytesIO(), "PNG")

    answer = small.client.post("/process", params={"pipeline": '{"steps":["blur:median"]}'}, content=out.getvalue())

    assert (answer.status_code, answer.json()["code"]) == (422, "out-of-memory")


def test_a_picture_that_takes_too_long_is_told_so(start_service: Start) -> None:
    served = start_service("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1", IMGFLOW_SERVE_LIMITS_SECONDS="0.3")

    answer = served.client.post("/process", params=SLOWLY, content=SLOW)

    assert (answer.status_code, answer.json()["code"]) == (422, "too-slow")


def test_what_is_more_than_may_wait_is_refused_at_once_and_told_when_to_come_again(
    before: Served, small: Served, later: ThreadPoolExecutor
) -> None:
    def ask(seed: int) -> httpx.Response:
        return before.client.post("/v1/images", params=SLOWER, content=photographs.jpeg(seed, 1200, 800))

    taken = [later.submit(ask, seed) for seed in (11, 12)]
    until(lambda: small.metric("imgflow_processor_waiting") == 1)
    refused = ask(13)

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert int(refused.headers["retry-after"]) >= 1
    assert [one.result().status_code for one in taken] == [200, 200]
    assert before.metric("imgflow_service_refused_total") >= 1


def test_who_has_no_time_left_is_answered_and_the_place_stays_taken_until_the_work_ends(
    before: Served, small: Served
) -> None:
    answer = before.client.post("/v1/images", params=SLOWER, content=SLOW, headers={"x-timeout": "0.3"})

    assert (answer.status_code, answer.json()["code"]) == (504, "timeout")
    assert small.metric("imgflow_processor_busy") == 1
    until(lambda: small.metric("imgflow_processor_busy") == 0)


def test_a_processor_that_is_asked_over_http_answers_in_its_time_as_well(
    start_service: Start, later: ThreadPoolExecutor
) -> None:
    told = {"IMGFLOW_SERVE_PROCESSOR_WORKERS": "1", "IMGFLOW_SERVE_TIMEOUT": "0.5"}
    served = start_service("processor", **told)
    first = later.submit(served.client.post, "/process", params=SLOWER, content=SLOW)
    until(lambda: served.metric("imgflow_processor_busy") == 1)

    second = served.client.post("/process", params={"pipeline": GREY}, content=PHOTO)

    assert [(one.status_code, one.json()["code"]) for one in (first.result(), second)] == [(504, "timeout")] * 2
    assert served.metric("imgflow_processor_dropped_total") == 1
    until(lambda: served.metric("imgflow_processor_busy") == 0)


def test_a_client_that_leaves_gives_its_place_back(before: Served, small: Served, later: ThreadPoolExecutor) -> None:
    dropped = small.metric("imgflow_processor_dropped_total")
    first = later.submit(before.client.post, "/v1/images", params=SLOWER, content=photographs.jpeg(21, 1200, 800))
    until(lambda: small.metric("imgflow_processor_busy") == 1)
    photo = photographs.jpeg(22, 1200, 800)
    with socket.create_connection(("127.0.0.1", before.ports["http"])) as line:
        line.sendall(f"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Length: {len(photo)}\r\n\r\n".encode() + photo)
        until(lambda: small.metric("imgflow_processor_waiting") == 1)

    until(lambda: small.metric("imgflow_processor_waiting") == 0)
    assert small.metric("imgflow_processor_dropped_total") == dropped + 1
    assert first.result().status_code == 200
    until(lambda: before.metric("imgflow_service_inflight") == 0)
    assert before.metric("imgflow_service_gone_total") == 1
    assert before.metric("imgflow_service_bytes_held") == 0


def test_equal_requests_at_once_are_one_call_and_a_leaving_leader_costs_nobody(
    before: Served, small: Served, later: ThreadPoolExecutor
) -> None:
    photo = photographs.jpeg(31, 1200, 800)
    calls = before.metric("imgflow_service_rpc_attempts_total")
    head = f"POST /v1/images?steps=blur:bilateral:20 HTTP/1.1\r\nHost: a\r\nContent-Length: {len(photo)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", before.ports["http"])) as leader:
        leader.sendall(head.encode() + photo)
        until(lambda: small.metric("imgflow_processor_busy") == 1)
        query = {"steps": "blur:bilateral:20"}
        followers = [later.submit(before.client.post, "/v1/images", params=query, content=photo) for _ in range(11)]
        until(lambda: before.metric("imgflow_service_inflight") == 12)

    answers = [follower.result() for follower in followers]
    assert {answer.headers.get("x-imgflow-cache") for answer in answers} == {"shared"}
    assert {answer.content for answer in answers} == set(pictures(photo, "blur:bilateral:20"))
    assert before.metric("imgflow_service_rpc_attempts_total") == calls + 1


def test_the_end_is_announced_and_what_is_in_hand_is_finished(start_service: Start, later: ThreadPoolExecutor) -> None:
    served = start_service("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1", IMGFLOW_SERVE_DRAIN_DELAY="1")
    answer = later.submit(served.client.post, "/process", params=SLOWLY, content=SLOW)
    until(lambda: served.metric("imgflow_processor_busy") == 1)
    with grpc.insecure_channel(f"127.0.0.1:{served.ports['grpc']}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[no-untyped-call]
        assert check(health_pb2.HealthCheckRequest(service="imgflow.v1.Processor")).status == 1

        ended = later.submit(served.end)
        until(lambda: httpx.get(f"{served.url()}/readyz", trust_env=False).status_code == 503)

        assert check(health_pb2.HealthCheckRequest(service="imgflow.v1.Processor")).status == 2
    assert [answer.result().content] == pictures(SLOW, "blur:bilateral:10")
    assert ended.result() == 0
    assert {line["event"] for line in map(dict, served.logged("draining"))} == {"draining"}


@pytest.mark.parametrize("part", ["api", "processor"])
def test_clients_are_told_to_leave_their_connections_before_these_end(
    start_service: Start, later: ThreadPoolExecutor, part: str
) -> None:
    served = start_service(part, IMGFLOW_SERVE_PROCESSOR_WORKERS="1", IMGFLOW_SERVE_DRAIN_DELAY="2")
    assert "connection" not in served.client.get("/livez").headers

    ended = later.submit(served.end)
    until(lambda: bool(served.logged("draining")))

    assert served.client.get("/livez").headers["connection"] == "close"
    assert ended.result() == 0


def test_clients_over_grpc_connect_anew_as_often_as_it_takes_to_be_elsewhere_before_an_end(
    start_service: Start,
) -> None:
    served = start_service("api", IMGFLOW_SERVE_DRAIN_DELAY="1")
    states: list[grpc.ChannelConnectivity] = []
    with grpc.insecure_channel(f"127.0.0.1:{served.ports['grpc']}") as channel:
        channel.subscribe(states.append, try_to_connect=True)
        until(lambda: grpc.ChannelConnectivity.READY in states)
        until(lambda: states[-1] is grpc.ChannelConnectivity.IDLE)


def test_grpc_takes_whether_to_scale_and_whether_to_grey(processor: Served) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{processor.ports['grpc']}") as channel:
        ask = ProcessorStub(channel).Process
        both = ask(ProcessRequest(image=PHOTO, scaling=Scaling(enabled=True, width=200, height=200), grayscale=True))
        grey = ask(ProcessRequest(image=PHOTO, grayscale=True))
        neither = ask(ProcessRequest(image=PHOTO, format="png"))

    assert [one.data for one in both.pictures] == pictures(PHOTO, "scale:200x200", "grayscale")
    assert [one.data for one in grey.pictures] == pictures(PHOTO, "grayscale")
    assert (neither.pictures[0].width, neither.pictures[0].content_type) == (640, "image/png")
    assert (both.source_width, both.source_height, both.source_format) == (640, 480, "jpeg")


def test_a_stream_gives_what_one_message_gives(processor: Served) -> None:
    photo = photographs.png(3, 1500, 1200)
    text = '{"steps":["split:2x1"],"output":"png"}'
    chunks = [ProcessChunk(header=ProcessRequest(pipeline_json=text))]
    chunks += [ProcessChunk(data=photo[at : at + (1 << 20)]) for at in range(0, len(photo), 1 << 20)]
    with grpc.insecure_channel(f"127.0.0.1:{processor.ports['grpc']}") as channel:
        header, *rest = ProcessorStub(channel).ProcessStream(iter(chunks))
        with pytest.raises(grpc.RpcError) as refused:
            list(ProcessorStub(channel).ProcessStream(iter([ProcessChunk(data=photo)])))

    expected = [one.data for one in apply.process(photo, parse({"steps": ["split:2x1"], "output": "png"})).pictures]
    streamed = [b"".join(one.data for one in rest if one.picture == number) for number in range(2)]
    assert streamed == expected
    assert max(len(one.data) for one in rest) <= 1 << 20
    assert [one.data for one in header.header.pictures] == [b"", b""]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        (ProcessRequest(), "INVALID_ARGUMENT", "bad-request"),
        (ProcessRequest(image=b"a letter"), "FAILED_PRECONDITION", "unsupported-format"),
        (ProcessRequest(image=PHOTO[:5000]), "FAILED_PRECONDITION", "truncated"),
        (ProcessRequest(image=PHOTO, pipeline_json="{"), "INVALID_ARGUMENT", "bad-pipeline"),
        (
            ProcessRequest(image=PHOTO, pipeline_json='{"steps":["grayscale"]}', grayscale=True),
            "INVALID_ARGUMENT",
            "bad-pipeline",
        ),
        (ProcessRequest(image=PHOTO, sha256="0" * 64), "INVALID_ARGUMENT", "bad-request"),
    ],
)
def test_what_cannot_be_has_a_status_and_the_code_in_the_trailer(
    processor: Served, request_: ProcessRequest, status: str, code: str
) -> None:
    with (
        grpc.insecure_channel(f"127.0.0.1:{processor.ports['grpc']}") as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        ProcessorStub(channel).Process(request_)

    assert refused.value.code().name == status
    assert dict(refused.value.trailing_metadata())["imgflow-code"] == code


@pytest.mark.parametrize(
    ("part", "name"), [("processor", "imgflow.v1.Processor"), ("front", "imagescaler.ImageScaler")]
)
def test_clients_find_out_what_is_served_without_the_protos(
    request: pytest.FixtureRequest, part: str, name: str
) -> None:
    served: Served = request.getfixturevalue(part)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    with grpc.insecure_channel(f"127.0.0.1:{served.ports['grpc']}") as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[no-untyped-call]
        [answer] = stub.ServerReflectionInfo(iter([asked]))

    assert name in {one.name for one in answer.list_services_response.service}


def test_a_log_is_lines_of_json_that_know_the_request(front: Served) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    answer = front.client.post("/v1/images", content=PHOTO, headers={"x-request-id": "mine-1", "traceparent": trace})

    assert answer.headers["x-request-id"] == "mine-1"
    until(lambda: any(line["request_id"] == "mine-1" for line in front.logged("request")))
    [line] = [line for line in front.logged("request") if line["request_id"] == "mine-1"]
    assert (line["status"], line["traceparent"], line["path"]) == (200, trace, "/v1/images")
    assert front.client.get("/stats").json()["requests"] >= 1


def test_a_computing_process_of_a_processor_has_nothing_to_steal(start_service: Start) -> None:
    served = start_service("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1", GITHUB_TOKEN="a-secret-of-the-machine")
    [pid] = computing(served)
    about = Path(f"/proc/{pid}")

    held = [str(path.readlink()) for path in (about / "fd").iterdir()]

    assert httpx.post(f"{served.url()}/process", content=PHOTO, trust_env=False, timeout=SECONDS).status_code == 200
    assert "a-secret-of-the-machine" in Path(f"/proc/{served.process.pid}/environ").read_text()
    assert "a-secret-of-the-machine" not in (about / "environ").read_text()
    assert not [name for name in held if name.startswith("socket:")]
    assert not {name for name in ("minio", "urllib3", "grpc") if f"/{name}/" in (about / "maps").read_text()}
    if refused.is_available():
        assert "Seccomp:\t2" in (about / "status").read_text()


def test_a_verdict_on_a_picture_is_known_for_a_while_and_asked_for_anew_where_somebody_wants_that(
    start_service: Start, processor: Served
) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}")
    broken = photographs.jpeg(41, 640, 480)[:9000]

    def asked(**headers: str) -> tuple[str, float]:
        code = front.client.post("/v1/images", content=broken, headers=headers).json()["code"]
        return code, front.metric("imgflow_service_rpc_attempts_total")

    known, anew = [asked(), asked()], asked(**{"cache-control": "no-cache"})

    assert (known, anew) == ([("truncated", 1)] * 2, ("truncated", 2))
