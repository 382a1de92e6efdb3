"""Everything that a cluster and a store know of a run right now, read once and kept as it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from imgflow_steps.run import ProgressReader, load, read_shards
from imgflow_steps.store import StoreError
from imgflow_workflows.engines.argo import open_cluster
from imgflow_workflows.engines.cluster import TIMEOUT, WORKFLOW_LABEL, connect, told

if TYPE_CHECKING:
    from imgflow_steps.store import Store

SHARDS = 20  # that were given up, and whose last words are read

Facts = dict[str, Any]  # fields of a Snapshot
Read = Callable[[], Any]  # gives an answer of the API whose ``data`` is JSON


def of_store(store: Store, run_id: str) -> Facts:
    """What the store says of a run. Raises NotFoundError when it has none of that name, and what stores raise."""
    run = load(store, run_id)
    progress = ProgressReader(store, run_id).read()
    return {
        "municipality": run.municipality,
        "created": run.created,
        "seconds": run.pipeline.limits.seconds,
        "progress": progress,
        "shards": [shard for shard in read_shards(store, run_id) if shard.error][:SHARDS],
    }


def of_cluster(namespace: str, kube_context: str, run_id: str) -> Facts:
    """What the cluster says of a run; what may not be read is missing, and ``unread`` says why.

    Raises UnavailableError when the cluster does not answer and DeniedError when Workflows may not be read.
    """
    workflow = open_cluster(namespace, kube_context).workflow(run_id)
    facts: Facts = {"namespace": namespace, "workflow": workflow, "unread": []}
    if os.environ.get("ARGO_SERVER"):
        return facts | {"unread": ["an Argo Server shows no pods, events and nodes"]}
    for name, (what, read) in _reads(namespace, kube_context, run_id).items():
        try:
            with told(f"reading {what}"):
                document = json.loads(read().data)
        except StoreError as error:
            facts["unread"].append(str(error))
        else:
            facts[name] = document.get("data", {}) if name == "limits" else document["items"]
    mine = f"{run_id}-"
    facts["events"] = [e for e in facts.get("events", ()) if e["involvedObject"].get("name", "").startswith(mine)]
    return facts


def _reads(namespace: str, kube_context: str, run_id: str) -> Mapping[str, tuple[str, Read]]:
    from kubernetes.client import CoreV1Api  # noqa: PLC0415 - half a second, for this engine only

    core: Any = CoreV1Api(connect(kube_context))
    as_it_is = {"_preload_content": False, "_request_timeout": TIMEOUT}
    mine, of_pods = f"{WORKFLOW_LABEL}={run_id}", "involvedObject.kind=Pod"
    return {
        "pods": (
            f"pods of namespace {namespace}",
            lambda: core.list_namespaced_pod(namespace, label_selector=mine, **as_it_is),
        ),
        "events": (
            f"events of namespace {namespace}",
            lambda: core.list_namespaced_event(namespace, field_selector=of_pods, **as_it_is),
        ),
        "nodes": ("nodes", lambda: core.list_node(**as_it_is)),
        "limits": (
            f"ConfigMap imgflow-limits of namespace {namespace}",
            lambda: core.read_namespaced_config_map("imgflow-limits", namespace, **as_it_is),
        ),
    }
