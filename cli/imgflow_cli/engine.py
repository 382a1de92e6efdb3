"""From settings to a store and an engine; engines are known by name and imported when they are used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from imgflow_cli.faults import CliError
from imgflow_cli.settings import ENDPOINT
from imgflow_steps.store import open_store

if TYPE_CHECKING:
    from imgflow_cli.settings import Resolved, Settings
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine


@contextmanager
def opened(resolved: Resolved) -> Iterator[Store]:
    """The store that the settings name; one inside the cluster is reached through a port of this machine."""
    settings = resolved.settings
    resolved.export()
    with ExitStack() as stack:
        inside = os.environ.get(ENDPOINT, "") if settings.engine == "argo" else ""
        if inside:
            from imgflow_workflows.engines.portforward import reachable  # noqa: PLC0415 - only the engine in use

            os.environ[ENDPOINT] = stack.enter_context(reachable(inside, kube_context=settings.kube_context))
            stack.callback(os.environ.__setitem__, ENDPOINT, inside)
        yield open_store(settings.store)


def open_engine(settings: Settings, store: Store) -> Engine:
    """The engine that the settings name."""
    if settings.engine == "local":
        from imgflow_workflows.engines.local import LocalEngine  # noqa: PLC0415 - only the engine in use is loaded

        return LocalEngine(store, workers=settings.workers)
    if settings.engine == "docker":
        from imgflow_workflows.engines.docker import DockerEngine  # noqa: PLC0415

        return DockerEngine(store, workers=settings.workers)
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
