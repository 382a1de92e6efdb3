"""What is wrong with a run as a whole: what its Workflow, its summary and its silence say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from imgflow_steps.collect.hints import HINTS, OTHER_FAILED, OTHER_REJECTED
from imgflow_steps.collect.results import LOST
from imgflow_steps.contract import Exit
from imgflow_steps.run import Phase
from imgflow_workflows.doctor import storage
from imgflow_workflows.doctor.findings import Evidence, Finding
from imgflow_workflows.doctor.pods import DEADLINE, MISSING
from imgflow_workflows.doctor.snapshot import seconds
from imgflow_workflows.faults import ExitCode
from imgflow_workflows.words import counted

if TYPE_CHECKING:
    from imgflow_workflows.doctor.snapshot import Snapshot

UNSEEN = 30  # seconds within which a controller begins with a new Workflow
LEAST = 60.0  # seconds of silence that are nothing to speak of: a pod may take as long to start
TIMES = 3  # the usual time between two signs of life, and then a run is stuck
FLUSH = 2.0  # seconds between two words of a container that has done something

Cause = Callable[["Snapshot"], Iterator[Finding]]


def store_trouble(snapshot: Snapshot) -> Iterator[Finding]:
    """What the store says to whoever asks, and what it said to shards that gave up and to the run's end."""
    summary = snapshot.progress.summary if snapshot.progress else None
    said = [Evidence(message=snapshot.store_error)] if snapshot.store_error else []
    said += [Evidence(reason=f"shard {one.shard}, step {one.label}", message=one.error) for one in snapshot.shards]
    said += [Evidence(reason="the run's end", message=summary.message)] if summary and summary.message else []
    for one in said:
        if found := storage.meaning(snapshot, one.message, one):
            yield found
        elif one.message == snapshot.store_error:
            what = "what the store has of the run cannot be read"
            yield Finding("store-error", what, (one,), (f"{snapshot.command} doctor",))


def controller_silent(snapshot: Snapshot) -> Iterator[Finding]:
    """No controller has begun with the Workflow."""
    if snapshot.workflow is None or snapshot.workflow.get("status", {}).get("phase"):
        return
    created = snapshot.workflow["metadata"].get("creationTimestamp", "")
    if snapshot.time - seconds(created) > UNSEEN:
        mend = (f"{snapshot.command} doctor  # says how Argo Workflows is", "kubectl -n argo get deployments")
        what = "the controller of Argo Workflows has not begun with the Workflow"
        yield Finding("controller-silent", what, (Evidence(reason="no status", time=created),), mend)


def workflow_failed(snapshot: Snapshot) -> Iterator[Finding]:
    """What Argo says of the Workflow itself, when that is a cause."""
    status = (snapshot.workflow or {}).get("status", {})
    message = status.get("message", "")
    if status.get("phase") not in {"Failed", "Error"}:
        return
    evidence = (Evidence(reason=status["phase"], message=message, time=status.get("finishedAt") or ""),)
    if DEADLINE.search(message):
        yield Finding("deadline", "the run took longer than it may", evidence, (snapshot.retry,))
    elif found := MISSING.search(message):
        what = f"{found[1]} {found[2]} is not there"
        yield Finding("missing-object", what, evidence, (f"{snapshot.helm()}  # brings it back", snapshot.retry))
    elif status["phase"] == "Error":
        yield Finding("workflow-error", "Argo cannot do this Workflow", evidence, (f"{snapshot.command} doctor",))


def interrupted(snapshot: Snapshot) -> Iterator[Finding]:
    """Somebody stopped the run, or the process that did it is gone."""
    if snapshot.status is not Phase.INTERRUPTED:
        return
    summary = snapshot.progress.summary if snapshot.progress else None
    said = summary.message if summary else "nothing was heard of it any more"
    if (snapshot.workflow or {}).get("spec", {}).get("shutdown"):
        said = "imgflow stop, argo stop or the Argo UI"
    what = "the run was stopped before its end; what was finished is safe"
    yield Finding("interrupted", what, (Evidence(message=said),), (f"{snapshot.retry}  # goes on from there",))


