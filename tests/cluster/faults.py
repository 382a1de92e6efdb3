"""What can be wrong with a run, each produced by one change to its Workflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

Document = dict[str, Any]
Change = Callable[[Document], None]  # of a Workflow that carries its own spec
SLEEP = "sleep 1800"  # longer than all tests of this file take, also where one waits in vain


@dataclass(frozen=True)
class Fault:
    """What to change, and what the doctor has to find: the first cause, and words of its sentence or evidence."""

    cause: str
    words: tuple[str, ...]
    change: Change
    act: str = ""  # what is done when the first pod runs, or the run has ended; see test_doctor
    params: dict[str, str] = field(default_factory=dict)  # for a run that is started without imgflow
    images: int = 0  # photographs that it has, the last one broken


def leaf(workflow: Document, step: str = "list") -> Document:
    found: Document = next(t for t in workflow["spec"]["templates"] if t["name"] == step)
    return found


def container(workflow: Document, **changes: Any) -> None:
    leaf(workflow)["container"].update(changes)


def environment(workflow: Document, **values: str) -> None:
    there = leaf(workflow)["container"].setdefault("env", [])
    leaf(workflow)["container"]["env"] = [
        *(one for one in there if one["name"] not in values),
        *({"name": name, "value": value} for name, value in values.items()),
    ]


def asks(workflow: Document, name: str, amount: str) -> None:
    container(workflow, resources={"requests": {name: amount}, "limits": {name: amount}})


def store(workflow: Document, kind: str, name: str) -> None:
    kinds = {"configMapRef": 0, "secretRef": 1}
    leaf(workflow)["container"]["envFrom"][kinds[kind]] = {kind: {"name": name}}


def other_store(workflow: Document) -> None:
    """All pods use a store that is not the client's."""
    for template in workflow["spec"]["templates"]:
        if "container" in template:
            template["container"]["envFrom"][0] = {"configMapRef": {"name": "other-store"}}


def repository(workflow: Document, config_map: str, key: str) -> None:
    workflow["spec"]["artifactRepositoryRef"] = {"configMap": config_map, "key": key}


def no_label(workflow: Document) -> None:
    workflow["spec"].setdefault("workflowMetadata", {})["labelsFrom"] = {"x": {"expression": "nobody()"}}


def semaphore(workflow: Document, config_map: str) -> None:
    leaf(workflow)["synchronization"]["semaphores"][0]["configMapKeyRef"]["name"] = config_map


def hurried(workflow: Document) -> None:
    """Nothing is tried more than twice, nothing is done at the end, and no run waits for another one's places."""
    del workflow["spec"]["onExit"]
    for template in workflow["spec"]["templates"]:
        if "container" in template:
            template["synchronization"]["semaphores"][0]["configMapKeyRef"]["name"] = "wide-limits"
            template["retryStrategy"]["limit"] = 1 if template["name"] == "list" else 0


def small_volume(workflow: Document) -> None:
    workflow["spec"]["volumes"] = [
        {**volume, "emptyDir": {"sizeLimit": "1Mi"}} if volume["name"] == "data" else volume
        for volume in workflow["spec"]["volumes"]
    ]
    container(workflow, command=["sh", "-c", f"head -c 20000000 /dev/zero > /data/filled; {SLEEP}"], args=[])


def sleeps(workflow: Document) -> None:
    container(workflow, command=SLEEP.split(), args=[])


def stays(workflow: Document) -> None:
    """A pod that is told to leave its node does so only when its grace period is over, and is to be seen until then."""
    container(workflow, command=["sh", "-c", f"trap '' TERM; exec {SLEEP}"], args=[])


def often(workflow: Document) -> None:
    """Of attempts without a pod Argo soon forgets why all but the last ones failed."""
    leaf(workflow)["retryStrategy"]["limit"] = 5


def no_account(workflow: Document) -> None:
    often(workflow)
    workflow["spec"]["serviceAccountName"] = "gone"


def privileged(workflow: Document) -> None:
    often(workflow)
    leaf(workflow)["container"]["securityContext"] = {"allowPrivilegeEscalation": True}


