"""Which containers had a shard, where they ran, how they ended, and the last they said.

What Argo says of pods counts while their Workflow is there; what containers said lies in the store for good.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgflow_steps.records import keys
from imgflow_steps.store import NotFoundError, StoreError
from imgflow_workflows.kube.workflow_nodes import pods

if TYPE_CHECKING:
    from imgflow_steps.store import Store, StoredObject
    from imgflow_workflows.kube.client import Cluster
    from imgflow_workflows.kube.workflow_nodes import Pod

READERS = 16  # logs looked into at the same time
HEAD = 4 << 10  # bytes at a log's begin that tell whose it is
TAIL = 16 << 10  # bytes at a log's end that are read


@dataclass(frozen=True, slots=True)
class ContainerLog:
    """One container's turn with a shard. What is not known any more is ""; ``attempt`` is then 0."""

    container: str
    step: str
    attempt: int = 0
    node: str = ""
    outcome: str = ""
    message: str = ""
    log: tuple[str, ...] = ()  # its last lines


def attempts(store: Store, run: str, shard: int, *, lines: int, cluster: Cluster | None = None) -> list[ContainerLog]:
    """The containers that had a shard, in order of time, each with this many last lines of its log.

    One small read per container of the run where no Workflow says which one it was. Raises StoreError.
    """
    there = cluster.workflow(run) if cluster else None
    if there and cluster:
        return [_of_pod(store, cluster, run, pod, lines) for pod in pods(there, shard)]
    return _archived(store, run, shard, lines)


def _of_pod(store: Store, cluster: Cluster, run: str, pod: Pod, lines: int) -> ContainerLog:
    log: deque[str] = deque(maxlen=lines)
    kept = next(store.entries(f"{keys.logs(run)}{pod.name}/"), None)
    try:
        if kept:
            log.extend(_end(store, kept))
        else:
            log.extend(line for _, line in cluster.logs(run, "", _AllBut(pod.name), follow=False))
    except StoreError as error:
        log.append(str(error))
    return ContainerLog(pod.name, pod.step, pod.attempt, pod.node, pod.outcome, pod.message, tuple(log))


class _AllBut(Container[str]):
    """Every name but one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __contains__(self, name: object) -> bool:
        return name != self._name


def _archived(store: Store, run: str, shard: int, lines: int) -> list[ContainerLog]:
    with ThreadPoolExecutor(READERS) as pool:
        begun = [
            (start.get("time", 0.0), log, start)
            for log, start in pool.map(lambda log: (log, _start(store, log)), store.entries(keys.logs(run)))
            if start.get("shard") == shard and start.get("step") not in {"list", "collect", None}
        ]
    found = []
    for _, log, start in sorted(begun, key=lambda one: (one[0], one[1].key)):
        said = list(_end(store, log))
        end = _event(said[-1]) if said else {}
        outcome = {0: "Succeeded", None: ""}.get(end.get("exit"), "Failed")
        name = log.key.removeprefix(keys.logs(run)).partition("/")[0]
        message = str(end.get("error", ""))
        found.append(ContainerLog(name, start["step"], outcome=outcome, message=message, log=tuple(said[-lines:])))
    return found


def _start(store: Store, log: StoredObject) -> dict[str, Any]:
    """The first event that a container logged; {} where it came to none."""
    if not log.bytes:
        return {}
    try:
        head = store.read_range(log.key, 0, HEAD)
    except NotFoundError:
        return {}
    events = (_event(line) for line in head.decode(errors="replace").splitlines())
    return next((event for event in events if "step" in event), {})


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _end(store: Store, log: StoredObject) -> Iterator[str]:
    if not log.bytes:
        return
    start = max(0, log.bytes - TAIL)
    text = store.read_range(log.key, start, TAIL).decode(errors="replace")
    whole = text if start == 0 else text.partition("\n")[2]
    yield from (line for line in whole.splitlines() if " argo=true" not in line)
