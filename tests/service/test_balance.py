"""Processors that come and go under load, behind a name as a headless Service gives one: no request ever fails."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx
import pytest
from tests import photographs
from tests.dns import NameServer
from tests.servers import free_port
from tests.services import SECONDS, Served, Start

PHOTO = photographs.png(1, 1150, 1150)  # more than gRPC would keep for another try by itself
COUNT = 12  # requests of each kind of mishap
AGE = 1.5  # seconds that a connection lives


@pytest.fixture
def later() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(6) as threads:
        yield threads


@pytest.fixture
def names() -> Iterator[NameServer]:
    with NameServer() as server:
        yield server


@pytest.fixture
def pods(start_service: Start, names: NameServer) -> Callable[[str], Served]:
    """Start a processor at an address, which the name then has as well; all at the same port."""
    port = str(free_port())

    def start(address: str) -> Served:
        served = start_service(
            "processor",
            IMGFLOW_SERVE_PROCESSOR_HOST=address,
            IMGFLOW_SERVE_PROCESSOR_PORT=port,
            IMGFLOW_SERVE_PROCESSOR_WORKERS="1",
            IMGFLOW_SERVE_PROCESSOR_WAITING="64",
            IMGFLOW_SERVE_PROCESSOR_CONNECTION_AGE=str(AGE),
            IMGFLOW_SERVE_DRAIN_DELAY="1",
        )
        served.address = address
        names.addresses.append(address)
        return served

    return start


@pytest.fixture
def balanced(start_service: Start, names: NameServer, pods: Callable[[str], Served]) -> tuple[Served, Served, Served]:
    """A front, and the two processors behind it."""
    first, second = pods("127.0.0.2"), pods("127.0.0.3")
    target = f"dns://127.0.0.1:{names.port}/processors.test:{first.ports['grpc']}"
    return start_service("api", IMGFLOW_SERVE_API_PROCESSORS=target), first, second


class Load:
    """Requests that differ from each other, each for a picture of megabytes."""

    def __init__(self, front: Served, threads: ThreadPoolExecutor) -> None:
        self._front, self._threads = front, threads
        self._width = 100

    def send(self, count: int = COUNT) -> list[Future[httpx.Response]]:
        """Begin so many."""
        widths = range(self._width, self._width + count)
        self._width += count
        return [
            self._threads.submit(self._front.client.post, "/v1/images", params={"width": width}, content=PHOTO)
            for width in widths
        ]


def statuses(sent: list[Future[httpx.Response]]) -> list[int]:
    return [one.result(SECONDS).status_code for one in sent]


def test_processors_that_are_killed_drained_replaced_or_all_gone_cost_no_request(
    balanced: tuple[Served, Served, Served],
    names: NameServer,
    pods: Callable[[str], Served],
    later: ThreadPoolExecutor,
) -> None:
    front, first, second = balanced
    load = Load(front, later)
    assert len(PHOTO) > 2_500_000

    during = load.send()
    _some(during)
    first.end(signal.SIGKILL)
    names.addresses.remove("127.0.0.2")
    assert statuses(during) == [200] * COUNT, "killed"

    third = pods("127.0.0.4")
    during = load.send()
    _some(during)
    names.addresses.remove("127.0.0.3")
    assert second.end() == 0
    assert statuses(during) == [200] * COUNT, "drained and replaced"

    during = load.send()
    _some(during)
    third.end(signal.SIGKILL)
    names.addresses.remove("127.0.0.4")
    pods("127.0.0.5")
    assert statuses(during) == [200] * COUNT, "all gone, and one is back"


def test_a_new_processor_has_its_share_when_connections_have_aged(
    balanced: tuple[Served, Served, Served], pods: Callable[[str], Served], later: ThreadPoolExecutor
) -> None:
    front, first, second = balanced
    load = Load(front, later)
    assert statuses(load.send(4)) == [200] * 4

    third = pods("127.0.0.4")
    ends = time.monotonic() + SECONDS
    while not third.metric("imgflow_processor_wait_seconds_count"):
        assert time.monotonic() < ends
        assert statuses(load.send(3)) == [200] * 3
    before = [one.metric("imgflow_processor_wait_seconds_count") for one in (first, second, third)]
    assert statuses(load.send(30)) == [200] * 30
    after = [one.metric("imgflow_processor_wait_seconds_count") for one in (first, second, third)]

    shares = [now - then for now, then in zip(after, before, strict=True)]
    assert sum(shares) == 30
    assert all(8 <= share <= 12 for share in shares), shares


def _some(sent: list[Future[httpx.Response]]) -> None:
    """Wait until one has come back, so that the others are on their way."""
    while not any(one.done() for one in sent):
        time.sleep(0.01)