def short(workflow: Document) -> None:
    sleeps(workflow)
    leaf(workflow)["activeDeadlineSeconds"] = 5


def quota(workflow: Document) -> None:
    workflow["spec"]["podPriorityClassName"] = workflow["metadata"]["namespace"]  # has a quota of its own


def unnamed(workflow: Document) -> None:
    """Argo's own containers name no limits, in a class of pods whose quota asks for some."""
    often(workflow)
    spec = workflow["spec"]
    spec["podPriorityClassName"] = f"{workflow['metadata']['namespace']}-limits"
    patch = yaml.safe_load(spec["podSpecPatch"])
    for one in (*patch["initContainers"], *patch["containers"]):
        del one["resources"]
    spec["podSpecPatch"] = yaml.safe_dump(patch)


def unseen(workflow: Document) -> None:
    workflow["metadata"]["labels"]["workflows.argoproj.io/controller-instanceid"] = "nobody"


def postpones(workflow: Document) -> None:
    leaf(workflow)["container"]["volumeMounts"].append(
        {"name": "data", "mountPath": "/more", "subPathExpr": "$(NOBODY_SETS_THIS)"}
    )


def shard_fails(workflow: Document) -> None:
    fused = leaf(workflow, "fused")
    fused["container"].update(command=["sh", "-c", "exit 3"], args=[])


def loses_a_photograph(workflow: Document) -> None:
    """A photograph goes after it was listed and before it is read."""
    fused = leaf(workflow, "fused")["container"]
    lose = "open_store(os.environ['IMGFLOW_STORE']).delete(['datasets/photograph-gone/images/1.jpg'])"
    program = f"import os; from imgflow_steps.store import open_store; {lose}"
    fused["args"] = ["-c", f'python -c "{program}" && exec python -m imgflow_steps "$@"', "sh", *fused["args"]]
    fused["command"] = ["sh"]


def elsewhere(workflow: Document) -> None:
    arguments = leaf(workflow)["container"]["args"]
    arguments[-1] = "--output=/tmp/out"


