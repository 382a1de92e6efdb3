"""Where a run stands: what the store and the cluster say of it, put together."""

from __future__ import annotations

from typing import Any

import pytest

from imgflow_steps.records.summary import Phase
from imgflow_workflows.kube.workflow_nodes import standing
from imgflow_workflows.standing import BEGINNING, OPEN, Standing, together

NOW = 1_800_000_000.0
BEFORE, AFTER = "2027-01-15T07:59:59Z", "2027-01-15T08:00:01Z"  # than NOW, when the run was submitted
ENDED = set(Phase) - OPEN


def workflow(phase: str, spec: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "run"}, "spec": spec or {}, "status": {"phase": phase, **status}}


@pytest.mark.parametrize("stored", Phase)
@pytest.mark.parametrize("theirs", sorted(OPEN))
def test_as_long_as_its_workflow_works_a_run_is_not_over(stored: Phase, theirs: Phase) -> None:
    """Its summary comes before its report, and stays while `argo retry` has it done again."""
    assert together("run", stored, 1e9, Standing(theirs)).phase is theirs


@pytest.mark.parametrize("stored", sorted(ENDED))
@pytest.mark.parametrize("theirs", [None, *map(Standing, sorted(ENDED))])
def test_how_a_run_ended_its_summary_says_also_when_its_workflow_is_gone(
    stored: Phase, theirs: Standing | None
) -> None:
    assert together("run", stored, 1e9, theirs) == Standing(stored)


@pytest.mark.parametrize("stored", [Phase.PENDING, Phase.RUNNING])
def test_a_run_whose_workflow_is_gone_before_its_end_was_interrupted(stored: Phase) -> None:
    found = together("run", stored, BEGINNING + 1, None)

    assert found.phase is Phase.INTERRUPTED
    assert "its Workflow is gone" in found.why
    assert "`imgflow retry run`" in found.why


def test_a_run_without_a_workflow_may_only_be_about_to_begin() -> None:
    assert together("run", Phase.PENDING, 1, None) == Standing(Phase.PENDING)
    assert together("run", Phase.RUNNING, 1, None).phase is Phase.INTERRUPTED  # it has begun, so there was one


def test_a_workflow_that_ended_badly_ends_its_run_at_once() -> None:
    terminated = standing(workflow("Failed", {"shutdown": "Terminate"}, finishedAt=AFTER), NOW)
    errored = standing(workflow("Error", message="cannot be done", finishedAt=AFTER), NOW)

    assert together("run", Phase.RUNNING, 1, terminated).phase is Phase.INTERRUPTED
    assert together("run", Phase.RUNNING, 1, errored) == Standing(Phase.FAILED, "Argo says: cannot be done")


def test_a_workflow_that_succeeded_without_a_summary_has_lost_it() -> None:
    found = together("run", Phase.RUNNING, 1, standing(workflow("Succeeded", finishedAt=AFTER), NOW))

    assert found.phase is Phase.FAILED
    assert "the store has no summary" in found.why


def test_a_workflow_of_an_earlier_attempt_says_nothing_of_the_one_that_was_submitted_since() -> None:
    earlier = workflow("Failed", finishedAt=BEFORE)
    assert standing(earlier, NOW) is None
    assert standing(workflow("Failed", finishedAt=AFTER), NOW) == Standing(Phase.FAILED)

    earlier["metadata"]["deletionTimestamp"] = AFTER  # it is being replaced
    assert standing(earlier, NOW) == Standing(Phase.PENDING)


@pytest.mark.parametrize("phase", ["", "Pending", "Running"])
def test_a_suspended_workflow_says_so_and_who_resumes_it(phase: str) -> None:
    found = standing(workflow(phase, {"suspend": True}), NOW)

    assert found
    assert found.phase is Phase.SUSPENDED
    assert "`imgflow retry run`" in found.why


def test_a_workflow_that_ended_is_not_suspended_any_more() -> None:
    assert standing(workflow("Failed", {"suspend": True, "shutdown": "Stop"}), NOW) == Standing(
        Phase.INTERRUPTED, "it was stopped before its end; `imgflow retry run` resumes it"
    )


REFUSED = {
    "type": "Pod",
    "templateName": "list",
    "phase": "Pending",
    "message": 'pods "run-list-1" is forbidden: exceeded quota: none, requested: pods=1, used: pods=0, limited: pods=0',
}


def test_a_workflow_whose_pods_are_refused_says_why_it_does_not_move() -> None:
    found = standing(workflow("Running", nodes={"a": REFUSED}), NOW)

    assert found == Standing(Phase.RUNNING, f"the cluster admits no pod: {REFUSED['message']}")


def test_a_workflow_that_moves_says_nothing_of_pods_that_wait_for_a_place() -> None:
    busy = {"type": "Pod", "templateName": "scale", "phase": "Running"}
    waits = {**REFUSED, "message": "Unschedulable: 0/2 nodes are available: 2 Insufficient cpu."}

    assert standing(workflow("Running", nodes={"a": REFUSED, "b": busy}), NOW) == Standing(Phase.RUNNING)
    assert standing(workflow("Running", nodes={"a": waits}), NOW) == Standing(Phase.RUNNING)
