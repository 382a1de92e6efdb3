"""What of a Workflow is the cluster's business: container images, resources, nodes. Data, no hera."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

NAME = "imgflow"  # of the WorkflowTemplate, the pods' service account and the artifact repository's key
STEP_LABEL = "imgflow.io/step"
PLACEMENTS = "imgflow.io/placements"  # annotation: the chart's values of all containers, those of other pipelines too
PART_OF = "app.kubernetes.io/part-of"

Resources = Mapping[str, Mapping[str, str]]

# A Workflow waits for a lost node's pods until they are gone; this has them marked for deletion soon.
NODE_LOST: tuple[Mapping[str, Any], ...] = tuple(
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    for state in ("not-ready", "unreachable")
)
LIGHT: Resources = {
    "requests": {"cpu": "100m", "memory": "256Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}
# One computing process may take as much memory as the pipeline's limits say, 2 GiB by default.
HEAVY: Resources = {
    "requests": {"cpu": "500m", "memory": "512Mi"},
    "limits": {"cpu": "1", "memory": "3Gi"},
}


# Argo's own containers of every pod, init and wait: they move files and compute nothing.
EXECUTOR: Resources = {
    "requests": {"cpu": "10m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "512Mi"},
}


@dataclass(frozen=True, slots=True)
class PodSettings:
    """What the pods of one container ask of the cluster. A CPU limit is also the number of computing processes."""

    resources: Resources = field(default_factory=lambda: HEAVY)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()  # besides those for lost nodes
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """Where container images come from, and what the pods of each ask for; the chart's values say the same."""

    prefix: str = "localhost/imgflow-"
    tag: str = "dev"
    pull_policy: str = "IfNotPresent"
    namespace: str = ""  # "" leaves it to whoever creates the object
    steps: Mapping[str, PodSettings] = field(default_factory=dict)
    at_once: int = 200  # pods of one Workflow; across Workflows the ConfigMap imgflow-limits says how many of each
    executor: Resources = field(default_factory=lambda: EXECUTOR)  # of init and wait; empty leaves it to Argo

    def image(self, container: str) -> str:
        """The container image of a container."""
        return f"{self.prefix}{container}:{self.tag}"

    def placement(self, container: str) -> PodSettings:
        """What a container's pods ask for: as set, else little for list and collect and a core for the rest."""
        default = PodSettings(resources=LIGHT) if container in {"list", "collect"} else PodSettings()
        return self.steps.get(container, default)


def options_of(template: Mapping[str, Any]) -> Options:
    """The options that a WorkflowTemplate in the cluster was rendered with, for another pipeline beside it."""
    spec, metadata = template["spec"], template["metadata"]
    leaves = {leaf["metadata"]["labels"][STEP_LABEL]: leaf for leaf in spec["templates"] if "container" in leaf}
    lister = leaves["list"]["container"]
    repository, _, tag = lister["image"].rpartition(":")
    prefix = repository.removesuffix("list")
    named = {leaf["container"]["image"].removeprefix(prefix).removesuffix(f":{tag}"): leaf for leaf in leaves.values()}
    others = json.loads(metadata.get("annotations", {}).get(PLACEMENTS, "{}"))
    return Options(
        prefix=prefix,
        tag=tag,
        pull_policy=lister.get("imagePullPolicy", "IfNotPresent"),
        namespace=metadata.get("namespace", ""),
        steps={
            **{container: _of_values(values) for container, values in others.items()},
            **{container: _placement(leaf) for container, leaf in named.items()},
        },
        at_once=spec["parallelism"],
        executor=_amounts(_wait(spec).get("resources", {})),
    )


def patched(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a Workflow puts into every pod besides what Argo makes of its fields: a part of a pod's ``spec``."""
    patch: dict[str, Any] = yaml.safe_load(spec.get("podSpecPatch") or "{}")
    return patch


def _wait(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Argo's container that stays with the one that works."""
    return next((one for one in patched(spec).get("containers", ()) if one["name"] == "wait"), {})


def _amounts(resources: Mapping[str, Mapping[str, Any]]) -> Resources:
    """Requests and limits with every amount as text; a value of the chart may be a number."""
    return {kind: {name: str(n) for name, n in amounts.items()} for kind, amounts in resources.items()}


def _of_values(values: Mapping[str, Any]) -> PodSettings:
    """A placement as the chart's values spell it."""
    return PodSettings(
        resources=_amounts(values["resources"]),
        node_selector=values["nodeSelector"],
        tolerations=tuple(values["tolerations"]),
        gpus=values["gpus"],
    )


def _placement(leaf: Mapping[str, Any]) -> PodSettings:
    lost = {toleration["key"] for toleration in NODE_LOST}
    resources = leaf["container"].get("resources", {})  # GPUs are among its limits
    return PodSettings(
        resources=_amounts(resources),
        node_selector=leaf.get("nodeSelector", {}),
        tolerations=tuple(t for t in leaf.get("tolerations", ()) if t.get("key") not in lost),
    )
