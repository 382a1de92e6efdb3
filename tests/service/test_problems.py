"""Whatever goes wrong is one problem document with its code, never cached, and the same over gRPC."""

from __future__ import annotations

import hashlib
import socket
from io import BytesIO
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests import photographs
from tests.services import SECONDS, Served, Start, until

from imgflow_service.wire.imagescaler_pb2 import Image as Sent
from imgflow_service.wire.imagescaler_pb2 import ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerStub
from imgflow_workflows import remote

KEY = "a-key-of-a-shop"
PHOTO = photographs.jpeg(1, 64, 48)


def large() -> bytes:
    """A PNG that says it has more pixels than any may."""
    Image.new("1", (20_000, 15_000)).save(out := BytesIO(), "PNG")
    return out.getvalue()


CASES: dict[str, tuple[dict[str, Any], int, str]] = {
    "no image": ({"content": b""}, 400, "bad-request"),
    "a form without a file": ({"data": {"a": "b"}, "files": {"b": (None, "c")}}, 400, "bad-request"),
    "a broken form": (
        {"content": b"--x\r\nfoo", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        400,
        "bad-request",
    ),
    "a form without boundary": (
        {"content": b"--x", "headers": {"content-type": "multipart/form-data"}},
        400,
        "bad-request",
    ),
    "an unknown parameter": ({"content": PHOTO, "params": {"widht": 3}}, 400, "bad-request"),
    "no number": ({"content": PHOTO, "params": {"width": "٣"}}, 400, "bad-request"),
    "no such mode": ({"content": PHOTO, "params": {"mode": "fill"}}, 400, "bad-request"),
    "no time": ({"content": PHOTO, "headers": {"x-timeout": "nan"}}, 400, "bad-request"),
    "no JSON": ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "bad-request"),
    "no such step": ({"content": PHOTO, "params": {"steps": "scale:50%,blurr"}}, 400, "bad-pipeline"),
    "a file of the processor": (
        {"content": PHOTO, "params": {"pipeline": '{"steps":[{"infer":{"model":"/etc/passwd"}}]}'}},
        400,
        "bad-pipeline",
    ),
    "a URL": ({"json": {"url": "http://127.0.0.1/a.jpg"}}, 403, "url-refused"),
    "too many bytes": ({"content": bytes(33 << 20)}, 413, "too-many-bytes"),
    "two files": ({"files": [("file", ("a", PHOTO)), ("file", ("b", PHOTO))]}, 413, "too-many-files"),
    "a text": ({"content": b"hello"}, 415, "unsupported-format"),
    "half a picture": ({"content": photographs.jpeg(1, 640, 480)[:9000]}, 422, "truncated"),
    "too many pixels": ({"content": large()}, 422, "too-many-pixels"),
    "too many pieces": ({"content": PHOTO, "params": {"steps": "split:30x30"}}, 422, "too-many-pieces"),
}


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    said = answer.json()
    assert said["status"] == status
    assert said["type"] == f"urn:imgflow:{code}"
    assert said["title"]
    assert said["detail"]
    assert said["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("case", CASES)
def test_a_request_that_cannot_be_is_told_why(front: Served, case: str) -> None:
    asked, status, code = CASES[case]

    assert_problem(front.client.post("/v1/images", **asked), status, code)


def test_all_that_is_wrong_with_steps_is_said_with_its_place(front: Served) -> None:
    answer = front.client.post("/v1/images", params={"steps": "scale:0x5,blurr"}, content=PHOTO)

    assert_problem(answer, 400, "bad-pipeline")
    assert [fault["place"].split(".")[:2] for fault in answer.json()["faults"]] == [["steps", "0"], ["steps", "1"]]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("PUT", "/v1/images", 405, "method-not-allowed"),
        ("GET", "/v1/images/xyz", 404, "not-found"),
    ],
)
def test_what_is_not_served_is_a_problem_as_well(front: Served, method: str, path: str, status: int, code: str) -> None:
    assert_problem(front.client.request(method, path), status, code)


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("POST", "/v1/images?width=640&width=320", "width"),
        ("POST", "/v1/images?steps=grayscale&name=&name=", "name"),
        ("GET", f"/v1/images/{'0' * 64}?format=png&format=webp", "format"),
        ("POST", "/process?wait=0&wait=60", "wait"),
        ("GET", "/v1/jobs?limit=1&limit=2", "limit"),
        ("GET", "/static/?after=a&after=b", "after"),
    ],
)
def test_a_parameter_that_is_given_twice_is_refused_by_name(front: Served, method: str, path: str, name: str) -> None:
    answer = front.client.request(method, path, content=PHOTO)
    assert_problem(answer, 400, "bad-request")
    assert repr(name) in answer.json()["detail"]


def test_a_processor_refuses_a_parameter_that_is_given_twice(processor: Served) -> None:
    answer = processor.client.post("/process?grayscale=true&grayscale=false", content=PHOTO)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert "'grayscale'" in answer.json()["detail"]


@pytest.fixture(scope="module")
def guarded(start_service: Start, processor: Served) -> Served:
    """A front that asks for a key and allows few requests, few bytes, and no parameters."""
    return start_service(
        "api",
        IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}",
        IMGFLOW_SERVE_KEYS=f"shop:{hashlib.sha256(KEY.encode()).hexdigest()}",
        IMGFLOW_SERVE_RATE="2",
        IMGFLOW_SERVE_OVERRIDES="false",
    )


