"""Whether this machine, or the cluster, has all that runs need."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import StoreError, UnavailableError
from imgflow_workflows.connect import located, opened
from imgflow_workflows.doctor import machine
from imgflow_workflows.doctor.checks import Check, State

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.settings import Resolved


def checks(resolved: Resolved) -> list[Check]:
    """Everything that the engine in use needs."""
    settings = resolved.settings
    if settings.engine == "local":
        return [
            *_store_checks(resolved, machine.store, machine.space),
            machine.libraries(),
            machine.models(),
            machine.confinement(),
            machine.workers(settings.workers),
        ]
    if settings.engine == "docker":
        return [
            *_store_checks(resolved, machine.store, machine.space, machine.containers),
            machine.models(),
            machine.workers(settings.workers),
        ]
    from imgflow_workflows.doctor import namespace  # noqa: PLC0415 - only what the engine in use needs is loaded
    from imgflow_workflows.doctor.namespace_survey import survey  # noqa: PLC0415

    try:
        site = survey(settings.namespace, settings.kube_context)
    except (BadParametersError, StoreError) as error:
        mend = "kubectl config get-contexts && kubectl cluster-info  # KUBECONFIG, --kube-context"
        return [Check("cluster", State.WRONG, str(error), mend, reached=isinstance(error, BadParametersError))]
    return [*namespace.checks(site), *_store_checks(resolved, machine.store), machine.models()]


def _store_checks(resolved: Resolved, *checks: Callable[[Store], Check]) -> list[Check]:
    try:
        with opened(located(resolved)) as store:
            return [check(store) for check in checks]
    except (BadParametersError, StoreError) as error:
        mend = f"{resolved.command} config  # what is set, and where"
        return [Check("store", State.WRONG, str(error), mend, reached=not isinstance(error, UnavailableError))]
