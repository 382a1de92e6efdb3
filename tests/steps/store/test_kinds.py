"""A fault of the store keeps its kind on its way out of a container."""

from __future__ import annotations

import pytest

from imgflow_steps import store
from imgflow_steps.contract.job import Exit, Job, Result
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


def test_a_fault_of_no_known_kind_is_told_as_a_store_that_is_away() -> None:
    assert type(fault("", "x")) is type(fault("SomethingNewError", "x")) is store.UnavailableError
