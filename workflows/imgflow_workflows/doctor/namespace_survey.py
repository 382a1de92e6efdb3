"""Everything that a run needs of a cluster and a namespace, read once; secrets are left where they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from imgflow_steps.store import StoreError
from imgflow_workflows.argo.options import NAME
from imgflow_workflows.doctor.namespace import Site
from imgflow_workflows.doctor.rights import RIGHTS, Right
from imgflow_workflows.kube.client import GROUP, VERSION, connect, translated

if TYPE_CHECKING:
    from imgflow_workflows.kube.client import Document

AT_ONCE = 8  # requests
SECONDS = (5, 30)  # to connect, and for one answer

Read = Callable[..., Any]


def survey(namespace: str, kube_context: str = "") -> Site:
    """Read it all. Raises UnavailableError without a kubeconfig and when nobody answers."""
    from kubernetes import client  # noqa: PLC0415 - half a second, for this engine only

    api = connect(kube_context)
    version: Any = client.VersionApi(api)
    documents: dict[str, Document | None] = {}
    unread: dict[str, str] = {}
    with translated("reading the cluster's version"):
        documents["version"] = json.loads(version.get_code(_preload_content=False, _request_timeout=SECONDS).data)
    reads = _reads(client, api, namespace)
    with ThreadPoolExecutor(AT_ONCE) as crew:
        found = crew.map(lambda name: _read(name, *reads[name]), reads)
        rights = crew.map(lambda right: _may(client, api, namespace, right), RIGHTS)
        account = crew.submit(_account_may, client, api, namespace)
        for name, document, why in found:
            if why:
                unread[name] = why
            else:
                documents[name] = document
        answers = dict(zip((right.name for right in RIGHTS), rights, strict=True))
    if None in answers.values():
        unread["rights"] = "the cluster does not say what you may do"
    held = {name: bool(answer) for name, answer in answers.items()}
    return Site(namespace, documents, unread, held, account.result())


def _reads(client: Any, api: Any, namespace: str) -> Mapping[str, tuple[str, Read, tuple[Any, ...]]]:
    core, objects, apps = client.CoreV1Api(api), client.CustomObjectsApi(api), client.AppsV1Api(api)
    config_map, here = core.read_namespaced_config_map, f"in namespace {namespace}"
    return {
        "kinds": ("what kinds Argo has", objects.get_api_resources, (GROUP, VERSION)),
        "deployments": ("Deployments of all namespaces", apps.list_deployment_for_all_namespaces, ()),
        "namespace": (f"namespace {namespace}", core.read_namespace, (namespace,)),
        "store": (f"ConfigMap imgflow-store {here}", config_map, ("imgflow-store", namespace)),
        "limits": (f"ConfigMap imgflow-limits {here}", config_map, ("imgflow-limits", namespace)),
        "artifacts": (f"ConfigMap artifact-repositories {here}", config_map, ("artifact-repositories", namespace)),
        "secret": (f"Secret imgflow-s3 {here}", core.read_namespaced_secret, ("imgflow-s3", namespace)),
        "account": (f"ServiceAccount imgflow {here}", core.read_namespaced_service_account, (NAME, namespace)),
        "template": (
            f"WorkflowTemplate imgflow {here}",
            objects.get_namespaced_custom_object,
            (GROUP, VERSION, namespace, "workflowtemplates", NAME),
        ),
        "quotas": (f"ResourceQuotas {here}", core.list_namespaced_resource_quota, (namespace,)),
        "ranges": (f"LimitRanges {here}", core.list_namespaced_limit_range, (namespace,)),
        "nodes": ("nodes", core.list_node, ()),
    }


def _read(name: str, what: str, read: Read, arguments: tuple[Any, ...]) -> tuple[str, Document | None, str]:
    """Name, document and "", or why there is none."""
    from kubernetes.client import ApiException  # noqa: PLC0415

    try:
        with translated(f"reading {what}"):
            try:
                document = json.loads(read(*arguments, _preload_content=False, _request_timeout=SECONDS).data)
            except ApiException as error:
                if error.status == 404:  # noqa: PLR2004
                    return name, None, ""
                raise
    except StoreError as error:
        return name, None, str(error)
    return name, _without_secrets(document), ""


def _without_secrets(document: Document) -> Document:
    """A Secret with its keys, but not what they hold."""
    if document.get("kind") != "Secret":
        return document
    return {**document, "data": {name: "…" if value else "" for name, value in document.get("data", {}).items()}}


def _may(client: Any, api: Any, namespace: str, right: Right) -> bool | None:
    """Whether the user has a right; None when the cluster does not say."""
    body = {"spec": {"resourceAttributes": {"namespace": namespace, **right.attributes}}}
    return _reviewed(client.AuthorizationV1Api(api).create_self_subject_access_review, body)


def _account_may(client: Any, api: Any, namespace: str) -> bool | None:
    """Whether pods may report to Argo; None when the user may not ask."""
    attributes = {"namespace": namespace, "verb": "create", "group": GROUP, "resource": "workflowtaskresults"}
    user = f"system:serviceaccount:{namespace}:{NAME}"
    body = {"spec": {"resourceAttributes": attributes, "user": user}}
    return _reviewed(client.AuthorizationV1Api(api).create_subject_access_review, body)


def _reviewed(ask: Read, body: Document) -> bool | None:
    try:
        with translated("asking for rights"):
            return bool(ask(body, _request_timeout=SECONDS).status.allowed)
    except StoreError:
        return None
