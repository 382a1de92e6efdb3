"""What is wrong with a run as a whole: what its Workflow, its summary and its silence say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imgflow_steps.contract.job import Exit
from imgflow_steps.records.results import LOST
from imgflow_steps.records.summary import Phase
from imgflow_steps.report.remedies import HINTS, OTHER_FAILED, OTHER_REJECTED
from imgflow_workflows.doctor import storage
from imgflow_workflows.doctor.findings import Diagnosis, Evidence
from imgflow_workflows.doctor.pods import DEADLINE, MISSING
from imgflow_workflows.doctor.snapshot import seconds
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.kube.workflow_nodes import ended, nodes
from imgflow_workflows.text import counted

if TYPE_CHECKING:
    from imgflow_steps.records.summary import Summary
    from imgflow_workflows.doctor.snapshot import Snapshot

UNSEEN = 30  # seconds within which a controller begins with a new Workflow
LEAST = 60.0  # seconds of silence that are nothing to speak of: a pod may take as long to start
TIMES = 3  # the usual time between two signs of life, and then a run is stuck
REPOSITORY = re.compile(r'artifact repository ref "([^"#]+)#([^"]*)"')
LISTED = ("list", "Succeeded")
FLUSH = 2.0  # seconds between two words of a container that has done something

Cause = Callable[["Snapshot"], Iterator[Diagnosis]]


def store_trouble(snapshot: Snapshot) -> Iterator[Diagnosis]:
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
            yield Diagnosis("store-error", what, (one,), (f"{snapshot.command} doctor",))


def controller_silent(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """No controller has begun with the Workflow."""
    if snapshot.workflow is None or snapshot.workflow.get("status", {}).get("phase"):
        return
    created = snapshot.workflow["metadata"].get("creationTimestamp", "")
    if snapshot.time - seconds(created) > UNSEEN:
        mend = (f"{snapshot.command} doctor  # shows how Argo Workflows is", "kubectl -n argo get deployments")
        what = "the controller of Argo Workflows has not begun with the Workflow"
        yield Diagnosis("controller-silent", what, (Evidence(reason="no status", time=created),), mend)


def workflow_failed(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """What Argo says of the Workflow itself, when that is a cause."""
    status = (snapshot.workflow or {}).get("status", {})
    message = status.get("message", "")
    if status.get("phase") not in {"Failed", "Error"}:
        return
    evidence = (Evidence(reason=status["phase"], message=message, time=status.get("finishedAt") or ""),)
    if DEADLINE.search(message):
        yield Diagnosis("deadline", "the run took longer than it may", evidence, (snapshot.retry,))
    elif found := MISSING.search(message):
        what = f"{found[1]} {found[2]} is not there"
        yield Diagnosis("missing-object", what, evidence, (f"{snapshot.helm()}  # brings it back", snapshot.retry))
    elif found := REPOSITORY.search(message):
        what = f"ConfigMap {found[1]} is not there, or has no key {found[2]}: Argo has nowhere to keep artifacts"
        yield Diagnosis("missing-object", what, evidence, (f"{snapshot.helm()}  # brings it back", snapshot.retry))
    elif status["phase"] == "Error":
        yield Diagnosis("workflow-error", "Argo cannot do this Workflow", evidence, (f"{snapshot.command} doctor",))


def unexplained(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """What is left of a run that failed, where none of ``CAUSES`` is known: Argo's own word, or that of its end."""
    status = (snapshot.workflow or {}).get("status", {})
    if snapshot.status is not Phase.FAILED:
        return
    summary = snapshot.progress.summary if snapshot.progress else None
    said = status.get("message", "") or (summary.message if summary else "")
    evidence = (Evidence(reason=status.get("phase", ""), message=said, time=status.get("finishedAt") or ""),)
    yield Diagnosis("run-failed", "the run failed", evidence, (*_last_words(snapshot), snapshot.retry))


