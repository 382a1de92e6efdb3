"""What the service keeps in its store stays within bounds, and nothing that somebody waits for goes."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import photographs
from tests.services import SECONDS, Served, Start, serving

from imgflow_service.api import retention
from imgflow_service.jobs.records import DAY, Job, Jobs, Row, Sent, new_id
from imgflow_steps.records import keys
from imgflow_steps.store import Store, StoredObject, open_store

PHOTO = photographs.jpeg(1, 640, 480)


def later(days: float) -> float:
    return time.time() + days * DAY


def asked(jobs: Jobs) -> Job:
    """A job of one image that nobody has begun."""
    job = Job(id=new_id(), created=time.time(), files=(Sent(name="a.jpg", bytes=1),), pipelines=("{}",))
    jobs.save(job, iter([b"x"]))
    return job


def of(store: Store, job: Job) -> list[str]:
    return [entry.key for entry in store.entries(keys.job(job.id, ""))]


def test_a_job_goes_some_days_after_it_has_ended(store: Store) -> None:
    jobs = Jobs(store, days=7)
    job = asked(jobs)
    jobs.write(job, 0, Row(status="failed"))

    assert jobs.prune(later(6.9)) == 0
    assert jobs.find(job.id) == job
    assert jobs.prune(later(7.1)) == 1
    assert jobs.find(job.id) is None
    assert of(store, job) == []


def test_a_job_that_is_open_stays_however_old_it_is_and_is_then_kept_as_any_other(store: Store) -> None:
    jobs = Jobs(store, days=7)
    job = asked(jobs)

    assert jobs.prune(later(400)) == 0
    assert jobs.find(job.id) == job
    assert jobs.open() == [job.id]
    assert jobs.progress(job).expires is None

    jobs.write(job, 0, Row(status="processed"))
    expires = jobs.progress(job).expires
    assert expires is not None
    assert abs(expires - later(7)) < SECONDS
    assert jobs.prune(expires - 2) == 0
    assert jobs.prune(expires + 2) == 1


def test_what_was_sent_and_never_became_a_job_goes_as_well(store: Store) -> None:
    jobs = Jobs(store, days=7)
    job = asked(jobs)
    store.delete([keys.job(job.id, "job.json")])

    assert jobs.prune(later(6.9)) == 0
    assert jobs.prune(later(7.1)) == 1
    assert of(store, job) == []
    assert jobs.open() == []


def test_an_idempotency_key_stands_for_its_job_as_long_as_that_is_there(store: Store) -> None:
    jobs = Jobs(store, days=7)
    identity, _ = jobs.claim("mine", "fingerprint")
    job = asked(jobs).model_copy(update={"id": identity})
    jobs.save(job, iter([b"x"]))

    jobs.prune(later(400))
    assert jobs.claim("mine", "fingerprint") == (identity, True)

    jobs.write(job, 0, Row(status="processed"))
    jobs.prune(later(8))
    assert jobs.claim("mine", "fingerprint")[0] != identity


def test_an_idempotency_key_that_cannot_be_read_is_removed_once_it_is_old(store: Store) -> None:
    store.write(keys.job_claim("mine"), b"{")

    Jobs(store, days=7).prune(later(8))

    assert list(store.entries(keys.CLAIMS)) == []


def test_a_prune_that_is_killed_leaves_no_job_that_begins_again(store: Store) -> None:
    jobs = Jobs(store, days=7)
    job = asked(jobs)
    jobs.write(job, 0, Row(status="processed"))

    class KilledError(Exception):
        pass

    class Dying:
        """A store that is gone after the first removal."""

        def __getattr__(self, name: str) -> object:
            return getattr(store, name)

        def delete(self, given: list[str]) -> None:
            store.delete(given)
            raise KilledError

    with pytest.raises(KilledError):
        Jobs(Dying(), days=7).prune(later(8))  # type: ignore[arg-type]  # a store in all that is asked of it

    assert jobs.open() == []
    assert jobs.find(job.id) is None
    assert jobs.prune(later(8)) == 1
    assert of(store, job) == []


def test_results_of_the_cache_go_when_they_are_old(store: Store) -> None:
    store.write(keys.cached("d", "a" * 64, "", "jpg"), b"12345")
    store.write(keys.job("0" * 32, "job.json"), b"{}")

    assert retention.prune(store, 30, 0, later(29)) == (0, 0)
    assert retention.prune(store, 30, 0, later(31)) == (1, 5)
    assert [entry.key for entry in store.entries()] == [keys.job("0" * 32, "job.json")]


def test_a_prune_that_shall_end_removes_nothing_more(directory_store: Store) -> None:
    for name in "abcd":
        directory_store.write(keys.cached("d", name * 64, "", "jpg"), b"1")
    seen = itertools.count()

    pruned = retention.prune(directory_store, 30, 0, later(31), lambda: next(seen) > 5)  # four are looked at, then one

    assert pruned.objects < 4


@given(
    placed=st.lists(st.tuples(st.integers(1, 100 * 86_400), st.integers(0, 1000)), max_size=30),
    most=st.integers(0, 5000),
    days=st.integers(1, 50),
)
def test_what_stays_is_young_and_fits_and_nothing_goes_without_need(
    placed: list[tuple[int, int]], most: int, days: int
) -> None:
    now = 100 * DAY
    there = [StoredObject(str(at), "", size, float(at)) for at, size in placed]

    before = retention.cutoff(there, days, most, now)

    stays = [one for one in there if one.placed >= before]
    assert all(one.placed >= now - days * DAY for one in stays)
    assert not most or sum(one.bytes for one in stays) <= most
    minute = int(before // retention.MINUTE) - 1
    with_next = [one for one in there if one.placed >= max(now - days * DAY, minute * retention.MINUTE)]
    assert before == now - days * DAY or sum(one.bytes for one in with_next) > most


def test_a_front_keeps_its_cache_within_its_bytes(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    store.write(keys.cached("d", "a" * 64, "", "jpg"), b"12345")
    with serving() as start:
        told = {"IMGFLOW_SERVE_API_PROCESSORS": "127.0.0.1:1", "IMGFLOW_STORE": str(tmp_path)}
        front = start("api", **told, IMGFLOW_SERVE_CACHE_BYTES="4")
        ends = time.monotonic() + SECONDS
        while not front.logged("pruned") and time.monotonic() < ends:
            time.sleep(0.05)

    assert [(one["cache"], one["bytes"]) for one in front.logged("pruned")] == [(1, 5)]
    assert list(store.entries(keys.CACHE)) == []


def test_a_job_says_until_when_it_is_kept_once_it_has_ended(
    start_service: Start, processor: Served, tmp_path: Path
) -> None:
    processors = f"127.0.0.1:{processor.ports['grpc']}"
    front = start_service("api", IMGFLOW_SERVE_API_PROCESSORS=processors, IMGFLOW_STORE=str(tmp_path))
    actions = json.dumps({"operations": [["resize", "50%"]], "output": "jpg"})
    files = [("files", ("a.jpg", PHOTO, "image/jpeg"))]

    told = front.client.post("/process", params={"wait": 60}, data={"actions": actions}, files=files).json()

    assert told["status"] == "done"
    assert told["created"] < told["expires"]
