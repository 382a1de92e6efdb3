"""From settings to a store and an engine; engines are known by name and imported when they are used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from imgflow_cli.faults import CliError
from imgflow_cli.settings import DEFAULT, ENDPOINT, REGION, Source
from imgflow_steps.store import StoreError, open_store

if TYPE_CHECKING:
    from imgflow_cli.settings import Resolved, Settings
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine
    from imgflow_workflows.engines.argo import ArgoEngine


def located(resolved: Resolved) -> Resolved:
    """The settings; where nobody names a store for the argo engine, with the one that the chart tells its users."""
    settings = resolved.settings
    if settings.engine != "argo" or resolved.origins["store"] != DEFAULT:
        return resolved
    from imgflow_workflows.engines import discovery  # noqa: PLC0415 - only the engine in use is loaded

    place = settings.namespace, settings.kube_context
    where = f"in namespace {settings.namespace}"
    told = discovery.store(*place)
    store = {"store": told["IMGFLOW_STORE"], "endpoint": told.get(ENDPOINT, ""), "region": told.get(REGION, "")}
    resolved = resolved.filled(Source(f"{discovery.STORE} {where}", store))
    if resolved.credentials_origin != DEFAULT:
        return resolved
    credentials = discovery.credentials(*place)
    return replace(resolved, credentials=credentials, credentials_origin=f"{discovery.CREDENTIALS} {where}")


@contextmanager
def opened(resolved: Resolved) -> Iterator[Store]:
    """The store that the settings name; one inside the cluster is reached through a port of this machine.

    While it is open the environment says the same to other S3 clients and to child processes.
    """
    environment = resolved.environment
    with ExitStack() as stack:
        if resolved.settings.engine == "argo" and (endpoint := environment.get(ENDPOINT)):
            from imgflow_workflows.engines.portforward import reachable  # noqa: PLC0415

            forward = reachable(endpoint, kube_context=resolved.settings.kube_context)
            environment[ENDPOINT] = stack.enter_context(forward)
            stack.enter_context(_named(environment[ENDPOINT], endpoint))
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        stack.callback(_restore, before)
        yield open_store(resolved.settings.store)


@contextmanager
def _named(forwarded: str, endpoint: str) -> Iterator[None]:
    """Errors name the endpoint that the user knows, not the port of this machine that leads there."""
    try:
        yield
    except StoreError as error:
        raise type(error)(str(error).replace(forwarded, endpoint)) from error


def _restore(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def open_engine(settings: Settings, store: Store) -> Engine:
    """The engine that the settings name."""
    if settings.engine == "local":
        from imgflow_workflows.engines.local import LocalEngine  # noqa: PLC0415

        return LocalEngine(store, workers=settings.workers)
    if settings.engine == "docker":
        from imgflow_workflows.engines.docker import DockerEngine  # noqa: PLC0415

        return DockerEngine(store, workers=settings.workers)
    return open_argo(settings, store)


def open_argo(settings: Settings, store: Store) -> ArgoEngine:
    """The argo engine, with a store that pods see."""
    if not store.url.startswith("s3://"):
        raise CliError(f"pods cannot see the directory {store.url}", "give --store s3://BUCKET for the engine argo")
    from imgflow_workflows.engines.argo import ArgoEngine  # noqa: PLC0415

    return ArgoEngine(store, namespace=settings.namespace, kube_context=settings.kube_context)


def where(resolved: Resolved) -> str:
    """Which engine and store are in use, as the first line of output says it."""
    settings = resolved.settings
    place = f" in namespace {settings.namespace}" if settings.engine == "argo" else ""
    context = f"context {resolved.context}: " if resolved.context else ""
    return f"{context}engine {settings.engine}{place}, store {settings.store}"