def images_failed(snapshot: Snapshot) -> Iterator[Finding]:
    """Images that ended as failed, by code; those of lost shards apart."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or not summary.counts.failed:
        return
    for code, count in summary.failed.items():
        if code == LOST:
            continue
        what = f"{counted(count, 'image')} failed: {code}"
        logs = f"{snapshot.command} report {snapshot.run} --open  # which, and what each says"
        hint = Evidence(reason=code, message=HINTS.get(code, OTHER_FAILED))
        yield Finding("images-failed", what, (hint,), (logs, snapshot.retry))


def too_many_rejected(snapshot: Snapshot) -> Iterator[Finding]:
    """More images were rejected than the run allows."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or summary.exit != Exit.TOO_MANY_REJECTED:
        return
    evidence = tuple(
        Evidence(reason=f"{code}: {counted(count, 'image')}", message=HINTS.get(code, OTHER_REJECTED))
        for code, count in summary.rejected.items()
    )
    mend = (
        f"{snapshot.command} report {snapshot.run} --open  # which, and what is wrong with each",
        f"{snapshot.retry} --rejected  # when they are mended",
    )
    yield Finding("too-many-rejected", summary.message, evidence, mend)


def given_up(snapshot: Snapshot) -> Iterator[Finding]:
    """What ended a run of this machine before its results could be collected."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if snapshot.engine == "argo" or summary is None or summary.report or summary.status is not Phase.FAILED:
        return
    said = (Evidence(message=summary.message),)
    if summary.exit == ExitCode.USAGE:
        again = f"{snapshot.command} submit …  # with others: this run can never work"
        yield Finding("bad-parameters", "a step refuses its parameters", said, (again,))
    else:
        yield Finding("run-failed", "the run ended before its results could be collected", said, (snapshot.retry,))


def shard_lost(snapshot: Snapshot) -> Iterator[Finding]:
    """Images whose shard ended before their turn."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or not summary.missing:
        return
    said = tuple(Evidence(reason=f"shard {one.shard}, step {one.label}", message=one.error) for one in snapshot.shards)
    what = f"{counted(summary.missing, 'image')} without a verdict: their shards were lost"
    logs = f"{snapshot.command} logs {snapshot.run} --failed  # what the containers said last"
    yield Finding("shard-lost", what, said, (logs, f"{snapshot.retry}  # does these again"))


def stuck(snapshot: Snapshot) -> Iterator[Finding]:
    """Nothing was heard for three times as long as usual."""
    if snapshot.status not in {Phase.PENDING, Phase.RUNNING}:
        return
    silent, patience = snapshot.time - heard(snapshot), TIMES * usual(snapshot)
    if silent <= max(patience, LEAST):
        return
    state = {one.node.get("phase", "Pending"): one for one in snapshot.attempts}
    evidence = tuple(Evidence(one.name, one.machine, phase, one.spoken.message) for phase, one in state.items())
    what = f"nothing was heard for {silent:.0f} s; usual are {usual(snapshot):.0f} s"
    mend = (f"{snapshot.command} logs {snapshot.run} --follow", *_cancel(snapshot))
    yield Finding("stuck", what, evidence, mend)


def _cancel(snapshot: Snapshot) -> tuple[str, ...]:
    return (f"{snapshot.command} stop {snapshot.run}", f"{snapshot.retry}  # loses nothing that is done")


def heard(snapshot: Snapshot) -> float:
    """When the run was last seen to move: images done, containers started or ended."""
    times = [snapshot.created]
    times += [step.updated for step in snapshot.progress.steps.values()] if snapshot.progress else []
    if snapshot.workflow:
        times.append(seconds(snapshot.workflow["metadata"].get("creationTimestamp", "")))
    for pod in snapshot.pods:
        for container in pod.get("status", {}).get("containerStatuses", ()):
            for state in container.get("state", {}).values():
                times += [seconds(state.get(key) or "") for key in ("startedAt", "finishedAt")]
    return max(times)


def usual(snapshot: Snapshot) -> float:
    """Seconds between two signs of life of a run that goes well: an image of the slowest step, but not every moment."""
    steps = snapshot.progress.steps.values() if snapshot.progress else ()
    each = [sum(step.ms.values()) / 1000 / step.done for step in steps if step.done]
    return max(FLUSH, *each) if each else LEAST


CAUSES: tuple[Cause, ...] = (
    controller_silent,
    store_trouble,
    workflow_failed,
    images_failed,
    too_many_rejected,
    interrupted,
    given_up,
    shard_lost,
    stuck,
)
