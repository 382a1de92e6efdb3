"""Whether a namespace of a cluster has all that a run needs: pure functions over what was read of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from imgflow_steps import __version__
from imgflow_steps.infer import CUDA
from imgflow_steps.pipeline.registry import PIXEL_STEPS
from imgflow_workflows.argo import DIGEST, options_of, workflow_template
from imgflow_workflows.argo.options import NAME, patched
from imgflow_workflows.doctor.checks import Check, State
from imgflow_workflows.doctor.quotas import refusals
from imgflow_workflows.doctor.rights import refused
from imgflow_workflows.submit.default import DEFAULT
from imgflow_workflows.text import counted

Document = dict[str, Any]

KINDS = {"workflows", "workflowtemplates", "cronworkflows", "workflowtaskresults"}  # of Argo, that imgflow uses
OLDEST = (4, 0, 2)  # Argo Workflows
INSTALL = (
    "kubectl apply --server-side -n argo -f"
    " https://github.com/argoproj/argo-workflows/releases/download/v4.0.2/install.yaml"
)
LENT = "imgflow.io/credentials"  # of the Secret: what it holds instead of keys
VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
REPOSITORIES, ENDPOINT = "artifact-repositories", "AWS_ENDPOINT_URL"
PERSISTENCE = "imgflow.io/persistence"  # annotation of ConfigMap imgflow-store: on what the chart's MinIO keeps it
SHOWN = 3  # differences that are told
IMAGES_PER_NODE = 50  # container images that a node tells of at most, the largest; kubelet's nodeStatusMaxImages


@dataclass(frozen=True)
class Site:
    """A namespace as it was read: documents by name, None for what is not there, and why others could not be read."""

    namespace: str
    documents: Mapping[str, Document | None] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    rights: Mapping[str, bool] = field(default_factory=dict)  # see rights.RIGHTS
    service_account_may: bool | None = None  # report to Argo; None where nobody may ask

    def get(self, name: str) -> Document | None:
        """A document, or None when it is not there or could not be read."""
        return self.documents.get(name)

    @property
    def helm(self) -> str:
        """The command that brings the chart of this imgflow, with the values that it has now."""
        return f"helm upgrade --install imgflow charts/imgflow -n {self.namespace} --create-namespace --reuse-values"


def checks(site: Site) -> list[Check]:
    """All checks. What could not be read is unknown, with the reason."""
    found = []
    for name, (needs, check) in CHECKS.items():
        why = next((site.unread[need] for need in needs if need in site.unread), "")
        if name in OF_CHART and not why and site.get("store") is None:
            why = "comes with the chart"
        found.append(Check(name, State.UNKNOWN, why) if why else check(name, site))
    return found


def cluster(name: str, site: Site) -> Check:
    """That it answers, and which version it is."""
    version = site.get("version") or {}
    return Check(name, State.OK, f"Kubernetes {version.get('gitVersion', '')}")


def argo(name: str, site: Site) -> Check:
    """Argo Workflows' kinds are known."""
    known = {one["name"] for one in (site.get("kinds") or {}).get("resources", ())}
    if missing := sorted(KINDS - known):
        return Check(name, State.WRONG, f"the cluster does not know {', '.join(missing)} of argoproj.io", INSTALL)
    return Check(name, State.OK, "workflows, templates, schedules and task results are known")


def controller(name: str, site: Site) -> Check:
    """Argo's controller runs, and is of a version that was tried."""
    every = (site.get("deployments") or {}).get("items", [])
    found = [one for one in every if one["metadata"]["name"].endswith("workflow-controller")]
    if not found:
        return Check(name, State.WRONG, "there is no Deployment workflow-controller", INSTALL)
    metadata, spec, status = found[0]["metadata"], found[0]["spec"], found[0].get("status", {})
    image = spec["template"]["spec"]["containers"][0]["image"]
    where = f"{metadata['namespace']}/{metadata['name']} ({image})"
    if not status.get("availableReplicas"):
        why = f"kubectl -n {metadata['namespace']} get pods  # why it does not run"
        return Check(name, State.WRONG, f"{where} has no pod that is available", why)
    if number := re.search(r":v?(\d+)\.(\d+)\.(\d+)", image):
        if tuple(map(int, number.groups())) < OLDEST:
            return Check(name, State.WARNING, f"{where} is older than {'.'.join(map(str, OLDEST))}", INSTALL)
        return Check(name, State.OK, f"{where} is available")
    return Check(name, State.OK, f"{where} is available; its version is not told")


def namespace(name: str, site: Site) -> Check:
    """It is there."""
    if site.get("namespace") is None:
        return Check(
            name, State.WRONG, f"there is no namespace {site.namespace}", site.helm.replace(" --reuse-values", "")
        )
    return Check(name, State.OK, site.namespace)


