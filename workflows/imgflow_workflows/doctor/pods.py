"""Why a pod does not start, or did not end well: one pure function per cause, most important first."""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from imgflow_steps.contract.job import ABOUT_IMAGES, Exit
from imgflow_workflows.doctor import storage
from imgflow_workflows.doctor.findings import Diagnosis, Evidence
from imgflow_workflows.doctor.scheduling import unschedulable
from imgflow_workflows.doctor.snapshot import Sign, seconds

if TYPE_CHECKING:
    from imgflow_workflows.doctor.snapshot import Attempt, Document, Snapshot

PULLS = {
    "ErrImageNeverPull": "is not on the node, and is never pulled",
    "InvalidImageName": "has a name that cannot be",
    **dict.fromkeys(("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"), "cannot be pulled"),
}
MISSING = re.compile(r'\b(secret|configmap|serviceaccount)s? "([^"]+)" not found', re.IGNORECASE)
NO_KEY = re.compile(r"(?:couldn't find key|references non-existent secret key:?) (\S+)(?: in (\S+) \S+/(\S+))?")
KINDS = {"secret": "Secret", "configmap": "ConfigMap", "serviceaccount": "ServiceAccount"}
QUOTA = re.compile(r"exceeded quota: ([^,]+), (requested: .*)")
UNNAMED = re.compile(r"failed quota: ([^:]+): (must specify (\S+) for: (\S+).*)")
FORBIDDEN = re.compile(r'pods "[^"]*" is forbidden: (.*)')
LOCK = re.compile(r"Waiting for \S*/ConfigMap/([^/]+)/(\S+) lock")
NO_LOCK = re.compile(
    r"(?:failed to initialize semaphore|Failed to get semaphore limit for) \S*/ConfigMap/([^/]+)/(\S+)"
)
FORGOTTEN = "Deadline exceeded"  # what Argo puts in the place of every error but the last few
NEVER_LISTED = "was never listed to its end"
OTHER_IMGFLOW = "written by another imgflow"
DEADLINE = re.compile(r"DeadlineExceeded|exceeded its deadline|longer than the specified deadline|exceeded deadline")
DELETED = re.compile(r"^pod deleted")
STOPPED = re.compile(r"shutdown with strategy")
TERMINATED = 128 + signal.SIGTERM
PATIENCE = 60  # seconds for which a lock that another run holds is nothing to speak of
VERDICT = re.compile("|".join(rf"\(exit code {code.value}\)" for code in ABOUT_IMAGES))

Cause = Callable[["Attempt", "Snapshot"], Diagnosis | None]


