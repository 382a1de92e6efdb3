"""A broker that dies in the middle of what it is asked: a client is told, and an accepted job is never lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import photographs
from tests.brokers import Broker, Relay, broker_binary
from tests.service.test_jobs import OPERATIONS, behind, finished, posted
from tests.services import Served, Start

from imgflow_service.jobs.queue import FAULTS, Queue
from imgflow_service.settings import JobsSettings
from imgflow_service.wire.problems import Problem


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A Redis that runs."""
    if not (binary := broker_binary()):
        pytest.skip("neither valkey-server nor redis-server works here")
    one = Broker(binary, tmp_path)
    one.start("no")
    yield one
    one.kill()


@pytest.fixture
def relay(broker: Broker) -> Iterator[Relay]:
    """What stands before it."""
    one = Relay(broker)
    yield one
    one.close()


def test_a_job_whose_broker_dies_as_it_is_published_is_done_once_the_broker_is_back(
    start_service: Start, processor: Served, tmp_path: Path, broker: Broker, relay: Relay
) -> None:
    told = {"IMGFLOW_SERVE_JOBS_BROKER": relay.url, "IMGFLOW_STORE": str(tmp_path / "store")}
    told |= {"IMGFLOW_SERVE_API_PROCESSORS": behind(processor)}
    front = start_service("api", **told)
    relay.moment = b"LPUSH"

    job = posted(front, [(f"{i}.jpg", photographs.jpeg(i, 64, 48)) for i in range(3)], OPERATIONS, wait=0)

    assert not broker.started
    assert job["counts"]["waiting"] == 3
    assert front.metric("imgflow_service_refused_total") == 1
    relay.moment = b""
    broker.start("no")
    start_service("jobs", **told)
    assert finished(front, job["job"])["counts"]["processed"] == 3


def test_a_job_whose_broker_dies_as_it_is_asked_for_room_is_refused_and_not_kept(
    start_service: Start, tmp_path: Path, relay: Relay
) -> None:
    told = {"IMGFLOW_SERVE_JOBS_BROKER": relay.url, "IMGFLOW_STORE": str(tmp_path / "store")}
    front = start_service("api", **told, IMGFLOW_SERVE_API_PROCESSORS="127.0.0.1:1")
    relay.moment = b"LLEN"

    files = [("files", ("a.jpg", photographs.jpeg(1, 64, 48)))]
    refused = front.client.post("/process", data={"actions": json.dumps(OPERATIONS)}, files=files)

    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert refused.headers["retry-after"]
    assert front.client.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("ask", "moment"), [(Queue.waiting, b"LLEN"), (Queue.lost, b"LLEN"), (Queue.restore, b"unacked_mutex")]
)
def test_who_watches_over_jobs_meets_a_fault_that_it_expects(
    relay: Relay, ask: Callable[[Queue], object], moment: bytes
) -> None:
    queue = Queue(JobsSettings(broker=relay.url))
    ask(queue)
    relay.moment = moment

    with pytest.raises((Problem, *FAULTS)):
        ask(queue)
