"""What every pod of the Workflow has in common: security, volumes, environment, retries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from hera.workflows import Container, Env, RetryStrategy
from hera.workflows.converters import convert_memory_units
from hera.workflows.env import ResourceEnv
from hera.workflows.env_from import ConfigMapEnvFrom, SecretEnvFrom
from hera.workflows.models import (
    Backoff,
    Capabilities,
    ConfigMapKeySelector,
    Metadata,
    PodSecurityContext,
    ResourceRequirements,
    SeccompProfile,
    SecurityContext,
    SemaphoreRef,
    Synchronization,
    Toleration,
    VolumeMount,
)
from hera.workflows.volume import EmptyDirVolume

from imgflow_steps.contract.job import Exit
from imgflow_steps.store import PATIENCE
from imgflow_steps.worker.memory import COORDINATOR
from imgflow_workflows.argo import metrics
from imgflow_workflows.argo.options import NAME, NODE_LOST, PART_OF, STEP_LABEL, Options

RUN = "{{workflow.name}}"  # a run is called as its Workflow is
USER = 10001
DEADLINE_SECONDS = 6 * 3600  # of one pod: ends the shard, not the Workflow, so that collect still runs
# How long each request waits for a store that is away: an attempt is not the price of a server that starts anew.
PATIENCE_SECONDS = 600
EXECUTOR_TRIES = 13  # of Argo's own containers: 1 s between the first two, 1.6 times longer each time; about the same

_SECCOMP = SeccompProfile(type="RuntimeDefault")
POD_SECURITY = PodSecurityContext(run_as_non_root=True, run_as_user=USER, fs_group=USER, seccomp_profile=_SECCOMP)
_SECURITY = SecurityContext(
    allow_privilege_escalation=False,
    capabilities=Capabilities(drop=["ALL"]),
    read_only_root_filesystem=True,
    run_as_non_root=True,
    seccomp_profile=_SECCOMP,
)
VOLUMES = [EmptyDirVolume(name=name) for name in ("data", "tmp", "no-token")]
_MOUNTS = [
    VolumeMount(name="data", mount_path="/data"),
    VolumeMount(name="tmp", mount_path="/tmp"),  # noqa: S108 - a mount of the pod's own
    # Covers the token, which only the wait container needs.
    VolumeMount(name="no-token", mount_path="/var/run/secrets/kubernetes.io/serviceaccount", read_only=True),
]
_STORE = [
    ConfigMapEnvFrom(name="imgflow-store"),
    SecretEnvFrom(name="imgflow-s3"),
    SecretEnvFrom(name="imgflow-source", optional=True),  # of a server that only has photographs
]
WEBHOOK = SecretEnvFrom(name="imgflow-notify", optional=True)
_NEVER_AGAIN = sorted(code.value for code in Exit if code not in {Exit.DONE, Exit.TEMPORARY, Exit.REFUSED})
_REFUSED_TWICE = f"(asInt(lastRetry.exitCode) == {Exit.REFUSED.value} && asInt(retries) > 0)"
# A deleted pod is an Error, which the policy OnFailure leaves alone whatever the expression says. What an attempt has
# finished the next one finds in the store, so trying often costs little, and nodes that come and go take many pods.
_RETRY = RetryStrategy(
    limit=5,
    retry_policy="Always",
    expression=f"lastRetry.status == 'Error' || !(asInt(lastRetry.exitCode) in {_NEVER_AGAIN} || {_REFUSED_TWICE})",
    backoff=Backoff(duration="5s", factor=2, cap="1m"),
)


def pod_spec_patch(options: Options) -> str:
    """What a Workflow has no field for: Argo's own containers under the restricted level, patience, progress, spread.

    A quota on limits admits no pod in which any container names none, so Argo's own name theirs.
    Without the ticks a pod that ends within a minute never reports its progress.
    """
    patience = {"EXECUTOR_RETRY_BACKOFF_STEPS": str(EXECUTOR_TRIES)}
    ticks = {"ARGO_PROGRESS_PATCH_TICK_DURATION": "10s", "ARGO_PROGRESS_FILE_TICK_DURATION": "2s"}
    patch = {
        "initContainers": [_executor("init", patience, options)],
        "containers": [_executor("wait", patience | ticks, options)],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {PART_OF: NAME}},
                "matchLabelKeys": ["workflows.argoproj.io/workflow"],
            }
        ],
    }
    return yaml.safe_dump(patch, sort_keys=False)


def _executor(name: str, environment: Mapping[str, str], options: Options) -> dict[str, Any]:
    resources = {kind: dict(amounts) for kind, amounts in options.executor.items()}
    return {
        "name": name,
        "env": [{"name": variable, "value": value} for variable, value in environment.items()],
        **({"resources": resources} if resources else {}),
        "securityContext": _SECURITY.model_dump(by_alias=True, exclude_none=True),
    }


def tolerations(extra: Sequence[Any] = ()) -> list[Toleration]:
    """Tolerations for lost nodes, and those of a step."""
    return [Toleration.model_validate(toleration) for toleration in (*NODE_LOST, *extra)]


def leaf(
    name: str,
    step: str,
    container: str,
    args: Sequence[str],
    options: Options,
    *,
    env: Sequence[Env | ResourceEnv] = (),
    inputs: Sequence[Any] = (),
    outputs: Sequence[Any] = (),
    counted: Sequence[Any] = (),
    told: Sequence[SecretEnvFrom] = (),
    memory: int = 0,
) -> Container:
    """A template that runs one pod of a step: its container image with ``args`` for ``python -m imgflow_steps``.

    ``counted`` are metrics, and ``told`` are secrets, besides those of every pod. ``memory`` is what one computing
    process may have, in bytes: a pod never has less, whatever its step's placement says.
    """
    placement = options.placement(container)
    limits = {**placement.resources.get("limits", {})}
    if "memory" in limits and convert_memory_units(limits["memory"]) < memory + COORDINATOR:
        limits["memory"] = f"{-(-(memory + COORDINATOR) >> 20)}Mi"
    if placement.gpus:
        limits["nvidia.com/gpu"] = str(placement.gpus)
    resources = {**placement.resources, "limits": limits} if limits else placement.resources
    return Container(
        name=name,
        image=options.image(container),
        image_pull_policy=options.pull_policy,
        command=["python", "-m", "imgflow_steps"],
        args=[*args],
        env=[Env(name=PATIENCE, value=str(PATIENCE_SECONDS)), *env],
        env_from=[*_STORE, *told],
        inputs=[*inputs],
        outputs=[*outputs],
        metrics=[*metrics.of_pods(step), *counted],
        labels={STEP_LABEL: step},
        resources=ResourceRequirements.model_validate(resources),
        node_selector=dict(placement.node_selector) or None,
        tolerations=tolerations(placement.tolerations) if placement.tolerations else None,
        security_context=_SECURITY,
        volume_mounts=_MOUNTS,
        active_deadline_seconds=DEADLINE_SECONDS,
        retry_strategy=_RETRY,
        synchronization=Synchronization(
            semaphores=[SemaphoreRef(config_map_key_ref=ConfigMapKeySelector(name="imgflow-limits", key=container))]
        ),
    )


def workers() -> tuple[list[str], list[ResourceEnv]]:
    """A computing process per CPU of the pod's limit: Kubernetes fills both the variable and the argument."""
    return ["--workers=$(IMGFLOW_WORKERS)"], [ResourceEnv(name="IMGFLOW_WORKERS", resource="limits.cpu")]


def labels(municipality: str) -> Metadata:
    """Labels of every pod."""
    return Metadata(
        labels={
            PART_OF: NAME,
            "imgflow.io/run": RUN,
            "imgflow.io/municipality": municipality,
        }
    )
