"""The cluster as the argo engine needs it, through the Kubernetes API and the user's kubeconfig."""

from __future__ import annotations

import json
import os
import ssl
import threading
import time
import weakref
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, cast

from urllib3.util.ssl_ import create_urllib3_context

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import DeniedError, StoreError, UnavailableError
from imgflow_workflows.argo.options import NAME, PART_OF, STEP_LABEL
from imgflow_workflows.kube.workflow_nodes import ended

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

GROUP, VERSION = "argoproj.io", "v1alpha1"
WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
TIMEOUT = 30  # seconds for one answer of the API
QUIET = 24 * 3600  # seconds that a container may say nothing while its log is followed
GONE = 90  # seconds for a deleted Workflow and its pods to be gone
POLL = 2.0  # seconds between looks for new pods

Document = dict[str, Any]


class Cluster(Protocol):
    """What the argo engine asks of a cluster. Everything raises UnavailableError or DeniedError."""

    namespace: str

    def template(self) -> Document | None:
        """The WorkflowTemplate that the chart installs."""

    def workflow(self, name: str) -> Document | None:
        """A Workflow with its status."""

    def create(self, workflow: Document) -> bool:
        """Start a Workflow; False when there is one of that name already."""

    def schedule(self, cron_workflow: Document) -> None:
        """Create a CronWorkflow, or replace the one of that name."""

    def schedules(self) -> list[Document]:
        """The CronWorkflows of imgflow."""

    def stop(self, name: str) -> None:
        """End a Workflow; its exit handler still runs."""

    def resume(self, name: str) -> None:
        """Have a suspended Workflow go on."""

    def delete(self, name: str, uid: str) -> None:
        """Delete that very Workflow and return when it and its pods are gone; another one of the name stays."""

    def logs(self, name: str, step: str, skip: Container[str], *, follow: bool) -> Iterator[tuple[str, str]]:
        """Pod and line of the pods that are still there, without those in ``skip``."""


def connect(context: str = "") -> ApiClient:
    """A client for the kubeconfig's context (its current one when empty), or for the cluster this runs in.

    Its connections are closed when nobody holds it any more. Raises UnavailableError when there is neither, and
    BadParametersError when the kubeconfig has no such context.
    """
    from kubernetes import client  # noqa: PLC0415 - half a second, for this engine only
    from kubernetes import config as untyped  # noqa: PLC0415
    from yaml import YAMLError  # noqa: PLC0415

    config = cast("Any", untyped)
    configuration = client.Configuration()
    file = os.environ.get("KUBECONFIG") or "~/.kube/config"  # the library has read the variable when it was imported
    try:
        config.load_kube_config(file, context or None, configuration)
    except (config.ConfigException, YAMLError, OSError, LookupError, TypeError, ValueError, AttributeError) as error:
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            raise _unusable(file, context, error) from None
    api: Any = client.ApiClient(configuration)
    api.rest_client.pool_manager.connection_pool_kw["ssl_context"] = _context()
    weakref.finalize(api, api.rest_client.pool_manager.clear)
    return cast("ApiClient", api)


def _unusable(file: str, context: str, error: Exception) -> Exception:
    """Why a kubeconfig leads to no cluster, and what to do. The library calls a file that is missing an invalid one."""
    from kubernetes.config import ConfigException  # noqa: PLC0415 - as above

    if not any(Path(one).expanduser().exists() for one in file.split(os.pathsep)):
        return UnavailableError(f"no cluster to talk to: there is no kubeconfig {file}; set KUBECONFIG to one")
    if "contexts list" in (why := str(error)) and context:
        return BadParametersError(
            f"the kubeconfig {file} has no context {context!r} (--kube-context);"
            " list those that it has: kubectl config get-contexts -o name"
        )
    why = why.rstrip(".") if isinstance(error, (ConfigException, OSError)) else f"{file} is not a kubeconfig"
    return UnavailableError(f"no cluster to talk to: {why}; set KUBECONFIG to another")


def _context() -> ssl.SSLContext:
    """How a cluster's certificate is checked: as kubectl does, which takes authorities that name no key usage.

    Python 3.13 refuses them (VERIFY_X509_STRICT), and many clusters have made their authority that way.
    """
    context = create_urllib3_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the client's errors into ours, which say what was tried."""
    from kubernetes.client import ApiException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError, MaxRetryError  # noqa: PLC0415

    try:
        yield
    except ApiException as error:
        if error.status:
            raise refusal(what, error.status, message_of(error.body) or error.reason) from error
        raise _silent(what, error.reason) from error  # how the client tells of a certificate
    except (HTTPError, OSError) as error:
        raise _silent(what, error.reason if isinstance(error, MaxRetryError) else error) from error