def explain(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """Why this pod does not start or failed: the first of ``CAUSES`` that fits.

    None also for a pod that ended because the run was stopped, or because there was nothing to report on.
    """
    ended = list(attempt.ended())
    said = " ".join([attempt.spoken.message, *(sign.message for _, sign in ended)])
    stopped = bool((snapshot.workflow or {}).get("spec", {}).get("shutdown"))
    asked_to_end = stopped and any(code == TERMINATED for code, _ in ended)  # before Argo could say why
    if asked_to_end or STOPPED.search(said) or NEVER_LISTED in said:
        return None
    return next(filter(None, (cause(attempt, snapshot) for cause in CAUSES)), None)


def seen(attempt: Attempt, sign: Sign) -> tuple[Evidence]:
    """One piece of evidence."""
    return (Evidence(attempt.name, attempt.machine, sign.reason, sign.message, sign.time),)


def missing_object(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """A Secret, ConfigMap or service account that pods name is not there, or lacks a key."""
    signs = [sign for _, sign in attempt.waiting()] + [attempt.spoken]
    if attempt.pending:
        signs += filter(None, [attempt.event("FailedMount", "FailedCreate")])
    for sign in signs:
        if found := MISSING.search(sign.message):
            kind, name = KINDS[found[1].lower()], found[2]
            what = f"{kind} {name} is not there"
        elif found := NO_KEY.search(sign.message):
            kind, name = found[2] or "Secret", found[3] or "imgflow-s3"
            what = f"{kind} {name} has no key {found[1]}"
        else:
            continue
        mend = (_restore(kind, name, snapshot), f"{snapshot.command} doctor  # shows whether all of the chart is there")
        return Diagnosis("missing-object", what, seen(attempt, sign), mend)
    return None


def _restore(kind: str, name: str, snapshot: Snapshot) -> str:
    if kind == "Secret":  # the chart would make up a password, and the server keeps the old one
        keys = "--from-literal=AWS_ACCESS_KEY_ID=… --from-literal=AWS_SECRET_ACCESS_KEY=…"
        return f"{snapshot.kubectl} create secret generic {name} {keys}  # as the S3 server knows them"
    return f"{snapshot.helm()}  # brings back what the chart holds"


def store_trouble(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The store refused the pod, or was not there."""
    ended = attempt.node.get("phase") in {"Failed", "Error"}  # a pod that waits may speak of a registry
    for sign in [*(sign for _, sign in attempt.ended()), *([attempt.spoken] if ended else ())]:
        [evidence] = seen(attempt, Sign("", sign.message, sign.time))
        if found := storage.meaning(snapshot, sign.message, evidence):
            return found
    return None


def container_image(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """A container image that a node cannot get."""
    for image, sign in attempt.waiting():
        if sign.reason not in PULLS:
            continue
        said = attempt.event("Failed", "ErrImageNeverPull", "InspectFailed") or sign
        name, _, tag = image.rpartition(":")
        there = f"docker push {image}  # or correct its name"
        if image.startswith("localhost/"):
            there = f"TAG={tag} images/load  # copies the container images into the nodes; images/build makes them"
        other = f"{snapshot.helm('containers.prefix=…', 'containers.tag=…')}  # or name those that are there, and then"
        what = f"container image {name or image}:{tag} {PULLS[sign.reason]}"
        mend = (there, other, *_again(snapshot))
        return Diagnosis("container-image", what, seen(attempt, Sign(sign.reason, said.message, said.time)), mend)
    return None


def _again(snapshot: Snapshot) -> tuple[str, str]:
    """For what a Workflow took from the template when it started."""
    return f"{snapshot.command} stop {snapshot.run}", snapshot.retry


def _smaller(snapshot: Snapshot) -> str:
    """The same as retry, with smaller shards."""
    whose = f"--municipality {shlex.quote(snapshot.municipality)}"
    return f"{snapshot.command} submit {whose} --run {snapshot.run} --shard-size 100"


def quota(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The namespace may have no more pods, CPU or memory."""
    if found := UNNAMED.search(attempt.spoken.message):
        what = f"ResourceQuota {found[1]} asks every container for what those of step {attempt.step} do not name"
        sign = Sign("failed quota", found[2], attempt.spoken.time)
        values = f"{snapshot.command} doctor  # shows which value of the chart names it, and then"
        return Diagnosis("quota", what, seen(attempt, sign), (values, *_again(snapshot)))
    if not (found := QUOTA.search(attempt.spoken.message)):
        return None
    what = f"ResourceQuota {found[1]} of namespace {snapshot.namespace} is used up"
    sign = Sign("exceeded quota", found[2], attempt.spoken.time)
    mend = (f"{snapshot.kubectl} describe resourcequota {found[1]}  # pods start as soon as it leaves room",)
    return Diagnosis("quota", what, seen(attempt, sign), mend)


def forbidden(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The cluster refuses the pod as it is: Pod Security, a LimitRange, an admission webhook."""
    if not (found := FORBIDDEN.search(attempt.spoken.message)):
        return None
    sign = Sign("forbidden", found[1], attempt.spoken.time)
    what = f"namespace {snapshot.namespace} does not admit pods of step {attempt.step}"
    mend = (f"{snapshot.kubectl} describe limitranges,resourcequotas", f"{snapshot.helm()}  # with values that fit")
    return Diagnosis("forbidden", what, seen(attempt, sign), mend)


def node_gone(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The machine that the pod runs on does not answer any more, or is no longer of the cluster."""
    name = attempt.machine
    if not name or not snapshot.nodes:
        return None
    found = next((node for node in snapshot.nodes if node["metadata"]["name"] == name), None)
    if found is None:
        mend = f"{snapshot.kubectl} get pods -l imgflow.io/run={snapshot.run} -o wide  # others take over"
        what = f"node {name} is no longer of this cluster"
        return Diagnosis("node-gone", what, seen(attempt, attempt.spoken), (mend,))
    ready: Document = next((c for c in found["status"].get("conditions", ()) if c["type"] == "Ready"), {})
    if ready.get("status") == "True":
        return None
    sign = Sign(ready.get("reason", ""), ready.get("message", ""), ready.get("lastTransitionTime", ""))
    mends = (
        f"kubectl describe node {name}  # start it again: its pods continue or are replaced",
        f"kubectl taint node {name} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute  # if lost for good",
    )
    return Diagnosis("node-gone", f"node {name} does not answer", seen(attempt, sign), mends)


def evicted(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The pod was told to leave its node: too much disk or memory, a drain, a more important pod."""
    signs = [sign for kind, status, sign in attempt.conditions() if kind == "DisruptionTarget" and status == "True"]
    if attempt.status.get("reason") == "Evicted":
        signs.insert(0, Sign("Evicted", attempt.status.get("message", ""), ""))
    signs += filter(None, [attempt.event("Evicted", "Preempted", "TaintManagerEviction")])
    if not signs:
        return None
    time = next((sign.time for sign in signs if sign.time), attempt.spoken.time)
    what = f"pods of step {attempt.step} were evicted from their node ({signs[0].reason})"
    mend = (f"kubectl describe node {attempt.machine or 'NODE'}  # short of disk or memory, or being drained?",)
    if size := re.search(r'EmptyDir volume "([^"]+)"', signs[0].message):
        mend = (f"{_smaller(snapshot)}  # volume {size[1]} was too small for so large a shard",)
    return Diagnosis("evicted", what, seen(attempt, Sign(signs[0].reason, signs[0].message, time)), mend)


def out_of_memory(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """A container needed more memory than its limit."""
    signs = [sign for _, sign in attempt.ended() if sign.reason == "OOMKilled"]
    if not signs and "OOMKilled" in attempt.spoken.message:
        signs = [attempt.spoken]
    if not signs:
        return None
    spec = attempt.pod.get("spec", {}).get("containers", ())
    limit = next((c.get("resources", {}).get("limits", {}).get("memory") for c in spec if c["name"] == "main"), None)
    has = f" of {limit}" if limit else ""
    what = f"pods of step {attempt.step} need more memory than their limit{has}"
    more = snapshot.helm(f"steps.{attempt.step}.resources.limits.memory={_twice(limit) if limit else '…'}")
    mend = (f"{more}  # for runs that start from now on", snapshot.retry)
    sign = Sign("OOMKilled", signs[0].message or attempt.spoken.message, signs[0].time)
    return Diagnosis("out-of-memory", what, seen(attempt, sign), mend)


def _twice(quantity: str) -> str:
    number = re.match(r"[0-9.]+", quantity)
    return f"{float(number[0]) * 2:g}{quantity[number.end() :]}" if number else "…"


def deadline(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The pod took longer than it may."""
    own = Sign(attempt.status.get("reason", ""), attempt.status.get("message", ""), attempt.spoken.time)
    for sign in (own, attempt.spoken):
        if DEADLINE.search(f"{sign.reason} {sign.message}"):
            what = f"pods of step {attempt.step} took longer than they may"
            mend = (snapshot.retry, f"{_smaller(snapshot)}  # or with fewer images to a shard")
            return Diagnosis("deadline", what, seen(attempt, Sign("DeadlineExceeded", sign.message, sign.time)), mend)
    return None


def deleted(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """Somebody deleted the pod, and nobody says why.

    Argo says so only where it looks after the pod is gone; else it saw how the containers ended when told to.
    """
    killed = attempt.event("Killing")
    told_to_end = killed and attempt.node.get("phase") in {"Failed", "Error"}
    if not (told_to_end or DELETED.search(attempt.spoken.message)):
        return None
    what = f"pods of step {attempt.step} were deleted while they ran: by hand, or by a drain of their node"
    said = Sign("pod deleted", killed.message if killed else attempt.spoken.message, attempt.spoken.time)
    mend = (f"{snapshot.retry}  # does what they left",)
    return Diagnosis("pod-deleted", what, seen(attempt, said), mend)


def semaphore(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The ConfigMap imgflow-limits lets no pod of the step start, or others have taken all places."""
    said = attempt.spoken
    if not (found := LOCK.search(said.message) or NO_LOCK.search(said.message)):
        return None
    name, step = found[1], found[2]
    limit = snapshot.limits.get(step, "") if name == "imgflow-limits" else ""
    edit = f"{snapshot.kubectl} edit configmap {name}  # takes effect at once"
    if limit == "0":
        what = f"ConfigMap {name} lets no pod of step {step} start: its limit is 0"
        return Diagnosis("semaphore", what, seen(attempt, said), (edit,))
    if NO_LOCK.search(said.message):
        what = f"Argo finds no limit of step {step} in ConfigMap {name}: it is missing, no number, or 0"
        return Diagnosis("semaphore", what, seen(attempt, said), (edit, snapshot.retry))
    holds = any(other.step == step and other.pod for other in snapshot.attempts)
    if holds or snapshot.time - seconds(said.time) < PATIENCE:
        return None
    what = f"other runs have all {limit} places that ConfigMap {name} gives step {step}"
    mend = (f"{snapshot.kubectl} get pods -L imgflow.io/run -l imgflow.io/step={step}  # whose they are", edit)
    return Diagnosis("semaphore", what, seen(attempt, said), mend)


def container_failed(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """A container ended with an error that is none of those above."""
    for code, sign in attempt.ended():
        if code in ABOUT_IMAGES and attempt.step == "collect":
            return None
        logs = f"{snapshot.command} logs {snapshot.run} --step {attempt.step} --failed"
        if OTHER_IMGFLOW in sign.message:
            what = f"containers of step {attempt.step} are of another imgflow than who submitted the run"
            same = f"{snapshot.helm('containers.tag=…')}  # the one of this imgflow, and then"
            return Diagnosis("container-image", what, seen(attempt, sign), (same, *_again(snapshot)))
        if code == Exit.BAD_PARAMETERS:
            what = f"step {attempt.step} refuses its parameters"
            again = f"{snapshot.command} submit …  # with others: this run can never work"
            return Diagnosis("bad-parameters", what, seen(attempt, sign), (again,))
        what = f"containers of step {attempt.step} ended with exit code {code}"
        return Diagnosis("container-failed", what, seen(attempt, sign), (logs, snapshot.retry))
    return None


def not_started(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """A container that waits for a reason that is none of those above."""
    for image, sign in attempt.waiting():
        if sign.reason not in {"PodInitializing", "ContainerCreating", ""}:
            what = f"containers of step {attempt.step} cannot start: {sign.reason}"
            mend = (f"{snapshot.kubectl} describe pod {attempt.name}  # {image}",)
            return Diagnosis("container-not-started", what, seen(attempt, sign), mend)
    return None


def failed(attempt: Attempt, snapshot: Snapshot) -> Diagnosis | None:
    """The Workflow says no more than that it failed."""
    said = attempt.spoken
    if attempt.node.get("phase") not in {"Failed", "Error"}:
        return None
    if attempt.step == "collect" and VERDICT.search(said.message):
        return None
    if said.message == FORGOTTEN and not attempt.pod:
        what = f"Argo could not create pods of step {attempt.step}, and no longer says why"
        look = (
            f"kubectl -n argo logs deployment/workflow-controller | grep 'Failed to create pod' | grep {snapshot.run}"
        )
        return Diagnosis("pod-failed", what, seen(attempt, said), (look,))
    what = f"pods of step {attempt.step} failed"
    mend = (f"{snapshot.command} logs {snapshot.run} --step {attempt.step} --failed", snapshot.retry)
    return Diagnosis("pod-failed", what, seen(attempt, said), mend)


CAUSES: tuple[Cause, ...] = (
    missing_object,
    store_trouble,
    container_image,
    quota,
    forbidden,
    node_gone,
    unschedulable,
    evicted,
    out_of_memory,
    deadline,
    deleted,
    semaphore,
    container_failed,
    not_started,
    failed,
)
