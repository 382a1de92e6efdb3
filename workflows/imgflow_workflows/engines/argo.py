"""The argo engine: a run is a Workflow on a cluster, and its Workflow is called as the run is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.records import keys
from imgflow_steps.records.summary import Phase
from imgflow_steps.store import NotFoundError, UnavailableError
from imgflow_workflows.argo import NAME, Options, cron_workflow, options_of, scheduled, workflow
from imgflow_workflows.argo.options import PART_OF
from imgflow_workflows.engines.attempts import attempts
from imgflow_workflows.kube.client import no_log
from imgflow_workflows.kube.workflow_nodes import Span, ended, failed_pods, phase, spans, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.argo.schedule import Schedule
    from imgflow_workflows.engines.attempts import ContainerLog
    from imgflow_workflows.kube.client import Cluster, Document
    from imgflow_workflows.standing import Standing

TRIES = 5  # to replace a finished Workflow while others do the same


def open_cluster(namespace: str, kube_context: str = "") -> Cluster:
    """The Argo Server that ``ARGO_SERVER`` names, else the kubeconfig's cluster."""
    if os.environ.get("ARGO_SERVER"):
        from imgflow_workflows.kube.argo_server import ArgoServer  # noqa: PLC0415

        return ArgoServer(namespace)
    from imgflow_workflows.kube.client import Kubernetes  # noqa: PLC0415

    return Kubernetes(namespace, kube_context)


class ArgoEngine:
    """Starts Workflows in a namespace that has the chart. All state is in the store, so a Workflow is expendable."""

    name = "argo"
    detached = True

    def __init__(self, store: Store, *, namespace: str, kube_context: str = "", cluster: Cluster | None = None) -> None:
        self._store = store
        self._cluster = cluster or open_cluster(namespace, kube_context)
        self.place = f"namespace {namespace}"

    def submit(self, run: Run) -> None:
        """Start the run's Workflow and return. One that ended is replaced; one that runs is left alone, or resumed.

        Raises BadParametersError when the chart is not installed or the name is taken, UnavailableError, DeniedError.
        """
        document = workflow(run, template=self._template())
        self._store.delete([keys.stopped(run.id)])
        for _ in range(TRIES):
            if self._cluster.create(document):
                return
            there = self._cluster.workflow(run.id)
            if there is None:
                continue
            if there["metadata"].get("labels", {}).get(PART_OF) != NAME:
                where = f"namespace {self._cluster.namespace}"
                raise BadParametersError(
                    f"{where} has a Workflow {run.id!r} that is not of imgflow; choose another --run"
                )
            if phase(there) is Phase.SUSPENDED:
                self._cluster.resume(run.id)
            if not ended(there):
                return
            self._cluster.delete(run.id, there["metadata"]["uid"])
        raise UnavailableError(f"Workflow {run.id} comes back as often as it is replaced; who else submits it?")

    def schedule(self, name: str, cron: str, run: Run) -> None:
        """Create or replace a CronWorkflow that does what ``run`` says. Raises as ``submit``."""
        self._cluster.schedule(cron_workflow(name, cron, run, template=self._template()))

    def schedules(self) -> frozenset[Schedule]:
        """What the cluster starts by itself in this namespace. Raises UnavailableError, DeniedError."""
        return frozenset(scheduled(document) for document in self._cluster.schedules())

    def abandon(self) -> None:
        """Nothing of a run goes on here."""

    def phase(self, run: str) -> Phase | None:
        """Where Argo says the run stands; None when it has no such Workflow (any more)."""
        there = self._cluster.workflow(run)
        return phase(there) if there else None

    def standing(self, run: str, since: float) -> Standing | None:
        """The same of the attempt that was submitted at ``since``, and why it does not move where that is known."""
        there = self._cluster.workflow(run)
        return standing(there, since) if there else None

    def stop(self, run: str) -> None:
        """End the run's pods, of a suspended one as well; the report of what is done is still written.

        Raises NotFoundError where nothing runs any more.
        """
        there = self._cluster.workflow(run)
        if there is None or ended(there):
            what = f"no Workflow {run!r}: it ended, or never began" if there is None else f"run {run} has ended already"
            raise NotFoundError(f"namespace {self._cluster.namespace} has {what}" if there is None else what)
        self._store.write(keys.stopped(run), b"")  # or the report of its end would say that it failed
        self._cluster.stop(run)
        if phase(there) is Phase.SUSPENDED:
            self._cluster.resume(run)  # or Argo would not look at it again

    def delete(self, run: str) -> None:
        """Delete the Workflow and its pods, if it is there."""
        there = self._cluster.workflow(run)
        if there:
            self._cluster.delete(run, there["metadata"]["uid"])

    def logs(self, run: str, *, step: str = "", failed: bool = False, follow: bool = False) -> Iterator[str]:
        """Lines of the containers' logs: first of pods whose log Argo has put into the store, then of the others."""
        there = self._cluster.workflow(run)
        bad = failed_pods(there) if there else {}
        printed: set[str] = set()
        for pod, lines in self._archived(run, step):
            printed.add(pod)
            if not failed or (pod in bad if there else not _went_well(lines)):
                yield from lines
        if not there:
            return
        live: set[str] = set()
        for pod, line in self._cluster.logs(run, step, printed, follow=follow):
            live.add(pod)
            if not failed or pod in bad:
                yield line
        for pod, lines in self._archived(run, step):  # of pods that ended while others were printed
            if pod not in printed | live and (not failed or pod in bad):
                printed.add(pod)
                yield from lines
        if failed:
            yield from _without_log(run, step, {pod: bad[pod] for pod in bad.keys() - printed - live})

    def attempts(self, run: str, shard: int, *, lines: int) -> list[ContainerLog]:
        """Pods as their Workflow tells of them; without it, whoever's log is in the store."""
        return attempts(self._store, run, shard, lines=lines, cluster=self._cluster)

    def usage(self, run: str) -> tuple[list[Span], Options]:
        """How long the run's pods took, while its Workflow is there, and what the chart gives to such pods."""
        there = self._cluster.workflow(run)
        return spans(there) if there else [], options_of(self._template())

    def _archived(self, run: str, step: str) -> Iterator[tuple[str, list[str]]]:
        """Pod and lines of each log in the store. Pods are called ``<run>-<step>[-…]-<number>``."""
        prefix = keys.logs(run)
        for found in self._store.entries(prefix):
            pod = found.key.removeprefix(prefix).partition("/")[0]
            if step in {"", _step_of(run, pod)}:
                yield pod, self._store.read(found.key).decode(errors="replace").splitlines()

    def _template(self) -> Document:
        template = self._cluster.template()
        if template is None:
            raise BadParametersError(
                f"namespace {self._cluster.namespace} has no WorkflowTemplate imgflow; install the chart:"
                f" helm install imgflow charts/imgflow --namespace {self._cluster.namespace} --create-namespace"
            )
        return template


def _step_of(run: str, pod: str) -> str:
    return pod.removeprefix(f"{run}-").partition("-")[0]


def _without_log(run: str, step: str, pods: dict[str, str]) -> Iterator[str]:
    """A line for each failed pod that left no log: a lost node takes it along, and some pods never began."""
    for pod, message in sorted(pods.items()):
        if step in {"", _step_of(run, pod)}:
            yield no_log(run, pod, message)


def _went_well(lines: list[str]) -> bool:
    """Whether a container's log ends with its word that all went well."""
    try:
        last = json.loads(lines[-1])
    except (IndexError, ValueError):
        return False
    return bool(last.get("event") == "end" and last.get("exit") == 0)
