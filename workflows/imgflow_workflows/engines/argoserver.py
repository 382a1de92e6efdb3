"""The cluster through an Argo Server, for those who may talk to it and not to Kubernetes: ``ARGO_SERVER`` is set."""

from __future__ import annotations

import json
import os
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from imgflow_steps.store import UnavailableError
from imgflow_workflows.argo.options import NAME, STEP_LABEL
from imgflow_workflows.engines.cluster import TIMEOUT, Document, refusal, until_gone, whole_lines

if TYPE_CHECKING:
    from hera.workflows import WorkflowsService


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
    """The cluster through an Argo Server."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._service = service()

    def template(self) -> Document | None:
        """See Cluster."""
        return self._get("workflow-templates", NAME)

    def workflow(self, name: str) -> Document | None:
        """See Cluster."""
        return self._get("workflows", name)

    def create(self, workflow: Document) -> bool:
        """See Cluster."""
        from hera.exceptions import AlreadyExists  # noqa: PLC0415
        from hera.workflows.models import Workflow, WorkflowCreateRequest  # noqa: PLC0415

        request = WorkflowCreateRequest(workflow=Workflow.model_validate(workflow))
        with _told(f"creating Workflow {workflow['metadata']['name']}"):
            try:
                self._service.create_workflow(request, self.namespace)
            except AlreadyExists:
                return False
            return True

    def schedule(self, cron_workflow: Document) -> None:
        """See Cluster."""
        from hera.exceptions import AlreadyExists  # noqa: PLC0415
        from hera.workflows.models import (  # noqa: PLC0415
            CreateCronWorkflowRequest,
            CronWorkflow,
            UpdateCronWorkflowRequest,
        )

        name, cron = cron_workflow["metadata"]["name"], CronWorkflow.model_validate(cron_workflow)
        with _told(f"creating CronWorkflow {name}"):
            try:
                self._service.create_cron_workflow(CreateCronWorkflowRequest(cron_workflow=cron), self.namespace)
            except AlreadyExists:
                self._service.update_cron_workflow(name, UpdateCronWorkflowRequest(cron_workflow=cron), self.namespace)

    def stop(self, name: str) -> None:
        """See Cluster."""
        from hera.workflows.models import WorkflowStopRequest  # noqa: PLC0415

        with _told(f"stopping Workflow {name}"):
            self._service.stop_workflow(name, WorkflowStopRequest(name=name, namespace=self.namespace), self.namespace)

    def delete(self, name: str, uid: str) -> None:
        """See Cluster."""
        from hera.exceptions import AlreadyExists, NotFound  # noqa: PLC0415

        # Suppressed: it is gone, or another one has its name by now.
        with _told(f"deleting Workflow {name}"), suppress(NotFound, AlreadyExists):
            self._service.delete_workflow(name, self.namespace, uid=uid, propagation_policy="Foreground")
        until_gone(self, name, uid)

    def logs(self, name: str, step: str, skip: Container[str], *, follow: bool) -> Iterator[tuple[str, str]]:
        """See Cluster. Not through Hera, which reads the first line only."""
        options = {"logOptions.container": "main", "logOptions.follow": str(follow).lower()}
        if step:
            options["selector"] = f"{STEP_LABEL}={step}"
        with _told(f"reading logs of Workflow {name}"):
            path = f"workflows/{self.namespace}/{name}/log"
            for line in whole_lines(self._request(path, options, stream=True).iter_content(None)):
                entry = json.loads(line).get("result", {}) if line else {}
                if entry and entry.get("podName") not in skip:
                    yield entry["podName"], entry.get("content", "")

    def _get(self, kind: str, name: str) -> Document | None:
        """Not through Hera, whose models do not know every field that a newer server sends."""
        with _told(f"reading {kind}/{name} in namespace {self.namespace}"):
            answer = self._request(f"{kind}/{self.namespace}/{name}", {})
            if answer.status_code == 404:  # noqa: PLR2004
                return None
            if not answer.ok:
                raise refusal(f"reading {kind}/{name}", answer.status_code, answer.text[:500])
            found: Document = answer.json()
            return found

    def _request(self, path: str, params: dict[str, str], *, stream: bool = False) -> Any:
        return self._service.session.get(
            f"{self._service.host}/api/v1/{path}",
            params=params,
            headers={"Authorization": self._service.token} if self._service.token else {},
            verify=self._service.verify_ssl,
            timeout=(TIMEOUT, None if stream else TIMEOUT),
            stream=stream,
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    from hera.exceptions import HeraException  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except HeraException as error:
        raise refusal(what, getattr(error, "status_code", 500), str(error)[:500]) from error
    except RequestException as error:
        raise UnavailableError(f"{what}: the Argo Server does not answer: {error}; is ARGO_SERVER right?") from error
