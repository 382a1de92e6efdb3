"""What the service keeps of a job, and how its parts are called."""

from __future__ import annotations

import time

import pytest

from imgflow_service.jobs.queue import TASK, Queue
from imgflow_service.jobs.records import Job, Jobs, Row, Sent, names, new_id
from imgflow_service.jobs.worker import STORE_AGAIN, Worker
from imgflow_service.settings import JobsSettings, ServiceSettings
from imgflow_service.wire.tracing import Tracer
from imgflow_steps.store import Store, UnavailableError


def test_names_are_apart_whatever_clients_send() -> None:
    given = ["a.jpg", "A.JPG", "a.png", "../../etc/passwd", "", "..", "c:\\x\\a.jpg", "\ud800.jpg", "a" * 999 + ".jpg"]
    kept = names(given)
    stems = [name.rpartition(".")[0] or name for name in kept]
    assert len({stem.casefold() for stem in stems}) == len(given)
    assert not [name for name in kept if "/" in name or len(name) > 230 or name in {"", ".", ".."}]


def test_what_a_store_tries_beside_a_row_is_not_a_row(directory_store: Store) -> None:
    jobs = Jobs(directory_store, days=1)
    job = Job(id=new_id(), created=time.time(), files=(Sent(name="a.jpg", bytes=1),), pipelines=("{}",))
    jobs.save(job, iter([b"a"]))
    directory_store.write(f"{job.row(0)}.{new_id()}", b"")

    assert jobs.rows(job) == {}
    jobs.write(job, 0, Row(status="processed"))
    assert {number: row.status for number, row in jobs.rows(job).items()} == {0: "processed"}


def test_an_image_that_the_store_refuses_to_the_last_try_has_failed_and_ends_its_job(
    directory_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(JobsSettings())
    worker = Worker(ServiceSettings(), directory_store, queue, Tracer())
    job = Job(id=new_id(), created=time.time(), files=(Sent(name="a.jpg", bytes=1),), pipelines=("{}",))
    worker.jobs.save(job, iter([b"a"]))
    read = directory_store.read

    def refusing(key: str) -> bytes:
        if key == job.sent(0):
            raise UnavailableError("this disk has a bad sector")
        return read(key)

    monkeypatch.setattr(directory_store, "read", refusing)

    queue.app.tasks[TASK].apply((job.id, 0), retries=STORE_AGAIN)

    rows = worker.jobs.rows(job)
    assert [(row.status, row.code, row.message) for row in rows.values()] == [
        ("failed", "store", "this disk has a bad sector")
    ]
    assert worker.jobs.open() == []


def test_an_image_that_comes_twice_closes_its_job_if_nobody_has(directory_store: Store) -> None:
    queue = Queue(JobsSettings())
    worker = Worker(ServiceSettings(), directory_store, queue, Tracer())
    job = Job(id=new_id(), created=time.time(), files=(Sent(name="a.jpg", bytes=1),), pipelines=("{}",))
    worker.jobs.save(job, iter([b"a"]))
    worker.jobs.write(job, 0, Row(status="processed"))
    worker.jobs.save(job, iter([b"a"]))  # the same request once more, at the same time: it is open again

    queue.app.tasks[TASK].apply((job.id, 0))

    assert worker.jobs.open() == []
    assert worker.jobs.progress(job).expires