def _silent(what: str, why: object) -> UnavailableError:
    return UnavailableError(f"{what}: the cluster does not answer: {why}; is KUBECONFIG right?")


def message_of(body: str | bytes | None) -> str:
    """What an answer says is wrong: the message of its JSON body, else the first line of its text."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    try:
        document = json.loads(text)
    except ValueError:
        return text.strip().partition("\n")[0][:200]
    return str(document.get("message") or "") if isinstance(document, dict) else ""


def refusal(what: str, status: int, text: str) -> StoreError:
    """The error for an HTTP status."""
    said = f"{status}: {text}" if text else str(status)
    if status in {401, 403}:
        return DeniedError(f"{what}: the cluster does not allow it ({said}); ask who gave you access")
    return UnavailableError(f"{what}: the cluster answers {said}")


class Kubernetes:
    """The cluster through the Kubernetes API."""

    def __init__(self, namespace: str, context: str = "") -> None:
        from kubernetes import client  # noqa: PLC0415

        self.namespace = namespace
        self._api = connect(context)
        self._objects = client.CustomObjectsApi(self._api)
        self._core: Any = client.CoreV1Api(self._api)  # every field of its models may be None

    def template(self) -> Document | None:
        """See Cluster."""
        return self._get("workflowtemplates", NAME)

    def workflow(self, name: str) -> Document | None:
        """See Cluster."""
        return self._get("workflows", name)

    def create(self, workflow: Document) -> bool:
        """See Cluster."""
        return self._create("workflows", workflow)

    def schedule(self, cron_workflow: Document) -> None:
        """See Cluster."""
        if self._create("cronworkflows", cron_workflow):
            return
        name = cron_workflow["metadata"]["name"]
        there = self._get("cronworkflows", name) or {}
        version = there.get("metadata", {}).get("resourceVersion")
        document = {**cron_workflow, "metadata": {**cron_workflow["metadata"], "resourceVersion": version}}
        with translated(f"replacing CronWorkflow {name}"):
            self._objects.replace_namespaced_custom_object(
                *self._of("cronworkflows"), name, document, _request_timeout=TIMEOUT
            )

    def schedules(self) -> list[Document]:
        """See Cluster."""
        with translated(f"listing CronWorkflows in namespace {self.namespace}"):
            found = self._objects.list_namespaced_custom_object(
                *self._of("cronworkflows"), label_selector=f"{PART_OF}={NAME}", _request_timeout=TIMEOUT
            )
        return list(cast("Document", found)["items"])

    def stop(self, name: str) -> None:
        """See Cluster."""
        self._change(f"stopping Workflow {name}", name, {"shutdown": "Stop"})

    def resume(self, name: str) -> None:
        """See Cluster."""
        self._change(f"resuming Workflow {name}", name, {"suspend": None})

    def delete(self, name: str, uid: str) -> None:
        """See Cluster."""
        from kubernetes.client import ApiException, V1DeleteOptions, V1Preconditions  # noqa: PLC0415

        # Argo takes a pod of the old Workflow for the new one's: names are made of names. So wait for pods, too.
        options = V1DeleteOptions(propagation_policy="Foreground", preconditions=V1Preconditions(uid=uid))
        with translated(f"deleting Workflow {name}"):
            try:
                self._objects.delete_namespaced_custom_object(
                    *self._of("workflows"), name, body=options, _request_timeout=TIMEOUT
                )
            except ApiException as error:
                if error.status not in {404, 409}:
                    raise
        until_gone(self, name, uid)
        with translated(f"deleting task results of Workflow {name}"):
            try:
                self._objects.delete_collection_namespaced_custom_object(
                    *self._of("workflowtaskresults"),
                    label_selector=f"{WORKFLOW_LABEL}={name}",
                    _request_timeout=TIMEOUT,
                )
            except ApiException as error:
                if error.status != 403:  # noqa: PLR2004 - Kubernetes deletes them itself, a little later
                    raise

    def logs(self, name: str, step: str, skip: Container[str], *, follow: bool) -> Iterator[tuple[str, str]]:
        """See Cluster."""
        if not follow:
            for pod in self._started(name, step):
                if pod not in skip:
                    yield from ((pod, line) for line in self._log(pod, follow=False))
            return
        lines: SimpleQueue[tuple[str, str]] = SimpleQueue()
        readers: dict[str, threading.Thread] = {}
        while True:
            workflow = self.workflow(name)
            over = workflow is None or ended(workflow)
            for pod in self._started(name, step):
                if pod not in skip and pod not in readers:
                    readers[pod] = threading.Thread(target=self._read, args=(name, pod, lines), daemon=True)
                    readers[pod].start()
            if over:
                for reader in readers.values():
                    reader.join(TIMEOUT)
            yield from _drain(lines, 0 if over else POLL)
            if over:
                return

    def _read(self, name: str, pod: str, lines: SimpleQueue[tuple[str, str]]) -> None:
        try:
            for line in self._log(pod, follow=True):
                lines.put((pod, line))
        except StoreError as error:  # its node is gone, say: the logs of others go on
            lines.put((pod, no_log(name, pod, str(error))))

    def _log(self, pod: str, *, follow: bool) -> Iterator[str]:
        from kubernetes.client import ApiException  # noqa: PLC0415

        with translated(f"reading the log of pod {pod}"):
            try:
                answer = self._core.read_namespaced_pod_log(
                    pod,
                    self.namespace,
                    container="main",
                    follow=follow,
                    _preload_content=False,
                    _request_timeout=(TIMEOUT, QUIET if follow else TIMEOUT),
                )
            except ApiException as error:
                if error.status in {400, 404}:  # not started after all, or gone by now
                    return
                raise
            for line in whole_lines(answer.stream(1 << 16, decode_content=False)):
                if " argo=true" not in line:  # what Argo's executor says of itself
                    yield line

    def _started(self, name: str, step: str) -> list[str]:
        selector = f"{WORKFLOW_LABEL}={name}" + (f",{STEP_LABEL}={step}" if step else "")
        with translated(f"listing pods of Workflow {name}"):
            pods = self._core.list_namespaced_pod(
                self.namespace, label_selector=selector, _request_timeout=TIMEOUT
            ).items
        pods.sort(key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name))
        return [pod.metadata.name for pod in pods if pod.status.phase != "Pending"]

    def _of(self, plural: str) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.namespace, plural

    def _change(self, what: str, name: str, spec: Document) -> None:
        with translated(what):
            self._objects.patch_namespaced_custom_object(
                *self._of("workflows"), name, {"spec": spec}, _request_timeout=TIMEOUT
            )

    def _get(self, plural: str, name: str) -> Document | None:
        from kubernetes.client import ApiException  # noqa: PLC0415

        with translated(f"reading {plural}/{name} in namespace {self.namespace}"):
            try:
                found = self._objects.get_namespaced_custom_object(*self._of(plural), name, _request_timeout=TIMEOUT)
            except ApiException as error:
                if error.status == 404:  # noqa: PLR2004
                    return None
                raise
            return cast("Document", found)

    def _create(self, plural: str, document: Document) -> bool:
        from kubernetes.client import ApiException  # noqa: PLC0415

        with translated(f"creating {plural}/{document['metadata']['name']} in namespace {self.namespace}"):
            try:
                self._objects.create_namespaced_custom_object(*self._of(plural), document, _request_timeout=TIMEOUT)
            except ApiException as error:
                if error.status == 409:  # noqa: PLR2004
                    return False
                raise
            return True


def until_gone(cluster: Cluster, name: str, uid: str) -> None:
    """Wait until that very Workflow is gone. Raises UnavailableError when it will not go."""
    deadline = time.monotonic() + GONE
    while time.monotonic() < deadline:
        there = cluster.workflow(name)
        if there is None or there["metadata"]["uid"] != uid:
            return
        time.sleep(POLL / 4)
    raise UnavailableError(
        f"Workflow {name} is still being deleted after {GONE} s; `kubectl get pods -l {WORKFLOW_LABEL}={name}` shows"
        " which pod does not end"
    )


def no_log(run: str, pod: str, message: str) -> str:
    """What stands in place of a pod's log, or of the rest of it."""
    return json.dumps({"event": "no-log", "run": run, "pod": pod, "message": message})


def whole_lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """Lines of a text that comes in pieces."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def _drain(lines: SimpleQueue[tuple[str, str]], seconds: float) -> Iterator[tuple[str, str]]:
    """What is in the queue, or comes into it in that time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            yield lines.get(timeout=max(0.0, deadline - time.monotonic()) or 0.001)
        except Empty:
            return
        if time.monotonic() >= deadline and lines.empty():
            return