def chart(name: str, site: Site) -> Check:
    """The chart is installed, and is the one of this imgflow."""
    store = site.get("store")
    if store is None:
        mend = f"helm install imgflow charts/imgflow -n {site.namespace} --create-namespace"
        return Check(name, State.WRONG, f"namespace {site.namespace} has no ConfigMap imgflow-store", mend)
    version = store["metadata"].get("labels", {}).get("helm.sh/chart", "").removeprefix("imgflow-")
    if version != __version__:
        seen = f"the chart is {version or 'of no version'}, imgflow is {__version__}"
        return Check(name, State.WARNING, seen, site.helm)
    return Check(name, State.OK, f"imgflow-{version}, with the store {store.get('data', {}).get('IMGFLOW_STORE', '')}")


def persistence(name: str, site: Site) -> Check:
    """What is in the store outlives a pod."""
    kind = (site.get("store") or {}).get("metadata", {}).get("annotations", {}).get(PERSISTENCE, "")
    if kind == "emptyDir":
        seen = "the chart's MinIO keeps everything in an emptyDir: all photographs and results go with its pod"
        mend = f"{site.helm} --set minio.persistence.type=pvc  # before there is anything in it, or another S3 server"
        return Check(name, State.WARNING, seen, mend)
    return Check(name, State.OK, f"the chart's MinIO keeps it on a {kind}" if kind else "the store is not the chart's")


def template(name: str, site: Site) -> Check:
    """The WorkflowTemplate is what this imgflow renders, apart from what values of the chart decide."""
    there = site.get("template")
    if there is None:
        return Check(name, State.WRONG, f"namespace {site.namespace} has no WorkflowTemplate imgflow", site.helm)
    if there["metadata"].get("annotations", {}).get(DIGEST) != DEFAULT.digest:
        return Check(
            name, State.WARNING, "WorkflowTemplate imgflow holds another pipeline than this imgflow's", site.helm
        )
    found = list(differences(workflow_template(DEFAULT, options_of(there))["spec"], there["spec"]))
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        seen = f"WorkflowTemplate imgflow is not what this imgflow renders: {', '.join(found[:SHOWN])}{more}"
        return Check(name, State.WARNING, seen, site.helm)
    return Check(name, State.OK, "WorkflowTemplate imgflow is what this imgflow renders")


