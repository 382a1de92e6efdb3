"""A fault of the store keeps its kind on its way out of a container."""

from __future__ import annotations

import pytest

from imgflow_steps import store
from imgflow_steps.contract.job import Exit, Job, Result
from imgflow_steps.store.answers import refused
from imgflow_steps.store.kinds import fault
from imgflow_steps.worker.runner import failed

JOB = Job(step="collect", run="mine")


@pytest.mark.parametrize(
    "kind",
    [store.UnavailableError, store.SilentError, store.UnwritableError, store.UnreadableError, store.DeniedError],
)
def test_a_fault_has_the_same_kind_after_a_job_has_told_it_as_json(kind: type[store.StoreError]) -> None:
    told = Result.model_validate_json(failed(JOB, kind("it says no")).model_dump_json())

    again = fault(told.kind, told.error)

    assert (type(again), str(again)) == (kind, "it says no")
    assert told.exit == (Exit.REFUSED if kind is store.DeniedError else Exit.TEMPORARY)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("XMinioStorageFull", 507),
        ("XMinioDiskFull", 500),
        ("XMinioAdminBucketQuotaExceeded", 400),
        ("QuotaExceeded", 403),
        ("InsufficientStorage", 503),
        ("", 507),
    ],
)
def test_a_server_that_is_full_is_there_and_asking_it_again_is_no_use(code: str, status: int) -> None:
    error = refused(code, "no room", "bucket b at s3.example", "a.jpg", status)

    assert type(error) is store.UnwritableError
    assert "free some space on the server" in str(error)


@pytest.mark.parametrize(("code", "status"), [("SlowDown", 503), ("TooManyRequests", 429), ("InternalError", 500)])
def test_a_busy_server_is_not_a_full_one(code: str, status: int) -> None:
    assert type(refused(code, "later", "bucket b at s3.example", "a.jpg", status)) is store.UnavailableError


def test_a_fault_of_no_known_kind_is_told_as_a_store_that_is_away() -> None:
    assert type(fault("", "x")) is type(fault("SomethingNewError", "x")) is store.UnavailableError
