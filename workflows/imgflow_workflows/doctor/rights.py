"""What imgflow asks of a cluster on its user's behalf, as rights in a namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from imgflow_workflows.argo.options import NAME
from imgflow_workflows.doctor.checks import Check, State


class Right(NamedTuple):
    """A verb on a resource, and what imgflow needs it for; without a vital one no run can be started.

    ``object`` is the one that it is about, "" where it is about all. A Role may name objects, and whoever asks about
    all of them is then told no.
    """

    verb: str
    group: str
    resource: str
    use: str
    vital: bool = False
    object: str = ""

    @property
    def name(self) -> str:
        """As ``kubectl auth can-i`` spells it."""
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "") + f"/{self.object}".rstrip("/")

    @property
    def attributes(self) -> dict[str, str]:
        """As a review of it asks, but for the namespace."""
        resource, _, subresource = self.resource.partition("/")
        narrower = {"subresource": subresource, "name": self.object}
        named = {key: value for key, value in narrower.items() if value}
        return {"verb": self.verb, "group": self.group, "resource": resource, **named}


ARGO = "argoproj.io"
RIGHTS = (
    Right("get", ARGO, "workflowtemplates", "submit", vital=True, object=NAME),
    Right("create", ARGO, "workflows", "submit", vital=True),
    Right("get", ARGO, "workflows", "watch", vital=True),
    Right("patch", ARGO, "workflows", "stop"),
    Right("delete", ARGO, "workflows", "retry"),
    Right("create", ARGO, "cronworkflows", "submit --cron"),
    Right("get", ARGO, "cronworkflows", "submit --cron"),
    Right("update", ARGO, "cronworkflows", "submit --cron"),
    Right("list", ARGO, "cronworkflows", "prune"),
    Right("deletecollection", ARGO, "workflowtaskresults", "retry"),
    Right("get", "", "configmaps", "finding the store", object="imgflow-store"),
    Right("get", "", "configmaps", "doctor", object="imgflow-limits"),
    Right("get", "", "configmaps", "doctor", object="artifact-repositories"),
    Right("get", "", "secrets", "finding the store's credentials", object="imgflow-s3"),
    Right("get", "", "serviceaccounts", "doctor", object=NAME),
    Right("list", "", "resourcequotas", "doctor"),
    Right("list", "", "limitranges", "doctor"),
    Right("get", "", "services", "a store inside the cluster"),
    Right("list", "discovery.k8s.io", "endpointslices", "a store inside the cluster"),
    Right("create", "", "pods/portforward", "a store inside the cluster"),
    Right("get", "", "pods/portforward", "a store inside the cluster"),
    Right("list", "", "pods", "logs"),
    Right("get", "", "pods/log", "logs"),
    Right("list", "", "events", "doctor RUN"),
)


def refused(name: str, namespace: str, rights: Mapping[str, bool]) -> Check:
    """The check of rights, given which of them there are."""
    lacking = [right for right in RIGHTS if not rights.get(right.name)]
    if not lacking:
        return Check(name, State.OK, f"all {len(RIGHTS)} that imgflow uses in namespace {namespace}")
    state = State.WRONG if any(right.vital for right in lacking) else State.WARNING
    seen = "you may not " + ", ".join(f"{right.name} (for {right.use})" for right in lacking)
    mend = f"kubectl -n {namespace} auth can-i --list  # ask whoever runs the cluster for the rest"
    return Check(name, state, seen, mend)
