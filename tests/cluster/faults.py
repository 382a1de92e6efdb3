"""What can be wrong with a run, each produced by one change to its Workflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]
Change = Callable[[Document], None]  # of a Workflow that carries its own spec
SLEEP = ["sleep", "600"]


@dataclass(frozen=True)
class Fault:
    """What to change, and what the doctor has to find: the first cause, and words of its sentence or evidence."""

    cause: str
    words: tuple[str, ...]
    change: Change
    act: str = ""  # what is done to the first pod of step list when it runs
    params: dict[str, str] = field(default_factory=dict)  # for a run that is started without imgflow


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


def repository(workflow: Document, config_map: str, key: str) -> None:
    workflow["spec"]["artifactRepositoryRef"] = {"configMap": config_map, "key": key}


def semaphore(workflow: Document, config_map: str) -> None:
    leaf(workflow)["synchronization"]["semaphores"][0]["configMapKeyRef"]["name"] = config_map


def small_volume(workflow: Document) -> None:
    workflow["spec"]["volumes"] = [
        {**volume, "emptyDir": {"sizeLimit": "1Mi"}} if volume["name"] == "data" else volume
        for volume in workflow["spec"]["volumes"]
    ]
    container(workflow, command=["sh", "-c", "head -c 20000000 /dev/zero > /data/filled; sleep 600"], args=[])


def sleeps(workflow: Document) -> None:
    container(workflow, command=SLEEP, args=[])


def privileged(workflow: Document) -> None:
    leaf(workflow)["container"]["securityContext"] = {"allowPrivilegeEscalation": True}


def short(workflow: Document) -> None:
    sleeps(workflow)
    leaf(workflow)["activeDeadlineSeconds"] = 5


def quota(workflow: Document) -> None:
    workflow["spec"]["podPriorityClassName"] = "imgflow-without-quota"


def unseen(workflow: Document) -> None:
    workflow["metadata"]["labels"]["workflows.argoproj.io/controller-instanceid"] = "nobody"


def postpones(workflow: Document) -> None:
    leaf(workflow)["container"]["volumeMounts"].append(
        {"name": "data", "mountPath": "/more", "subPathExpr": "$(NOBODY_SETS_THIS)"}
    )


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
    "no-limits": Fault("missing-object", ("ConfigMap gone-limits",), lambda w: semaphore(w, "gone-limits")),
    "no-service-account": Fault(
        "missing-object", ("ServiceAccount gone",), lambda w: w["spec"].update(serviceAccountName="gone")
    ),
    "wrong-keys": Fault("wrong-credentials", ("InvalidAccessKeyId",), lambda w: store(w, "secretRef", "wrong-s3")),
    "wrong-secret-key": Fault(
        "wrong-credentials", ("SignatureDoesNotMatch",), lambda w: store(w, "secretRef", "mistyped-s3")
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
        "unschedulable", ("no node is large enough", "cpu (500 each)"), lambda w: asks(w, "cpu", "500")
    ),
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
    "drained": Fault("evicted", ("EvictionByEvictionAPI",), sleeps, act="evict"),
    "pod-deleted": Fault("pod-deleted", ("pod deleted",), sleeps, act="delete"),
    "deadline": Fault("deadline", ("DeadlineExceeded",), short),
    "quota": Fault("quota", ("ResourceQuota none", "pods=1"), quota),
    "not-admitted": Fault("forbidden", ("restricted",), privileged),
    "no-places": Fault("semaphore", ("ConfigMap no-places", "its limit is 0"), lambda w: semaphore(w, "no-places")),
    "no-controller": Fault("controller-silent", ("has not begun",), unseen),
    "wrong-parameters": Fault(
        "bad-parameters", ("step list refuses its parameters",), lambda w: None, params={"max-rejected": "half"}
    ),
    "container-config": Fault("container-not-started", ("CreateContainerConfigError",), postpones),
    "no-output": Fault("pod-failed", ("pods of step list failed",), elsewhere),
    "exit-code": Fault(
        "container-failed", ("exit code 3",), lambda w: container(w, command=["sh", "-c", "exit 3"], args=[])
    ),
    "no-repository": Fault("workflow-error", ("nobody",), lambda w: repository(w, "artifact-repositories", "nobody")),
    "silent": Fault("stuck", ("nothing was heard",), sleeps),
}
