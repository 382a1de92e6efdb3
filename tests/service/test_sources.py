"""Pictures by URL, and the gRPC of imagescaler: as clients of that API send them, content or address."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from tests import photographs
from tests.services import Served, Start

from imgflow_service.wire.imagescaler_pb2 import Image, ImageSource, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerStub
from imgflow_steps.pipeline import apply
from imgflow_steps.pipeline.model import parse

PHOTO = photographs.jpeg(1, 1600, 1200)
GREY = {"steps": [{"scale": {"width": 1024, "height": 768}}, "grayscale"]}


class Site(BaseHTTPRequestHandler):
    """A web site on loopback."""

    def do_GET(self) -> None:
        if self.path == "/slow.jpg":
            with suppress(OSError):  # whoever asked has gone
                for _ in range(100):
                    self.wfile.write(b"H")
                    time.sleep(0.1)
            return
        port = self.server.server_address[1]
        away = {"/inside.jpg": f"http://127.0.0.1:{port}/a.jpg", "/file.jpg": "file:///etc/passwd"}.get(self.path)
        status, body = (
            (302, b"") if away else {"/a.jpg": (200, PHOTO), "/b.txt": (200, b"text")}.get(self.path, (404, b""))
        )
        self.send_response(status)
        for name, value in {"Location": away, "Content-Length": str(len(body))}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def fetching(start_service: Start, processor: Served) -> Served:
    """A front that fetches from localhost, which is inside a network that it is told of."""
    return start_service(
        "api",
        IMGFLOW_SERVE_API_PROCESSORS=f"127.0.0.1:{processor.ports['grpc']}",
        IMGFLOW_SERVE_URL_HOSTS="localhost",
        IMGFLOW_SERVE_URL_NETWORKS="127.0.0.0/8,::1/128",
        IMGFLOW_SERVE_URL_SECONDS="2",
    )


def expected() -> bytes:
    [picture] = apply.process(PHOTO, parse(GREY)).pictures
    return picture.data


def test_a_picture_may_be_named_by_its_url(fetching: Served, site: str) -> None:
    answer = fetching.client.post("/v1/images", json={"url": f"{site}/a.jpg"})

    assert answer.content == expected()


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/gone.jpg", 502, "url-failed"),
        ("/slow.jpg", 504, "url-timeout"),
        ("/inside.jpg", 403, "url-refused"),
        ("/file.jpg", 403, "url-refused"),
        ("/b.txt", 415, "unsupported-format"),
    ],
)
def test_refused_failed_and_too_slow_are_told_apart(
    fetching: Served, site: str, path: str, status: int, code: str
) -> None:
    answer = fetching.client.post("/v1/images", json={"url": site + path})

    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert "--allow-host" not in answer.text


@pytest.mark.parametrize(
    "body",
    [b'{"url": "http://localhost/\\ud800.jpg"}', b'{"url": "http://a/b.jpg", "url": "http://localhost/a.jpg"}'],
    ids=["half a character", "a key twice"],
)
def test_a_body_that_names_no_one_url_is_no_fault_of_the_service(fetching: Served, body: bytes) -> None:
    answer = fetching.client.post("/v1/images", content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request"), answer.text


def test_an_address_inside_a_network_that_nobody_named_is_refused(
    start_service: Start, processor: Served, site: str
) -> None:
    processors = f"127.0.0.1:{processor.ports['grpc']}"
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=processors, IMGFLOW_SERVE_URL_HOSTS="localhost")

    answer = front.client.post("/v1/images", json={"url": f"{site}/a.jpg"})

    assert (answer.status_code, answer.json()["code"]) == (403, "url-refused")


def test_clients_of_imagescaler_send_content_or_a_url_and_content_wins(fetching: Served, site: str) -> None:
    url = ImageSource(http_uri=f"{site}/a.jpg")
    with grpc.insecure_channel(f"127.0.0.1:{fetching.ports['grpc']}") as channel:
        ask = ImageScalerStub(channel).ScaleImage
        sent = ask(ScaleImageRequest(image=Image(content=PHOTO)))
        named = ask(ScaleImageRequest(image=Image(source=url)))
        both = ask(ScaleImageRequest(image=Image(content=PHOTO, source=ImageSource(http_uri=f"{site}/gone.jpg"))))

    assert sent.content == named.content == both.content == expected()


@pytest.mark.parametrize(
    ("image", "status", "code"),
    [
        (Image(), "INVALID_ARGUMENT", "bad-request"),
        (Image(content=b"text"), "FAILED_PRECONDITION", "unsupported-format"),
        (Image(source=ImageSource(http_uri="http://other.example/a.jpg")), "PERMISSION_DENIED", "url-refused"),
    ],
)
def test_clients_of_imagescaler_are_told_what_is_wrong(fetching: Served, image: Image, status: str, code: str) -> None:
    with (
        grpc.insecure_channel(f"127.0.0.1:{fetching.ports['grpc']}") as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        ImageScalerStub(channel).ScaleImage(ScaleImageRequest(image=image))

    assert refused.value.code().name == status
    assert dict(refused.value.trailing_metadata())["imgflow-code"] == code
