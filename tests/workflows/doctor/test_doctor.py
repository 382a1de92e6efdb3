"""What a diagnosis makes of what is known of a run: recorded from a real cluster, or made up where that shows more."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import Any

import pytest
from tests.diagnoses import GOLDEN, RECORD, recorded

from imgflow_steps.contract.job import Counts
from imgflow_steps.records.progress import Progress, ShardProgress
from imgflow_steps.records.summary import Phase, Summary
from imgflow_workflows.doctor.diagnosis import ORDER, diagnose
from imgflow_workflows.doctor.snapshot import NODE_ID, Snapshot

Document = dict[str, Any]

NOW = 1_800_000_000.0
THEN = "2027-01-15T07:59:50Z"  # ten seconds before


@pytest.mark.parametrize("name", recorded())
def test_what_a_real_cluster_showed_is_still_understood(name: str) -> None:
    """IMGFLOW_RECORD=1 writes anew what is found in the recorded snapshots; a reader of the diff is the judge."""
    file = GOLDEN / f"{name}.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    found = [asdict(one) for one in diagnose(Snapshot.model_validate(known["snapshot"]))]
    if os.environ.get(RECORD):
        text = json.dumps({**known, "findings": found}, indent=1, sort_keys=True)
        file.write_text(f"{text}\n", encoding="utf-8")
    assert json.loads(json.dumps(found)) == known["findings"]


def node(number: int, phase: str = "Failed", **more: Any) -> Document:
    known = {"id": f"run-{number}", "type": "Pod", "templateName": "scale", "phase": phase, "finishedAt": THEN}
    return {**known, **more}


def pod(number: int, **status: Any) -> Document:
    metadata = {"name": f"run-scale-{number}", "annotations": {NODE_ID: f"run-{number}"}, "labels": {}}
    containers = [{"name": "main", "image": "x", "resources": {"limits": {"memory": "1Gi"}}}]
    return {"metadata": metadata, "spec": {"nodeName": "node-1", "containers": containers}, "status": status}


def killed(number: int) -> Document:
    end = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": THEN}}
    return pod(number, phase="Failed", containerStatuses=[{"name": "main", "image": "x", "state": end}])


def snapshot(wanted: list[Document], pods: list[Document] = [], **facts: Any) -> Snapshot:  # noqa: B006 - only read
    phase = facts.pop("phase", "Running")
    workflow = {
        "metadata": {"name": "run", "creationTimestamp": THEN},
        "status": {"phase": phase, "nodes": {one["id"]: one for one in wanted}},
    }
    known = {"run": "run", "engine": "argo", "time": NOW, "status": Phase.RUNNING, "namespace": "city"}
    return Snapshot.model_validate({**known, "workflow": workflow, "pods": pods, **facts})


def summary(exit_code: int, message: str = "", **facts: Any) -> Progress:
    status = Phase.FAILED if exit_code else Phase.SUCCEEDED
    known = {"run": "run", "municipality": "Demo", "digest": "d", "status": status, "exit": exit_code}
    told = Summary.model_validate({**known, "message": message, **facts})
    return Progress(run="run", phase=status, summary=told)


def test_sixty_pods_with_one_cause_are_one_finding() -> None:
    numbers = range(60)
    [found] = diagnose(snapshot([node(i) for i in numbers], [killed(i) for i in numbers]))

    assert found.cause == "out-of-memory"
    assert len(found.evidence) == 60
    assert found.evidence[0].pod == "run-scale-0"
    assert found.mend[0].split("  #")[0].endswith("--set steps.scale.resources.limits.memory=2Gi")


def test_a_pod_that_argo_saw_end_before_it_was_gone_is_known_as_deleted_from_what_its_node_said() -> None:
    known = [node(1, message="main: Error (exit code 143)")]
    killing = {"reason": "Killing", "message": "Stopping container main", "lastTimestamp": THEN}
    about = {"involvedObject": {"name": "run-scale-1"}}

    [found] = diagnose(snapshot(known, events=[{**killing, **about}]))
    [other] = diagnose(snapshot(known))

    assert (found.cause, found.evidence[0].message) == ("pod-deleted", "Stopping container main")
    assert other.cause == "pod-failed"


def test_containers_of_another_imgflow_are_told_from_wrong_parameters() -> None:
    said = "run run in s3://x cannot be read: near: Extra inputs; was it written by another imgflow than this 0.1.0?"
    ends = [{"terminated": {"exitCode": 78, "message": text, "finishedAt": THEN}} for text in (said, "width is 0")]
    pods = [pod(1, phase="Failed", containerStatuses=[{"name": "main", "image": "x", "state": end}]) for end in ends]

    [other], [wrong] = (diagnose(snapshot([node(1)], [one])) for one in pods)

    assert (other.cause, wrong.cause) == ("container-image", "bad-parameters")
    assert "containers.tag" in other.mend[0]


def test_lost_shards_follow_from_what_killed_their_pods() -> None:
    counts = Counts(listed=8, failed=8)
    progress = summary(1, "8 of 8 images failed", counts=counts, missing=8, failed={"shard-lost": 8})

    [found] = diagnose(snapshot([node(1)], [killed(1)], progress=progress, status=Phase.FAILED))
    assert found.consequences == ("8 images without a verdict: their shards were lost",)

    [alone] = diagnose(snapshot([], progress=progress, status=Phase.FAILED))
    assert alone.cause == "shard-lost"


def test_the_most_important_cause_comes_first() -> None:
    gone = pod(2, phase="Pending", containerStatuses=[])
    gone["status"]["containerStatuses"] = [
        {
            "name": "main",
            "image": "x",
            "state": {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "imgflow-s3" not found'}},
        }
    ]
    found = diagnose(snapshot([node(1), node(2, "Pending")], [killed(1), gone]))

    assert [one.cause for one in found] == ["missing-object", "out-of-memory"]


def test_an_attempt_after_which_another_one_did_it_is_no_finding() -> None:
    retry = {"id": "retry", "type": "Retry", "templateName": "scale", "phase": "Succeeded", "children": ["run-1"]}

    assert diagnose(snapshot([retry, node(1)], [killed(1)])) == []
    assert [one.cause for one in diagnose(snapshot([{**retry, "phase": "Running"}, node(1)], [killed(1)]))] == [
        "out-of-memory"
    ]


def test_a_run_that_succeeded_has_no_finding_whatever_its_pods_went_through() -> None:
    assert diagnose(snapshot([node(1)], [killed(1)], status=Phase.SUCCEEDED)) == []


def waits_for_room(since: str) -> Document:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/2 nodes are available: 2 Insufficient cpu.",
        "lastTransitionTime": since,
    }
    found = pod(1, phase="Pending", conditions=[condition])
    found["spec"] = {"containers": [{"name": "main", "image": "x", "resources": {"requests": {"cpu": "500m"}}}]}
    return found


MACHINES = [{"metadata": {"name": f"node-{i}"}, "status": {"allocatable": {"cpu": "2"}}} for i in (1, 2)]
LONG_AGO = "2027-01-15T07:50:00Z"


def test_a_cluster_that_is_full_of_this_very_run_is_no_finding() -> None:
    working = pod(2, phase="Running")
    facts: Document = {"nodes": MACHINES, "status": None}

    assert diagnose(snapshot([node(1, "Pending")], [waits_for_room(LONG_AGO), working], **facts)) == []
    assert diagnose(snapshot([node(1, "Pending")], [waits_for_room(THEN)], **facts)) == []
    [found] = diagnose(snapshot([node(1, "Pending")], [waits_for_room(LONG_AGO)], **facts))
    assert found.what == "no node has room for pods of step scale: too little cpu (500m each) is free"


def test_a_node_that_does_not_take_the_pod_is_not_one_that_is_large_enough() -> None:
    other = {"metadata": {"name": "gpu"}, "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}
    large = {**other, "status": {"allocatable": {"cpu": "64"}}}
    waiting = waits_for_room(THEN)
    waiting["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "16"

    [found] = diagnose(snapshot([node(1, "Pending")], [waiting], nodes=[*MACHINES, large]))
    assert found.what == "no node is large enough for pods of step scale: they ask for too much cpu (16 each)"

    waiting["spec"]["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
    assert diagnose(snapshot([node(1, "Pending")], [waiting], nodes=[*MACHINES, large])) == []


def test_what_argo_has_forgotten_is_in_its_log() -> None:
    [found] = diagnose(snapshot([node(1, "Error", message="Deadline exceeded")]))

    assert found.what == "Argo could not create pods of step scale, and no longer says why"
    assert "workflow-controller" in found.mend[0]


@pytest.mark.parametrize(("limit", "cause"), [("0", ["semaphore"]), ("5", [])])
def test_a_place_that_is_waited_for_is_a_finding_only_when_there_is_none(limit: str, cause: list[str]) -> None:
    waiting = node(1, "Pending", message="Waiting for city/ConfigMap/imgflow-limits/scale lock. Lock status: 0/0")
    waiting = {**waiting, "startedAt": THEN, "finishedAt": None}

    assert [one.cause for one in diagnose(snapshot([waiting], limits={"scale": limit}))] == cause


def test_a_run_is_stuck_when_it_is_silent_for_three_times_as_long_as_usual() -> None:
    def silent_for(seconds: float, each: float) -> list[str]:
        step = ShardProgress(label="scale", shard=0, total=9, done=3, ms={"scale": each * 3000}, updated=NOW - seconds)
        progress = Progress(run="run", phase=Phase.RUNNING, steps={"scale": step})
        known = {"run": "run", "engine": "local", "time": NOW, "status": Phase.RUNNING, "progress": progress}
        return [one.cause for one in diagnose(Snapshot.model_validate(known))]

    assert silent_for(59, each=0.1) == []
    assert silent_for(61, each=0.1) == ["stuck"]
    assert silent_for(89, each=30) == []
    assert silent_for(91, each=30) == ["stuck"]


def test_what_shards_said_when_they_gave_up_is_a_cause() -> None:
    said = "UnavailableError: bucket b at http://s:9000: 'k': refused, after all retries; check that the server runs"
    shard = ShardProgress(label="scale", shard=3, total=9, error=said)
    progress = summary(1, counts=Counts(listed=9, failed=9), missing=9, failed={"shard-lost": 9})

    [found] = diagnose(snapshot([], shards=[shard], progress=progress, status=Phase.FAILED))

    assert (found.cause, found.evidence[0].reason) == ("store-away", "shard 3, step scale")
    assert found.consequences


def test_failed_images_are_told_by_their_codes() -> None:
    codes = {"step-error": 1, "shard-lost": 2, "gone": 3}
    progress = summary(1, counts=Counts(listed=6, failed=6), missing=2, failed=codes)

    found = diagnose(snapshot([], progress=progress, status=Phase.FAILED))

    assert [one.what for one in found] == ["1 image failed: step-error", "3 images failed: gone"]
    assert found[0].consequences == ("2 images without a verdict: their shards were lost",)


def test_a_pod_that_was_asked_to_end_because_the_run_was_stopped_is_no_cause_of_its_own() -> None:
    end = {"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": THEN}}
    ended = pod(1, phase="Failed", containerStatuses=[{"name": "main", "image": "x", "state": end}])
    stopped = snapshot([node(1)], [ended], status=Phase.INTERRUPTED, phase="Failed")
    assert [one.cause for one in diagnose(stopped)] == ["container-failed", "interrupted"]

    stopped.workflow["spec"] = {"shutdown": "Stop"}
    assert [one.cause for one in diagnose(stopped)] == ["interrupted"]


REFUSED = "DeniedError: bucket imgflow at http://s: SignatureDoesNotMatch: the signature we calculated does not match"


def test_a_secret_that_the_store_takes_now_is_not_to_blame_for_pods_that_began_with_another_one() -> None:
    ended = {"terminated": {"exitCode": 76, "message": REFUSED, "finishedAt": THEN}}
    began = pod(1, phase="Failed", containerStatuses=[{"name": "main", "image": "x", "state": ended}])

    [blamed] = diagnose(snapshot([node(1)], [began]))
    [rotated] = diagnose(snapshot([node(1)], [began], secret_works=True))

    assert "edit secret imgflow-s3" in blamed.mend[0]
    assert rotated.cause == "wrong-credentials"
    assert "it accepts those that Secret imgflow-s3 has now" in rotated.what
    assert not any("secret" in command for command in rotated.mend)


@pytest.mark.parametrize("status", [Phase.SUCCEEDED, Phase.FAILED])
def test_a_store_that_was_emptied_is_told_whatever_the_workflow_says(status: Phase) -> None:
    phase = "Succeeded" if status is Phase.SUCCEEDED else "Failed"

    found = diagnose(snapshot([], phase=phase, status=status, unknown=True))

    assert [one.cause for one in found] == ["store-emptied"]


def test_a_run_that_others_began_and_list_has_not_written_down_yet_is_not_lost() -> None:
    assert diagnose(snapshot([node(1, "Running", templateName="list")], unknown=True)) == []


def test_a_run_whose_list_failed_has_lost_nothing_in_the_store() -> None:
    nodes = [node(1, "Failed", templateName="list")]

    found = diagnose(snapshot(nodes, phase="Failed", status=Phase.FAILED, unknown=True))

    assert "store-emptied" not in {one.cause for one in found}


@pytest.mark.parametrize(("phase", "known"), [("Succeeded", ["other-store"]), ("Running", [])])
def test_pods_that_use_another_store_are_found_out_by_the_listing_that_is_not_here(
    phase: str, known: list[str]
) -> None:
    began = Progress(run="run", phase=Phase.PENDING)
    status = Phase.FAILED if known else Phase.RUNNING  # as both together have it

    nodes = [node(1, "Succeeded", templateName="list"), node(2, "Succeeded", templateName="collect")]
    found = diagnose(snapshot(nodes, phase=phase, status=status, progress=began))

    assert [one.cause for one in found] == known


def test_a_run_that_failed_for_a_reason_nobody_foresaw_is_never_said_to_be_well() -> None:
    failed = snapshot([], phase="Failed", status=Phase.FAILED)
    assert failed.workflow
    failed.workflow["status"]["message"] = "invalid spec: template name 'nowhere' undefined"

    [found] = diagnose(failed)

    assert (found.cause, found.evidence[0].message) == ("run-failed", failed.workflow["status"]["message"])


def test_every_cause_has_an_example_from_a_real_cluster() -> None:
    known = {
        one["cause"] for name in recorded() for one in json.loads((GOLDEN / f"{name}.json").read_text())["findings"]
    }

    # The first is told of runs of one machine only, the others by the store alone (tests/cli/test_intact, test_hidden).
    assert known | {"run-failed", "results-gone", "uncovered"} == set(ORDER)
