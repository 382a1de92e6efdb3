"""Asks the service for one picture after another: a program for a pod, with what is in the container of the API.

    python load.py FOLDER HOST SECONDS CLIENT…

A CLIENT is ``new`` (a connection for each request), ``kept`` (one for all, as long as it lasts) or ``grpc``; each waits
SECONDS between two requests. FOLDER has ``photo.jpg``, which is sent; it gets ``begun`` at the begin and, once somebody
puts ``ended`` there, ``seen.json``: how often what was answered.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import grpc

from imgflow_service.wire.imagescaler_pb2 import Image, ScaleImageRequest
from imgflow_service.wire.imagescaler_pb2_grpc import ImageScalerStub

SECONDS = 60.0  # for one request
SOI = b"\xff\xd8"  # begins a JPEG; a comment may follow
OPTIONS = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]

Ask = Callable[[bytes], str]


def pictures(jpeg: bytes, client: int) -> Iterator[bytes]:
    """The same picture with a comment of its own each time, so that no answer was there already."""
    for number in count():
        comment = client.to_bytes(4, "big") + number.to_bytes(8, "big")
        yield SOI + b"\xff\xfe" + (2 + len(comment)).to_bytes(2, "big") + comment + jpeg[len(SOI) :]


def post(connection: http.client.HTTPConnection, picture: bytes) -> str:
    """The status of one request."""
    connection.request("POST", "/v1/images", picture)
    answer = connection.getresponse()
    answer.read()
    return str(answer.status)


def new(host: str) -> Ask:
    """A connection for each request."""

    def ask(picture: bytes) -> str:
        connection = http.client.HTTPConnection(host, 8080, timeout=SECONDS)
        try:
            return post(connection, picture)
        finally:
            connection.close()

    return ask


def kept(host: str) -> Ask:
    """One connection, until the service says that it is the last answer of it."""
    connection = http.client.HTTPConnection(host, 8080, timeout=SECONDS)

    def ask(picture: bytes) -> str:
        try:
            return post(connection, picture)
        except Exception:
            connection.close()
            raise

    return ask


def rpc(host: str) -> Ask:
    """imagescaler.ImageScaler, as any client of it asks: with no retries of its own."""
    scale = ImageScalerStub(grpc.insecure_channel(f"{host}:50051", OPTIONS)).ScaleImage  # type: ignore[no-untyped-call]

    def ask(picture: bytes) -> str:
        try:
            scale(ScaleImageRequest(image=Image(content=picture)), timeout=SECONDS, wait_for_ready=True)
        except grpc.RpcError as error:
            return f"{error.code()} {error.details()}"
        return "200"

    return ask


CLIENTS = {"new": new, "kept": kept, "grpc": rpc}


def asks(ask: Ask, jpeg: bytes, number: int, pause: float, ended: threading.Event, seen: Counter[str]) -> None:
    """One request after another."""
    for picture in pictures(jpeg, number):
        if ended.is_set():
            return
        try:
            seen[ask(picture)] += 1
        except (OSError, http.client.HTTPException) as error:
            seen[f"{type(error).__name__}: {error}"] += 1
        time.sleep(pause)


def main(folder: str, host: str, pause: str, *clients: str) -> None:
    """Until there is a file ``ended``."""
    place = Path(folder)
    jpeg = (place / "photo.jpg").read_bytes()
    ended, seen = threading.Event(), {f"{kind} {i}": Counter[str]() for i, kind in enumerate(clients)}
    told = [(CLIENTS[kind](host), jpeg, i, float(pause), ended, seen[f"{kind} {i}"]) for i, kind in enumerate(clients)]
    threads = [threading.Thread(target=asks, args=one, daemon=True) for one in told]
    for thread in threads:
        thread.start()
    (place / "begun").touch()
    while not (place / "ended").exists():
        time.sleep(0.2)
    ended.set()
    for thread in threads:
        thread.join(SECONDS)
    total: Counter[str] = Counter()
    for kind, found in seen.items():
        total.update({f"{kind.split()[0]} {answer}": often for answer, often in found.items()})
    (place / "seen").write_text(json.dumps(total))
    (place / "seen").rename(place / "seen.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
