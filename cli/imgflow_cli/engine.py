"""From settings to a store and an engine; engines are known by name and imported when they are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgflow_steps.store import open_store

if TYPE_CHECKING:
    from imgflow_cli.settings import Resolved, Settings
    from imgflow_steps.store import Store
    from imgflow_workflows.engines import Engine


def the_store(settings: Settings) -> Store:
    """The store that the settings name."""
    return open_store(settings.store)


def open_engine(settings: Settings, store: Store) -> Engine:
    """The engine that the settings name."""
    if settings.engine == "local":
        from imgflow_workflows.engines.local import LocalEngine  # noqa: PLC0415 - only the engine in use is loaded

        return LocalEngine(store, workers=settings.workers)
    if settings.engine == "docker":
        from imgflow_workflows.engines.docker import DockerEngine  # noqa: PLC0415

        return DockerEngine(store, workers=settings.workers)
    from imgflow_workflows.engines.argo import ArgoEngine  # noqa: PLC0415

    return ArgoEngine(store, namespace=settings.namespace)


def where(resolved: Resolved) -> str:
    """Which engine and store are in use, as the first line of output says it."""
    settings = resolved.settings
    place = f" in namespace {settings.namespace}" if settings.engine == "argo" else ""
    context = f"context {resolved.context}: " if resolved.context else ""
    return f"{context}engine {settings.engine}{place}, store {settings.store}"