def test_a_key_lets_in_and_too_many_requests_of_it_are_told_when_to_come_again(guarded: Served) -> None:
    ask = guarded.client.post

    assert_problem(ask("/v1/images", content=PHOTO), 401, "unauthorized")
    assert_problem(ask("/v1/images", content=PHOTO, headers={"x-api-key": "another"}), 401, "unauthorized")
    assert_problem(
        ask("/v1/images", content=PHOTO, params={"width": 9}, headers={"x-api-key": KEY}), 400, "bad-request"
    )
    good = ask("/v1/images", content=PHOTO, headers={"authorization": f"Bearer {KEY}"})
    assert good.status_code == 200
    answers = [ask("/v1/images", content=PHOTO, headers={"x-api-key": KEY}) for _ in range(20)]
    [refused, *_] = [answer for answer in answers if answer.status_code != 200]
    assert_problem(refused, 429, "rate")
    assert int(refused.headers["retry-after"]) >= 1
    assert {line["key"] for line in guarded.logged("request") if line["status"] == 200} == {"shop"}
    assert KEY not in "".join(guarded.lines)


def test_a_key_is_what_its_bytes_are_in_whatever_script(start_service: Start, processor: Served) -> None:
    key = "schlüssel-鍵"
    front = start_service(
        "api",
        IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}",
        IMGFLOW_SERVE_KEYS=f"läden:{hashlib.sha256(key.encode()).hexdigest()}",
    )

    def status(name: bytes, value: bytes) -> int:
        return front.client.post("/v1/images", content=PHOTO, headers=[(name, value)]).status_code

    assert status(b"x-api-key", key.encode()) == status(b"authorization", b"Bearer " + key.encode()) == 200
    assert status(b"x-api-key", b"schl\xfcssel") == status(b"authorization", b"Bearer \xff\xfe") == 401
    with remote.Service(front.url(), key=key) as service:
        assert service.process(PHOTO).data


def test_a_grpc_client_that_leaves_is_counted_as_gone_and_not_as_answered(start_service: Start) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1")
    with grpc.insecure_channel(f"127.0.0.1:{front.ports['grpc']}") as channel:
        call = ImageScalerStub(channel).ScaleImage.future(ScaleImageRequest(image=Sent(content=PHOTO)))
        until(lambda: front.metric("imgflow_service_inflight") == 1)
        call.cancel()
        until(lambda: front.metric("imgflow_service_inflight") == 0)

    until(lambda: bool(front.logged("request")))
    assert [one["status"] for one in front.logged("request")] == [499]
    assert front.metric("imgflow_service_gone_total") == 1
    assert front.client.get("/stats").json()["statuses"] == {"499": 1}


def test_a_grpc_client_whose_time_is_up_is_counted_as_late(start_service: Start) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1")
    with grpc.insecure_channel(f"127.0.0.1:{front.ports['grpc']}") as channel, pytest.raises(grpc.RpcError) as caught:
        ImageScalerStub(channel).ScaleImage(ScaleImageRequest(image=Sent(content=PHOTO)), timeout=1)

    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: bool(front.logged("request")))
    assert [(one["status"], one["code"]) for one in front.logged("request")] == [(504, "timeout")]


def test_a_front_without_processors_says_so_in_time_and_is_not_ready(start_service: Start) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1")

    assert front.client.get("/readyz").status_code == 503
    assert front.client.get("/livez").status_code == 200
    answer = front.client.post("/v1/images", content=PHOTO, headers={"x-timeout": "1"})
    assert answer.status_code in {503, 504}
    assert answer.json()["code"] in {"busy", "timeout"}


HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.lists(
        st.sampled_from(
            [
                b"--x\r\n",
                b"--x--\r\n",
                b"--x--",
                b"\r\n",
                b"\r\n\r\n",
                b'Content-Disposition: form-data; name="file"; filename="a"\r\n',
                b'Content-Disposition: form-data; name="file"\r\n',
                b"Content-Disposition: attachment\r\n",
                b"Content-Type: image/jpeg\r\n",
                b"A" * 5000,
                b": \r\n",
                b"\0\xff",
                PHOTO[:50],
            ]
        ),
        max_size=12,
    ).map(b"".join),
)


@given(body=HOSTILE)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_hostile_form_is_answered_with_one_problem(front: Served, body: bytes) -> None:
    answer = front.client.post("/v1/images", content=body, headers={"content-type": "multipart/form-data; boundary=x"})

    assert answer.status_code in {400, 413, 415, 422}, answer.text
    assert_problem(answer, answer.status_code, answer.json()["code"])


def test_a_refusal_reaches_a_client_that_is_still_sending(front: Served) -> None:
    size = 40 << 20
    with socket.create_connection(("127.0.0.1", front.ports["http"]), SECONDS) as line:
        line.sendall(f"POST /v1/images HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())
        line.sendall(bytes(30 << 20))
        answer = line.recv(1 << 16)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_client_that_asks_before_it_sends_is_answered_without_its_body(front: Served) -> None:
    with socket.create_connection(("127.0.0.1", front.ports["http"]), SECONDS) as line:
        head = f"POST /v1/images HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {40 << 20}\r\n\r\n"
        line.sendall(head.encode())
        answer = line.recv(1 << 16)

    assert answer.startswith(b"HTTP/1.1 413 ")
