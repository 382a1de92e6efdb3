"""From settings to a store and an engine; engines are known by name and imported when they are used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import StoreError, open_store
from imgflow_workflows.errors import ImgflowError
from imgflow_workflows.settings import DEFAULT, ENDPOINT, REGION, SettingsLayer

if TYPE_CHECKING:
    from imgflow_steps.records.run import Run
    from imgflow_steps.store import Store
    from imgflow_workflows.argo import Options
    from imgflow_workflows.engines import Engine
    from imgflow_workflows.engines.argo import ArgoEngine
    from imgflow_workflows.settings import Resolved, Settings


def located(resolved: Resolved) -> Resolved:
    """The settings; where nobody names a store for the argo engine, with the one that the chart tells its users."""
    settings = resolved.settings
    if settings.engine != "argo" or resolved.origins["store"] != DEFAULT:
        return resolved
    from imgflow_workflows.kube import discovery  # noqa: PLC0415 - only the engine in use is loaded

    place = settings.namespace, settings.kube_context
    where = f"in namespace {settings.namespace}"
    told = discovery.store(*place)
    store = {"store": told["IMGFLOW_STORE"], "endpoint": told.get(ENDPOINT, ""), "region": told.get(REGION, "")}
    resolved = resolved.filled(SettingsLayer(f"{discovery.STORE} {where}", store))
    if resolved.credentials_origin != DEFAULT:
        return resolved
    credentials = discovery.credentials(*place)
    return replace(resolved, credentials=credentials, credentials_origin=f"{discovery.CREDENTIALS} {where}")


@dataclass(frozen=True, slots=True)
class Place:
    """An open store, and what S3 clients and child processes have to be told to reach the same one."""

    store: Store
    environment: Mapping[str, str]
    forwarded: str  # the endpoint as it is reached from here
    endpoint: str  # and as the user knows it

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The environment says so meanwhile, and errors name the endpoint that the user knows."""
        with _environment(self.environment):
            try:
                yield
            except StoreError as error:
                if self.forwarded not in str(error):
                    raise
                raise type(error)(str(error).replace(self.forwarded, self.endpoint)) from error


@contextmanager
def reached(resolved: Resolved) -> Iterator[Place]:
    """The store that the settings name; one inside the cluster is reached through a port of this machine."""
    environment = resolved.environment
    endpoint = environment.get(ENDPOINT, "")
    with ExitStack() as stack:
        if resolved.settings.engine == "argo" and endpoint:
            from imgflow_workflows.kube.port_forward import reachable  # noqa: PLC0415 - as above

            forward = reachable(endpoint, kube_context=resolved.settings.kube_context)
            environment[ENDPOINT] = stack.enter_context(forward)
        with _environment(environment):
            store = open_store(resolved.settings.store)
        yield Place(store, environment, environment.get(ENDPOINT, ""), endpoint)


@contextmanager
def opened(resolved: Resolved) -> Iterator[Store]:
    """The same store, and while it is open the environment says so, too."""
    with reached(resolved) as place, place.in_use():
        yield place.store


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def of_run(settings: Settings, run: Run) -> Settings:
    """The settings with the engine, and the namespace, in which a run is."""
    own = {"engine": run.engine or settings.engine, "namespace": run.namespace or settings.namespace}
    return settings.model_copy(update=own)


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
        raise ImgflowError(f"pods cannot see the directory {store.url}", "give --store s3://BUCKET for the engine argo")
    from imgflow_workflows.engines.argo import ArgoEngine  # noqa: PLC0415

    return ArgoEngine(store, namespace=settings.namespace, kube_context=settings.kube_context)


def chart_options(settings: Settings) -> Options:
    """Container images and resources as the chart in the namespace has them.

    Raises BadParametersError without a kubeconfig or a chart, UnavailableError, DeniedError.
    """
    from imgflow_workflows.argo import options_of  # noqa: PLC0415 - only the engine in use is loaded
    from imgflow_workflows.engines.argo import open_cluster  # noqa: PLC0415

    template = open_cluster(settings.namespace, settings.kube_context).template()
    if template is None:
        raise BadParametersError(f"namespace {settings.namespace} has no WorkflowTemplate imgflow")
    return options_of(template)


def where(resolved: Resolved, store: str = "") -> str:
    """Which engine and store are in use, as the first line of output says it; ``store`` where it is another."""
    settings = resolved.settings
    place = f" in namespace {settings.namespace}" if settings.engine == "argo" else ""
    context = f"context {resolved.context}: " if resolved.context else ""
    return f"{context}engine {settings.engine}{place}, store {store or settings.store}"
