"""Jobs with a broker, a real one on this machine: workers and the broker are killed, and no image is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from tests import photographs
from tests.brokers import Broker, broker_binary
from tests.service.test_jobs import OPERATIONS, behind, finished, posted
from tests.services import Served, Start, until

from imgflow_service.jobs.queue import LINE, Queue
from imgflow_service.jobs.records import Job
from imgflow_service.settings import JobsSettings


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A Redis that has not started."""
    if not (binary := broker_binary()):
        pytest.skip("neither valkey-server nor redis-server works here")
    one = Broker(binary, tmp_path)
    yield one
    one.kill()


def test_jobs_outlast_a_killed_worker_and_a_broker_that_forgets(
    start_service: Start, processor: Served, tmp_path: Path, broker: Broker
) -> None:
    broker.start("no")
    told = {
        "IMGFLOW_SERVE_JOBS_BROKER": broker.url,
        "IMGFLOW_STORE": str(tmp_path / "store"),
        "IMGFLOW_SERVE_API_PROCESSORS": behind(processor),
        "IMGFLOW_SERVE_JOBS_PATIENCE": "5",
    }
    front = start_service("api", **told)
    files = [(f"{i}.jpg", photographs.jpeg(i, 1600, 1200)) for i in range(12)]
    stuck = start_service("jobs", **{**told, "IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1"})
    job = posted(front, files, OPERATIONS, wait=0)["job"]
    stuck.end(signal.SIGKILL)
    broker.kill()
    assert front.client.get(f"/v1/jobs/{job}").json()["counts"]["waiting"] == 12
    refused = front.client.post(
        "/process", data={"actions": json.dumps(OPERATIONS)}, files=[("files", ("a.jpg", files[0][1]))]
    )
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert refused.headers["retry-after"]

    broker.start("no")
    start_service("jobs", **told)

    done = finished(front, job)
    assert done["counts"]["processed"] == 12
    assert len({one["sha256"] for file in done["files"] for one in file["results"]}) == 48


def test_what_a_killed_worker_had_in_hand_is_done_by_another(
    start_service: Start, processor: Served, tmp_path: Path, broker: Broker
) -> None:
    broker.start()
    told = {
        "IMGFLOW_SERVE_JOBS_BROKER": broker.url,
        "IMGFLOW_STORE": str(tmp_path / "store"),
        "IMGFLOW_SERVE_API_PROCESSORS": behind(processor),
        "IMGFLOW_SERVE_JOBS_PATIENCE": "3",
        "IMGFLOW_SERVE_JOBS_QUEUE": "8",
    }
    front = start_service("api", **told)
    stuck = start_service("jobs", **{**told, "IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1"})
    files = [(f"{i}.jpg", photographs.jpeg(i, 640, 480)) for i in range(8)]
    job = posted(front, files, OPERATIONS, wait=0)["job"]
    time.sleep(2)  # it takes what it can
    stuck.end(signal.SIGKILL)
    start_service("jobs", **told)

    assert finished(front, job)["counts"]["processed"] == 8

    many = [("files", (f"{i}.jpg", files[0][1])) for i in range(9)]
    refused = front.client.post("/process", data={"actions": json.dumps(OPERATIONS)}, files=many)
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")


def test_what_was_in_hand_when_the_broker_was_restarted_waits_for_no_patience(
    start_service: Start, processor: Served, tmp_path: Path, broker: Broker
) -> None:
    broker.start()
    told = {"IMGFLOW_SERVE_JOBS_BROKER": broker.url, "IMGFLOW_STORE": str(tmp_path / "store")}
    told |= {"IMGFLOW_SERVE_API_PROCESSORS": behind(processor), "IMGFLOW_SERVE_JOBS_PATIENCE": "3600"}
    front = start_service("api", **told)
    stuck = start_service("jobs", **{**told, "IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1"})
    job = posted(front, [(f"{i}.jpg", photographs.jpeg(i, 64, 48)) for i in range(4)], OPERATIONS, wait=0)["job"]
    with redis.Redis.from_url(broker.url) as client:
        until(lambda: client.hlen("unacked") == 4)
    stuck.end(signal.SIGKILL)
    broker.kill()

    broker.start()
    start_service("jobs", **told)

    assert finished(front, job)["counts"]["processed"] == 4


def test_a_broker_that_tells_nothing_of_itself_gets_back_what_a_dead_worker_had(broker: Broker) -> None:
    """Brokers of several teams are kept from dangerous commands (ACL -@dangerous), of which INFO is one."""
    broker.start()
    queue = Queue(JobsSettings(broker=broker.url, patience=1))
    queue.put(Job(id="one", created=0, files=(), pipelines=()), [0])
    with redis.Redis.from_url(broker.url) as client, queue.app.connection_for_write() as worker:
        client.execute_command("ACL", "SETUSER", "default", "-@dangerous")
        channel: Any = worker.default_channel
        assert channel.basic_get(LINE)
        assert (queue.waiting(), queue.lost()) == (0, False)

        time.sleep(2)
        queue.restore()

        assert queue.waiting() == 1


def test_what_was_in_hand_comes_back_when_the_broker_is_up_again_within_the_same_second(broker: Broker) -> None:
    broker.start()
    queue = Queue(JobsSettings(broker=broker.url, patience=3600))
    queue.put(Job(id="one", created=0, files=(), pipelines=()), [0])
    with queue.app.connection_for_write() as worker:
        channel: Any = worker.default_channel
        until(lambda: 0.5 < time.time() % 1 < 0.6)
        assert channel.basic_get(LINE)
        broker.kill()
        broker.start()

        until(lambda: 0.15 < time.time() % 1 < 0.25)  # a broker counts from the second in which it began
        queue.restore()

        assert queue.waiting() == 1  # before its connection ends, which puts it back as well


def test_an_image_that_is_late_is_tried_again_through_its_broker_and_then_has_failed(
    start_service: Start, tmp_path: Path, broker: Broker
) -> None:
    broker.start()
    told = {"IMGFLOW_SERVE_JOBS_BROKER": broker.url, "IMGFLOW_STORE": str(tmp_path / "store")}
    told |= {"IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1", "IMGFLOW_SERVE_TIMEOUT": "1"}
    front, worker = start_service("api", **told), start_service("jobs", **told)

    [file] = posted(front, [("a.jpg", photographs.jpeg(1, 64, 48))], OPERATIONS)["files"]

    assert (file["status"], file["code"]) == ("failed", "timeout")
    assert [one["tries"] for one in worker.logged("again")] == [0, 1, 2]
