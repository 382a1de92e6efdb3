"""The cluster through an Argo Server, for those who may talk to it and not to Kubernetes: ``ARGO_SERVER`` is set."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from imgflow_steps.store import UnavailableError
from imgflow_workflows.argo.options import NAME, PART_OF, STEP_LABEL
from imgflow_workflows.kube.client import TIMEOUT, Document, message_of, refusal, until_gone, whole_lines

if TYPE_CHECKING:
    from hera.workflows import WorkflowsService

OK, NOT_FOUND, CONFLICT = 200, 404, 409


def service() -> WorkflowsService:
    """Hera's client, set up by the variables that the ``argo`` command reads, too."""
    from hera.workflows import WorkflowsService  # noqa: PLC0415 - a second to import

    def on(name: str, default: str) -> bool:
        return os.environ.get(name, default).lower() in {"1", "true"}

    scheme = "https" if on("ARGO_SECURE", "true") else "http"
    return WorkflowsService(
        host=f"{scheme}://{os.environ['ARGO_SERVER']}",
        token=os.environ.get("ARGO_TOKEN") or None,
        verify_ssl=not on("ARGO_INSECURE_SKIP_VERIFY", "false"),
    )


class ArgoServer:
    """The cluster through an Argo Server.

    Documents travel as they are and not as Hera's models, which drop every field they do not know.
    """

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._service = service()

    def template(self) -> Document | None:
        """See Cluster."""
        return self._read("workflow-templates", NAME)

    def workflow(self, name: str) -> Document | None:
        """See Cluster."""
        return self._read("workflows", name)

    def create(self, workflow: Document) -> bool:
        """See Cluster."""
        return self._create("workflows", {"workflow": workflow}, workflow["metadata"]["name"])

    def schedule(self, cron_workflow: Document) -> None:
        """See Cluster."""
        name = cron_workflow["metadata"]["name"]
        if self._create("cron-workflows", {"cronWorkflow": cron_workflow}, name):
            return
        there = self._read("cron-workflows", name) or {}
        version = there.get("metadata", {}).get("resourceVersion")
        document = {**cron_workflow, "metadata": {**cron_workflow["metadata"], "resourceVersion": version}}
        path = f"cron-workflows/{self.namespace}/{name}"
        self._ask(f"replacing CronWorkflow {name}", "put", path, json={"cronWorkflow": document})

    def schedules(self) -> list[Document]:
        """See Cluster."""
        selector = {"listOptions.labelSelector": f"{PART_OF}={NAME}"}
        what = f"listing CronWorkflows in namespace {self.namespace}"
        _, found = self._ask(what, "get", f"cron-workflows/{self.namespace}", params=selector)
        return list(found.get("items") or [])

    def stop(self, name: str) -> None:
        """See Cluster."""
        self._ask(f"stopping Workflow {name}", "put", f"workflows/{self.namespace}/{name}/stop", json={})

    def resume(self, name: str) -> None:
        """See Cluster."""
        self._ask(f"resuming Workflow {name}", "put", f"workflows/{self.namespace}/{name}/resume", json={})

    def delete(self, name: str, uid: str) -> None:
        """See Cluster."""
        options = {"deleteOptions.preconditions.uid": uid, "deleteOptions.propagationPolicy": "Foreground"}
        path = f"workflows/{self.namespace}/{name}"
        self._ask(f"deleting Workflow {name}", "delete", path, params=options, expected={OK, NOT_FOUND, CONFLICT})
        until_gone(self, name, uid)

    def logs(self, name: str, step: str, skip: Container[str], *, follow: bool) -> Iterator[tuple[str, str]]:
        """See Cluster."""
        what = f"reading logs of Workflow {name}"
        options = {"logOptions.container": "main", "logOptions.follow": str(follow).lower()}
        if step:
            options["selector"] = f"{STEP_LABEL}={step}"
        answer = self._send(what, "get", f"workflows/{self.namespace}/{name}/log", params=options, stream=True)
        with _translated(what):
            for line in filter(None, whole_lines(answer.iter_content(None))):
                told = _document(what, line)
                if error := told.get("error"):
                    raise refusal(what, error.get("http_code", 500), error.get("message", ""))
                entry = told.get("result") or {}
                if entry and entry.get("podName") not in skip:
                    yield entry["podName"], entry.get("content", "")

    def _read(self, kind: str, name: str) -> Document | None:
        what = f"reading {kind}/{name} in namespace {self.namespace}"
        status, found = self._ask(what, "get", f"{kind}/{self.namespace}/{name}", expected={OK, NOT_FOUND})
        return found if status == OK else None

    def _create(self, kind: str, document: Document, name: str) -> bool:
        what = f"creating {kind}/{name} in namespace {self.namespace}"
        status, _ = self._ask(what, "post", f"{kind}/{self.namespace}", json=document, expected={OK, CONFLICT})
        return status == OK

    def _ask(
        self, what: str, method: str, path: str, expected: Container[int] = (OK,), **request: Any
    ) -> tuple[int, Document]:
        """The status of an answer, and what it says where that is 200."""
        answer = self._send(what, method, path, expected, **request)
        return answer.status_code, _document(what, answer.content) if answer.status_code == OK else {}

    def _send(self, what: str, method: str, path: str, expected: Container[int] = (OK,), **request: Any) -> Any:
        with _translated(what):
            answer = self._service.session.request(
                method,
                f"{self._service.host}/api/v1/{path}",
                headers={"Authorization": self._service.token} if self._service.token else {},
                verify=self._service.verify_ssl,
                timeout=(TIMEOUT, None if request.get("stream") else TIMEOUT),
                **request,
            )
        if answer.status_code not in expected:
            raise refusal(what, answer.status_code, message_of(answer.text) or answer.reason)
        return answer


def _document(what: str, text: str | bytes) -> Document:
    """What an Argo Server says. Raises UnavailableError for anything else, such as the page of a login before it."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnavailableError(f"{what}: what answers is not an Argo Server; is ARGO_SERVER right?")
    return found


@contextmanager
def _translated(what: str) -> Iterator[None]:
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except RequestException as error:
        raise UnavailableError(f"{what}: the Argo Server does not answer: {error}; is ARGO_SERVER right?") from error
