"""What clients of every kind do with HTTP itself: slow, impatient, in many parts, with caches between."""

from __future__ import annotations

import json
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests import photographs
from tests.service.conftest import NewStore
from tests.services import SECONDS, Served, Start, until

PHOTO = photographs.jpeg(1, 64, 48)


def said(front: Served, *parts: bytes) -> bytes:
    """What a connection answers to these bytes, until it ends or says nothing more."""
    answer = b""
    with socket.create_connection(("127.0.0.1", front.ports["http"]), timeout=SECONDS) as connection:
        for part in parts:
            connection.sendall(part)
        while data := connection.recv(1 << 16):
            answer += data
    return answer


def test_a_body_that_does_not_come_in_the_time_of_its_request_is_not_waited_for(front: Served) -> None:
    asks = "Host: a\r\nX-Timeout: 0.5\r\nConnection: close"
    head = f"POST /v1/images HTTP/1.1\r\n{asks}\r\nContent-Length: {len(PHOTO)}\r\n\r\n"
    answer = said(front, head.encode(), PHOTO[:10])
    assert b" 504 " in answer.partition(b"\r\n")[0]
    assert b'"timeout"' in answer


def test_a_processor_does_not_wait_for_a_body_either(start_service: Start) -> None:
    served = start_service("processor", IMGFLOW_SERVE_PROCESSOR_WORKERS="1", IMGFLOW_SERVE_TIMEOUT="0.5")
    head = f"POST /process HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(PHOTO)}\r\n\r\n"
    answer = said(served, head.encode(), PHOTO[:10])
    assert b" 504 " in answer.partition(b"\r\n")[0]
    assert b'"timeout"' in answer


def test_a_form_that_comes_ever_slower_gives_its_place_back(start_service: Start, tmp_path: Path) -> None:
    told = {"IMGFLOW_SERVE_TIMEOUT": "1", "IMGFLOW_STORE": str(tmp_path)}
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1", **told)
    kind = "multipart/form-data; boundary=x"
    head = f"POST /process HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n"
    answer = b""
    with socket.create_connection(("127.0.0.1", front.ports["http"]), timeout=0.1) as connection:
        connection.sendall(head.encode() + b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n')
        while b"}" not in answer:
            connection.sendall(b"a")
            with suppress(TimeoutError):
                answer += connection.recv(1 << 16)
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert b'"timeout"' in answer
    assert front.metric("imgflow_service_inflight") == 0


def test_a_client_whose_body_was_refused_unsent_is_told_that_the_connection_ends(front: Served) -> None:
    head = "POST /v1/images?widht=3 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    answer = said(front, head.encode())
    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert b"connection: close" in answer


def test_a_method_that_is_not_done_is_told_with_those_that_are(front: Served) -> None:
    answers = [front.client.put("/v1/images"), front.client.options("/"), front.client.post("/stats")]
    assert [one.status_code for one in answers] == [405] * 3
    assert [one.headers.get("allow") for one in answers] == ["POST", "GET, HEAD, POST", "GET, HEAD"]


@pytest.mark.parametrize("path", ["/livez", "/", "/openapi.json", "/v1/jobs/none"])
def test_a_head_is_answered_as_a_get_without_its_body(front: Served, path: str) -> None:
    whole, head = front.client.get(path), front.client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert {name: head.headers.get(name) for name in ("content-type", "content-length")} == {
        name: whole.headers.get(name) for name in ("content-type", "content-length")
    }
    assert front.client.head("/v1/images").status_code == 405


def test_caches_know_that_an_answer_depends_on_what_was_accepted(front: Served) -> None:
    assert front.client.post("/v1/images", content=PHOTO).headers.get("vary") == "Accept"


def test_lists_of_operations_without_end_are_refused_while_others_are_answered(
    start_service: Start, processor: Served, new_store: NewStore
) -> None:
    front = start_service("api", **new_store(), IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}")
    many = json.dumps({"operations": [["blur", "median"]] * 2000})
    form = [("actions", (None, many)) for _ in range(20)] + [("files", ("a.jpg", PHOTO))]
    answer = front.client.post("/process", files=form)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-bytes")


def test_a_client_that_asks_for_http_2_beside_its_picture_has_it_over_http_1(front: Served) -> None:
    asks = "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\nUpgrade: h2c\r\n"
    head = f"POST /v1/images HTTP/1.1\r\n{asks}Host: a\r\nContent-Length: {len(PHOTO)}\r\n\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = said(front, head.encode(), PHOTO, last)
    assert b" 200 " in answer.partition(b"\r\n")[0]
    assert b"image/jpeg" in answer
    assert answer.endswith(b"ok\n")


def test_a_head_without_end_is_refused(front: Served) -> None:
    head = b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * (80 << 10)
    assert b" 400 " in said(front, head).partition(b"\r\n")[0]


@pytest.fixture
def with_jobs(start_service: Start, processor: Served, tmp_path: Path) -> Served:
    """A front with a store in a directory."""
    behind = f"127.0.0.1:{processor.ports['grpc']}"
    return start_service("api", IMGFLOW_STORE=str(tmp_path), IMGFLOW_SERVE_API_PROCESSORS=behind)


@pytest.mark.parametrize("prefer", ["respond-async, WAIT=50", 'wait="50"', "wait=1000"])
def test_what_a_client_prefers_is_heeded_as_far_as_it_goes(with_jobs: Served, prefer: str) -> None:
    form: list[tuple[str, Any]] = [
        ("actions", (None, '{"operations": [["blur", "median"]]}')),
        ("files", ("a.jpg", PHOTO)),
    ]
    assert with_jobs.client.post("/process", files=form, headers={"Prefer": prefer}).status_code == 200


@pytest.mark.parametrize("field", ["file", "actions"])
def test_a_file_of_another_field_is_not_dropped_without_a_word(with_jobs: Served, field: str) -> None:
    actions = (None, '{"operations": [["blur", "median"]]}')
    form: list[tuple[str, Any]] = [("actions", actions), ("files", ("a.jpg", PHOTO)), (field, ("b.jpg", PHOTO))]
    answer = with_jobs.client.post("/process", files=form)
    assert answer.status_code == 400
    assert repr(field) in answer.json()["detail"]


def test_who_leaves_while_a_job_is_waited_for_is_not_waited_for(start_service: Start, tmp_path: Path) -> None:
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1", IMGFLOW_STORE=str(tmp_path))
    form: list[tuple[str, Any]] = [("actions", (None, '{"operations": ["grayscale"]}')), ("files", ("a.jpg", PHOTO))]
    job = front.client.post("/process", files=form).json()["job"]

    with socket.create_connection(("127.0.0.1", front.ports["http"])) as connection:
        connection.sendall(f"GET /v1/jobs/{job}?wait=60 HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        time.sleep(0.5)

    until(lambda: len(front.logged("request")) == 2)
    [_, left] = front.logged("request")
    assert left["status"] == 499
    assert float(str(left["ms"])) < 30_000


def test_a_document_that_names_a_url_is_a_short_one(front: Served) -> None:
    long = b'{"url": "http://a/' + b"a" * (70 << 10) + b'"}'
    answer = front.client.post("/v1/images", content=long, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-bytes")
