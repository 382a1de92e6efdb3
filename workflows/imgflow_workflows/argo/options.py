"""What of a Workflow is the cluster's business: container images, resources, nodes. Data, no hera."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Placement:
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
    steps: Mapping[str, Placement] = field(default_factory=dict)
    at_once: int = 200  # pods of one Workflow; across Workflows the ConfigMap imgflow-limits says how many of each

    def image(self, container: str) -> str:
        """The container image of a container."""
        return f"{self.prefix}{container}:{self.tag}"

    def placement(self, container: str) -> Placement:
        """What a container's pods ask for: as set, else little for list and collect and a core for the rest."""
        default = Placement(resources=LIGHT) if container in {"list", "collect"} else Placement()
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
    )


def _of_values(values: Mapping[str, Any]) -> Placement:
    """A placement as the chart's values spell it."""
    return Placement(
        resources={
            kind: {name: str(n) for name, n in amounts.items()} for kind, amounts in values["resources"].items()
        },
        node_selector=values["nodeSelector"],
        tolerations=tuple(values["tolerations"]),
        gpus=values["gpus"],
    )


def _placement(leaf: Mapping[str, Any]) -> Placement:
    lost = {toleration["key"] for toleration in NODE_LOST}
    resources = leaf["container"].get("resources", {})  # GPUs are among its limits
    return Placement(
        resources={kind: {name: str(n) for name, n in amounts.items()} for kind, amounts in resources.items()},
        node_selector=leaf.get("nodeSelector", {}),
        tolerations=tuple(t for t in leaf.get("tolerations", ()) if t.get("key") not in lost),
    )
