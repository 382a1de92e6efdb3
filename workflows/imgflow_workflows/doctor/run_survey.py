"""Everything that a cluster and a store know of a run right now, read once and kept as it is."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from imgflow_steps.records import keys, selection
from imgflow_steps.records.merge import without
from imgflow_steps.records.progress import ProgressReader, read_shards
from imgflow_steps.records.row import read_entries
from imgflow_steps.records.run import load
from imgflow_steps.store import StoreError
from imgflow_steps.store.leftovers import temporary
from imgflow_workflows.engines.argo import open_cluster
from imgflow_workflows.kube.client import TIMEOUT, WORKFLOW_LABEL, connect, translated
from imgflow_workflows.results import intact
from imgflow_workflows.retention.plan import run_index, uncovered

if TYPE_CHECKING:
    from imgflow_steps.records.progress import Progress
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store

SHARDS = 20  # that were given up, and whose last words are read
LOOKING = 20.0  # seconds for reading pictures whose checksum nobody tells
HARMED = 100  # pictures named
NAMED = 100  # images that are not there

Facts = dict[str, Any]  # fields of a Snapshot
Read = Callable[[], Any]  # gives an answer of the API whose ``data`` is JSON


def of_store(store: Store, run_id: str) -> Facts:
    """What the store says of a run. Raises NotFoundError when it has none of that name, and what stores raise."""
    run = load(store, run_id)
    progress = ProgressReader(store, run_id).read()
    return (
        _results(store, run, progress)
        | _absent(store, run, progress)
        | {
            "municipality": run.municipality,
            "created": run.created,
            "seconds": run.pipeline.limits.seconds,
            "progress": progress,
            "shards": [shard for shard in read_shards(store, run_id) if shard.error][:SHARDS],
            "uncovered": _uncovered(store, run) if run.pipeline.hides else [],
        }
    )


def _absent(store: Store, run: Run, progress: Progress) -> Facts:
    """Images that the run was about and that were not listed."""
    absent = progress.listing.absent if progress.listing else 0
    if not absent:
        return {}
    with temporary() as folder:
        store.download(run.selection, chosen := folder / "selection.jsonl")
        store.download(keys.listing(run.id), listed := folder / "listing.jsonl")
        there = (entry.image for entry in read_entries(listed))
        return {"absent": absent, "absent_images": [*islice(without(selection.read(chosen), there), NAMED)]}


def _uncovered(store: Store, run: Run) -> list[tuple[str, str]]:
    """Other runs of the municipality whose pictures are there and show what this one covers."""
    there = set(store.folders(f"results/{keys.encode(run.municipality)}/"))
    others = uncovered(run_index(store), run.municipality)
    return [(one.run.id, one.digest) for one in others if one.digest in there]


def _results(store: Store, run: Run, progress: Progress) -> Facts:
    """What became of the pictures that a run made which has ended."""
    look, harms = intact.Look(), Counter[str]()
    first: list[tuple[str, str]] = []
    if progress.summary is None or store.stat(keys.results_jsonl(run.id)) is None:
        return {}
    for one in intact.harmed(store, run, look, seconds=LOOKING):
        harms[one.harm.value] += 1
        if len(first) < HARMED:
            first.append((one.harm.value, one.output.key))
    unread = [f"what {look.unread:,} of {look.pictures:,} pictures hold; their sizes are right"] if look.unread else []
    return {"harmed": dict(harms), "harmed_keys": first, "unread": unread}


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
            with translated(f"reading {what}"):
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
