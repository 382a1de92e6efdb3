"""What the chart has left in a namespace for its users: where the store is, and who may use it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import DeniedError
from imgflow_workflows.kube.client import connect, translated

STORE, CREDENTIALS = "ConfigMap imgflow-store", "Secret imgflow-s3"  # of the chart; pods have both as environment
SECONDS = (5, 30)  # to connect, and for one answer
BY_HAND = {STORE: "name a --store yourself", CREDENTIALS: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY yourself"}


def store(namespace: str, kube_context: str = "") -> dict[str, str]:
    """``IMGFLOW_STORE``, ``AWS_ENDPOINT_URL`` and ``AWS_REGION`` as the pods of a namespace have them.

    Raises UnavailableError without a kubeconfig, BadParametersError without a chart, DeniedError naming the way around,
    UnavailableError.
    """
    from kubernetes.client import CoreV1Api  # noqa: PLC0415 - half a second, for this engine only

    core: Any = CoreV1Api(connect(kube_context))
    return dict(_read(STORE, namespace, core.read_namespaced_config_map))


def credentials(namespace: str, kube_context: str = "") -> dict[str, str]:
    """``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY`` as the pods of a namespace have them; raises as ``store``."""
    from kubernetes.client import CoreV1Api  # noqa: PLC0415

    core: Any = CoreV1Api(connect(kube_context))
    secret = _read(CREDENTIALS, namespace, core.read_namespaced_secret)
    return {name: base64.b64decode(value).decode() for name, value in secret.items()}


def _read(what: str, namespace: str, ask: Callable[..., Any]) -> Mapping[str, str]:
    from kubernetes.client import ApiException  # noqa: PLC0415

    kind, name = what.split()
    with translated(f"reading {what} in namespace {namespace}"):
        try:
            return ask(name, namespace, _request_timeout=SECONDS).data or {}
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise BadParametersError(
                    f"namespace {namespace} has no {what}: the chart is not there. Name the --namespace that has it,"
                    f" or install it: helm install imgflow charts/imgflow --namespace {namespace} --create-namespace"
                ) from None
            if error.status == HTTPStatus.FORBIDDEN:
                raise DeniedError(
                    f"you may not read {what} in namespace {namespace}; {BY_HAND[what]}, or ask whoever runs the"
                    f" cluster for the right to `get` this {kind}"
                ) from None
            raise