FAULTS = {
    "image-never-there": Fault(
        "container-image",
        ("localhost/imgflow-list:nope", "cannot be pulled"),
        lambda w: container(w, image="localhost/imgflow-list:nope", imagePullPolicy="Always"),
    ),
    "image-never-pulled": Fault(
        "container-image",
        ("localhost/imgflow-list:nope", "never pulled"),
        lambda w: container(w, image="localhost/imgflow-list:nope", imagePullPolicy="Never"),
    ),
    "no-secret": Fault("missing-object", ("Secret gone-s3",), lambda w: store(w, "secretRef", "gone-s3")),
    "no-config-map": Fault("missing-object", ("ConfigMap gone",), lambda w: store(w, "configMapRef", "gone")),
    "no-secret-for-artifacts": Fault(
        "missing-object", ("Secret gone-s3",), lambda w: repository(w, "sick-repositories", "gone")
    ),
    "no-limits": Fault("semaphore", ("ConfigMap gone-limits", "missing"), lambda w: semaphore(w, "gone-limits")),
    "no-service-account": Fault("missing-object", ("ServiceAccount gone",), no_account),
    "wrong-keys": Fault("wrong-credentials", ("InvalidAccessKeyId",), lambda w: store(w, "secretRef", "wrong-s3")),
    "wrong-secret-key": Fault(
        "wrong-credentials", ("signature we calculated",), lambda w: store(w, "secretRef", "mistyped-s3")
    ),
    "anonymous": Fault("denied", ("AccessDenied",), lambda w: store(w, "secretRef", "nobody-s3")),
    "no-bucket": Fault("no-bucket", ("NoSuchBucket",), lambda w: store(w, "configMapRef", "no-bucket")),
    "store-away": Fault(
        "store-away",
        ("127.0.0.1:1",),
        lambda w: environment(w, AWS_ENDPOINT_URL="http://127.0.0.1:1", IMGFLOW_STORE_PATIENCE="0"),
    ),
    "too-much-memory": Fault(
        "unschedulable", ("no node is large enough", "memory"), lambda w: asks(w, "memory", "9Ti")
    ),
    "too-many-cores": Fault(
        "unschedulable", ("no node is large enough", "cpu (500 + 10m each)"), lambda w: asks(w, "cpu", "500")
    ),
    "run-document-spoilt": Fault("store-error", ("cannot be read",), sleeps, act="spoil"),
    "no-gpu": Fault("unschedulable", ("nvidia.com/gpu",), lambda w: asks(w, "nvidia.com/gpu", "1")),
    "no-such-node": Fault(
        "unschedulable", ("nodeSelector",), lambda w: leaf(w).update(nodeSelector={"disk": "made-of-gold"})
    ),
    "out-of-memory": Fault(
        "out-of-memory",
        ("limit of 24Mi", "limits.memory=48Mi"),
        lambda w: container(w, resources={"requests": {"memory": "24Mi"}, "limits": {"cpu": "1", "memory": "24Mi"}}),
    ),
    "volume-full": Fault("evicted", ("Evicted", 'EmptyDir volume "data"'), small_volume),
    "drained": Fault("evicted", ("EvictionByEvictionAPI",), stays, act="evict"),
    "pod-deleted": Fault("pod-deleted", ("pod deleted",), sleeps, act="delete"),
    "deadline": Fault("deadline", ("DeadlineExceeded",), short),
    "quota": Fault("quota", ("ResourceQuota none", "pods=1"), quota),
    "quota-unnamed": Fault("quota", ("ResourceQuota limits", "must specify limits.cpu"), unnamed),
    "not-admitted": Fault("forbidden", ("restricted",), privileged),
    "no-places": Fault(
        "semaphore", ("ConfigMap imgflow-limits", "its limit is 0"), lambda w: semaphore(w, "imgflow-limits")
    ),
    "no-controller": Fault("controller-silent", ("has not begun",), unseen),
    "wrong-parameters": Fault(
        "bad-parameters", ("step list refuses its parameters",), lambda w: None, params={"max-rejected": "half"}
    ),
    "container-config": Fault("container-not-started", ("CreateContainerConfigError",), postpones),
    "no-output": Fault("container-failed", ("exit code 64", "steps-count"), elsewhere),
    "forgotten": Fault(
        "pod-failed",
        ("pods of step list failed", "exit code 3"),
        lambda w: container(w, command=["sh", "-c", "exit 3"], args=[]),
        act="forget pods",
    ),
    "suspended": Fault("suspended", ("suspended", "retry sick-suspended"), sleeps, act="suspend"),
    "workflow-gone": Fault("interrupted", ("Workflow is gone", "retry sick-workflow-gone"), sleeps, act="remove"),
    "stopped": Fault("interrupted", ("was stopped",), sleeps, act="stop"),
    "shard-failed": Fault("container-failed", ("step fused ended with exit code 3",), shard_fails, images=2),
    "shard-lost": Fault("shard-lost", ("without a verdict",), shard_fails, act="forget run", images=2),
    "photograph-gone": Fault("images-failed", ("1 image failed: gone",), loses_a_photograph, images=3),
    "broken-photograph": Fault(
        "too-many-rejected", ("unsupported-format: 1 image",), lambda w: None, params={"max-rejected": "0"}, images=2
    ),
    "exit-code": Fault(
        "container-failed", ("exit code 3",), lambda w: container(w, command=["sh", "-c", "exit 3"], args=[])
    ),
    "no-repository": Fault(
        "missing-object",
        ("ConfigMap artifact-repositories", "nobody"),
        lambda w: repository(w, "artifact-repositories", "nobody"),
    ),
    "no-label": Fault("workflow-error", ("nobody",), no_label),
    "store-emptied": Fault("store-emptied", ("has nothing of this run",), lambda w: None, act="empty store", images=2),
    "other-store": Fault("other-store", ("another store", "no listing"), other_store),
    "silent": Fault("stuck", ("nothing was heard",), sleeps),
}