def emptied(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """The store has nothing of a run that has long begun; one whose list failed may never have written anything."""
    lists = {node.get("phase") for node in _nodes(snapshot) if node.get("templateName") == "list"}
    if not snapshot.unknown or snapshot.workflow is None:
        return
    if "Succeeded" not in lists and (not ended(snapshot.workflow) or lists & {"Failed", "Error"}):
        return
    created = snapshot.workflow["metadata"].get("creationTimestamp", "")
    what = "the store has nothing of this run: it was emptied or replaced since the run began"
    mend = (
        f"{snapshot.command} doctor  # shows whether what is in the store outlives its pod",
        f"{snapshot.command} ingest …  # if the photographs are gone, too; then submit again",
        f"{snapshot.kubectl} delete workflow {snapshot.run}",
    )
    yield Diagnosis("store-emptied", what, (Evidence(reason="no run.json", time=created),), mend)


def elsewhere(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """The Workflow is over and has listed, and the store that is asked here has no listing: pods use another one."""
    progress, workflow = snapshot.progress, snapshot.workflow
    listed = [node for node in _nodes(snapshot) if (node.get("templateName"), node.get("phase")) == LISTED]
    if progress is None or progress.listing or workflow is None or not ended(workflow) or not listed:
        return
    what = "the run's pods use another store than the one that you use"
    evidence = Evidence(reason="no listing", message="step list succeeded", time=listed[0].get("finishedAt") or "")
    mend = (
        f"{snapshot.command} config  # which store you use, and where that is set: unset it to use that of the pods",
        f"{snapshot.kubectl} get configmap imgflow-store -o yaml  # which one the pods use",
    )
    yield Diagnosis("other-store", what, (evidence,), mend)


def _nodes(snapshot: Snapshot) -> Iterable[Mapping[str, Any]]:
    return nodes(snapshot.workflow).values() if snapshot.workflow else ()


def suspended(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """Somebody has suspended the Workflow."""
    if snapshot.status is not Phase.SUSPENDED:
        return
    what = "the Workflow is suspended: pods that run continue, and nothing new starts until it is resumed"
    evidence = Evidence(reason="spec.suspend", message="argo suspend, the Argo UI or kubectl")
    mend = (f"{snapshot.retry}  # resumes it", f"{snapshot.command} stop {snapshot.run}  # or ends it")
    yield Diagnosis("suspended", what, (evidence,), mend)


def interrupted(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """Somebody stopped the run, or the process that did it is gone."""
    if snapshot.status is not Phase.INTERRUPTED:
        return
    summary = snapshot.progress.summary if snapshot.progress else None
    what = "the run was stopped before its end"
    said = summary.message if summary else "nothing was heard of it any more"
    if (snapshot.workflow or {}).get("spec", {}).get("shutdown"):
        said = "imgflow stop, argo stop or the Argo UI"
    elif snapshot.engine == "argo" and summary is None:
        said, what = "deleted by somebody, or kept as long as it had to be", "the run's Workflow is gone before its end"
    what = f"{what}; what was finished is safe"
    yield Diagnosis("interrupted", what, (Evidence(message=said),), (f"{snapshot.retry}  # resumes",))


def images_failed(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """Images that ended as failed, by code; those of lost shards apart."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or not summary.counts.failed:
        return
    for code, count in summary.failed.items():
        if code == LOST:
            continue
        what = f"{counted(count, 'image')} failed: {code}"
        logs = f"{snapshot.command} report {snapshot.run} --open  # which images, and why"
        hint = Evidence(reason=code, message=HINTS.get(code, OTHER_FAILED))
        yield Diagnosis("images-failed", what, (hint,), (logs, snapshot.retry))


def too_many_rejected(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """More images were rejected than the run allows."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or summary.exit != Exit.TOO_MANY_REJECTED:
        return
    yield Diagnosis("too-many-rejected", summary.message, *_rejected(snapshot, summary))


def some_rejected(snapshot: Snapshot) -> Diagnosis | None:
    """What a run that succeeded has no pictures of: nothing is wrong with the run, and something with its images."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or summary.status is not Phase.SUCCEEDED or not summary.rejected:
        return None
    what = f"{counted(sum(summary.rejected.values()), 'image')} rejected, which the run allows"
    return Diagnosis("some-rejected", what, *_rejected(snapshot, summary))


def some_absent(snapshot: Snapshot) -> Diagnosis | None:
    """What a run that succeeded was to take, and did not find: the choice stays, and photographs may be deleted."""
    if snapshot.status is not Phase.SUCCEEDED or not snapshot.absent:
        return None
    are = "is" if snapshot.absent == 1 else "are"
    evidence = tuple(Evidence(message=name) for name in snapshot.absent_images)
    mend = (f"{snapshot.retry}  # once they are",)
    return Diagnosis("some-absent", f"{counted(snapshot.absent, 'chosen image')} {are} not there", evidence, mend)


def notes(snapshot: Snapshot) -> list[Diagnosis]:
    """What is to be known of the images of a run that succeeded."""
    return [one for one in (some_rejected(snapshot), some_absent(snapshot)) if one]


def _rejected(snapshot: Snapshot, summary: Summary) -> tuple[tuple[Evidence, ...], tuple[str, ...]]:
    """What was rejected, by its codes, and what can be done."""
    evidence = tuple(
        Evidence(reason=f"{code}: {counted(count, 'image')}", message=HINTS.get(code, OTHER_REJECTED))
        for code, count in summary.rejected.items()
    )
    return evidence, (
        f"{snapshot.command} report {snapshot.run} --open  # which, and what is wrong with each",
        f"{snapshot.retry} --rejected  # once they are fixed",
    )


def given_up(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """What ended a run of this machine before its results could be collected."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if snapshot.engine == "argo" or summary is None or summary.report or summary.status is not Phase.FAILED:
        return
    said = (Evidence(message=summary.message),)
    if summary.exit == ExitCode.USAGE:
        again = f"{snapshot.command} submit …  # with others: this run can never work"
        yield Diagnosis("bad-parameters", "a step refuses its parameters", said, (again,))
    else:
        yield Diagnosis("run-failed", "the run ended before its results could be collected", said, (snapshot.retry,))


def results_harmed(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """Pictures that the run made, and that are gone from the store or are not what it made."""
    if not snapshot.harmed:
        return
    said = " and ".join(f"{counted(count, 'picture')} {harm}" for harm, count in snapshot.harmed.items())
    evidence = tuple(Evidence(reason=harm, message=key) for harm, key in snapshot.harmed_keys)
    again = f"{snapshot.retry} --repair  # makes these again, and no others"
    yield Diagnosis("results-gone", f"results are not as the run left them: {said}", evidence, (again,))


def uncovered(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """Pictures that other pipelines, or older versions of its steps, made of the same images, in which more is seen."""
    if not snapshot.uncovered:
        return
    evidence = tuple(Evidence(reason=f"run {run}", message=f"digest {digest}") for run, digest in snapshot.uncovered)
    prune = f"{snapshot.command} prune --unredacted -m {shlex.quote(snapshot.municipality)}"
    what = f"{counted(len(evidence), 'other run')} of these images left pictures that show what this one covers"
    yield Diagnosis("uncovered", what, evidence, (f"{prune}  # shows what would be deleted; --yes deletes it",))


def shard_lost(snapshot: Snapshot) -> Iterator[Diagnosis]:
    """Images whose shard ended before their turn."""
    summary = snapshot.progress.summary if snapshot.progress else None
    if summary is None or not summary.missing:
        return
    said = tuple(Evidence(reason=f"shard {one.shard}, step {one.label}", message=one.error) for one in snapshot.shards)
    what = f"{counted(summary.missing, 'image')} without a verdict: their shards were lost"
    yield Diagnosis("shard-lost", what, said, (*_last_words(snapshot), f"{snapshot.retry}  # does these again"))


def _last_words(snapshot: Snapshot) -> tuple[str, ...]:
    """How to see what containers said last; the local engine has none."""
    logs = f"{snapshot.command} logs {snapshot.run} --failed  # the last lines of the containers"
    return () if snapshot.engine == "local" else (logs,)


def stuck(snapshot: Snapshot) -> Iterator[Diagnosis]:
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
    yield Diagnosis("stuck", what, evidence, mend)


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
    suspended,
    emptied,
    elsewhere,
    controller_silent,
    store_trouble,
    workflow_failed,
    images_failed,
    too_many_rejected,
    results_harmed,
    interrupted,
    given_up,
    shard_lost,
    stuck,
)