def differences(ours: Any, theirs: Any, path: str = "spec") -> Iterator[str]:
    """Where two documents differ; items of lists that have names are compared by them."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            one, other = (patched(side) if key == "podSpecPatch" else side.get(key) for side in (ours, theirs))
            yield from differences(one, other, f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and _named(ours) and _named(theirs):
        yield from differences({item["name"]: item for item in ours}, {item["name"]: item for item in theirs}, path)
    elif ours != theirs and str(ours) != str(theirs):  # a quantity may be a number or a text
        yield path


def _named(items: list[Any]) -> bool:
    return all(isinstance(item, dict) and "name" in item for item in items)


def container_images(name: str, site: Site) -> Check:
    """The container images that the template names are on every node, where the nodes tell."""
    there = site.get("template")
    if there is None:
        return Check(name, State.UNKNOWN, "there is no WorkflowTemplate that names any")
    wanted = sorted({leaf["container"]["image"] for leaf in there["spec"]["templates"] if "container" in leaf})
    nodes = (site.get("nodes") or {}).get("items", [])
    told = [node["status"].get("images", ()) for node in nodes]
    held = [{n for image in images for n in image.get("names") or ()} for images in told]
    lacking = {image: sum(image not in names for names in held) for image in wanted}
    if not any(lacking.values()):
        return Check(name, State.OK, f"{_several(wanted)} on each of {len(nodes)} nodes")
    missing = [image for image, count in lacking.items() if count]
    seen = f"{_several(missing)} not on each of {len(nodes)} nodes"
    prefix, tag = options_of(there).prefix, options_of(there).tag
    if any(
        len(images) >= IMAGES_PER_NODE and not names.issuperset(wanted)
        for images, names in zip(told, held, strict=True)
    ):
        return Check(
            name, State.UNKNOWN, f"{seen}, as far as they tell; a node names {IMAGES_PER_NODE} container images at most"
        )
    if prefix.startswith("localhost/"):
        load = f"PREFIX={prefix} TAG={tag} images/load"
        return Check(name, State.WRONG, f"{seen}, and no registry has them", f"{load}  # images/build makes them")
    return Check(name, State.UNKNOWN, f"{seen}; whether they can be pulled shows when a pod starts")


def _several(images: list[str]) -> str:
    return f"{images[0]} and {len(images) - 1} more" if len(images) > 1 else images[0]


def credentials(name: str, site: Site) -> Check:
    """The Secret holds both keys; whether they are right, the check of the store says."""
    mend = f"kubectl -n {site.namespace} create secret generic imgflow-s3" + "".join(
        f" --from-literal={variable}=…" for variable in VARIABLES
    )
    secret = site.get("secret")
    if secret is None:
        return Check(name, State.WRONG, f"namespace {site.namespace} has no Secret imgflow-s3", mend)
    if secret.get("metadata", {}).get("annotations", {}).get(LENT) == "web-identity":
        return Check(name, State.OK, "pods get keys from the role of service account imgflow")
    if missing := [variable for variable in VARIABLES if not secret.get("data", {}).get(variable)]:
        edit = f"kubectl -n {site.namespace} edit secret imgflow-s3"
        return Check(name, State.WRONG, f"Secret imgflow-s3 has no {' and no '.join(missing)}", edit)
    return Check(name, State.OK, "Secret imgflow-s3 has both keys")


def service_account(name: str, site: Site) -> Check:
    """Pods run as a service account that may report to Argo."""
    if site.get("account") is None:
        return Check(name, State.WRONG, f"namespace {site.namespace} has no ServiceAccount imgflow", site.helm)
    if site.service_account_may is False:
        return Check(name, State.WRONG, "ServiceAccount imgflow may not create workflowtaskresults", site.helm)
    if site.service_account_may is None:
        return Check(name, State.OK, "ServiceAccount imgflow is there; what it may do, you may not ask")
    return Check(name, State.OK, "ServiceAccount imgflow may report to Argo")


def limits(name: str, site: Site) -> Check:
    """Every step has a number of pods that may run at once."""
    found = site.get("limits")
    if found is None:
        return Check(name, State.WRONG, f"namespace {site.namespace} has no ConfigMap imgflow-limits", site.helm)
    data = found.get("data", {})
    steps = (
        "list",
        *dict.fromkeys(step.home for step in PIXEL_STEPS.values()),
        "fused",
        CUDA,
        "collect",
    )
    edit = f"kubectl -n {site.namespace} edit configmap imgflow-limits"
    if bad := [step for step in steps if not data.get(step, "").isdigit()]:
        return Check(name, State.WRONG, f"ConfigMap imgflow-limits has no number for {', '.join(bad)}", edit)
    if held := [step for step in steps if int(data[step]) == 0]:
        return Check(name, State.WARNING, f"no pods of {', '.join(held)} start: their limit is 0", edit)
    return Check(name, State.OK, ", ".join(f"{step} {data[step]}" for step in steps))


def artifacts(name: str, site: Site) -> Check:
    """Argo finds where artifacts and logs go, and it is the bucket that imgflow uses."""
    found = site.get("artifacts")
    told = (found or {}).get("data", {}).get(NAME)
    if told is None:
        lacks = f"ConfigMap {REPOSITORIES} has no key {NAME}" if found else f"there is no ConfigMap {REPOSITORIES}"
        return Check(name, State.WRONG, f"{lacks}: Argo has nowhere to keep artifacts, and no run begins", site.helm)
    kept: Document = yaml.safe_load(told).get("s3", {})
    store = (site.get("store") or {}).get("data", {})
    bucket = store.get("IMGFLOW_STORE", "").removeprefix("s3://").partition("/")[0]
    theirs, ours = (kept.get("bucket"), kept.get("endpoint")), (bucket, urlsplit(store.get(ENDPOINT, "")).netloc)
    where = "bucket {} of {}".format(*theirs)
    if theirs != ours:
        seen = f"Argo keeps artifacts in {where}, and the store is {'bucket {} of {}'.format(*ours)}"
        return Check(name, State.WRONG, seen, site.helm)
    return Check(name, State.OK, f"Argo keeps artifacts and logs in {where}")


def quotas(name: str, site: Site) -> Check:
    """The namespace's quotas and limit ranges admit pods of every step."""
    there = site.get("template")
    if there is None:
        return Check(name, State.UNKNOWN, "there is no WorkflowTemplate that describes any pods")
    held, ranges = ((site.get(kind) or {}).get("items", []) for kind in ("quotas", "ranges"))
    found = refusals(there, held, ranges)
    if not found:
        count = f"{counted(len(held), 'ResourceQuota')} and {counted(len(ranges), 'LimitRange')}"
        return Check(name, State.OK, f"{count} admit pods of every step")
    first, more = found[0], f"; and {len(found) - 1} more" if len(found) > 1 else ""
    look = f"kubectl -n {site.namespace} describe resourcequotas,limitranges"
    mend = f"{site.helm} --set {first.value}=…  # or ask whoever set them: {look}" if first.value else look
    return Check(name, State.WRONG if first.never else State.WARNING, f"{first.what}{more}", mend)


def rights(name: str, site: Site) -> Check:
    """Whoever asks may do what imgflow does."""
    return refused(name, site.namespace, site.rights)


OF_CHART = {
    "persistence",
    "template",
    "container images",
    "credentials",
    "service account",
    "limits",
    "artifacts",
    "quotas",
}
CHECKS: dict[str, tuple[tuple[str, ...], Callable[[str, Site], Check]]] = {
    "cluster": (("version",), cluster),
    "argo": (("kinds",), argo),
    "controller": (("deployments",), controller),
    "rights": (("rights",), rights),
    "namespace": (("namespace",), namespace),
    "chart": (("store",), chart),
    "persistence": (("store",), persistence),
    "template": (("template",), template),
    "container images": (("template", "nodes"), container_images),
    "credentials": (("secret",), credentials),
    "service account": (("account",), service_account),
    "limits": (("limits",), limits),
    "artifacts": (("artifacts",), artifacts),
    "quotas": (("template", "quotas", "ranges"), quotas),
}
