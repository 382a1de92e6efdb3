"""doctor: what is wrong with this place, or with a run, and the command that mends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_steps.contract import BadParametersError
from imgflow_steps.store import StoreError
from imgflow_workflows import runs
from imgflow_workflows.doctor import machine
from imgflow_workflows.doctor.checks import Check, State
from imgflow_workflows.doctor.diagnosis import diagnose
from imgflow_workflows.doctor.snapshot import Snapshot, seconds
from imgflow_workflows.engines import observation
from imgflow_workflows.engines.nodes import phase
from imgflow_workflows.faults import ExitCode, ImgflowError
from imgflow_workflows.opening import located, opened, where
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.words import duration

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.doctor.findings import Evidence, Finding

SHOWN = 3  # pieces of evidence that people see of a finding; programs see all
RunArgument = Annotated[str, typer.Argument(metavar="[RUN]", help="Say what is wrong with this run, or @latest.")]


@takes_settings(*PLACES, "workers", ask=False)
def doctor(
    resolved: Resolved,
    run: RunArgument = "",
    municipality: MunicipalityFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Say what is wrong, here or with a run, and what mends it.

    Without a run: whether this machine or the cluster has all that runs need, each check with what was
    seen. With one: why it stands still or has failed, most important cause first. The exit code is 0
    when nothing is wrong. No secret is printed.
    """
    with suppress(BadParametersError, StoreError):  # told as a check, or as a finding
        resolved = located(resolved)
    Voice(quiet=quiet).say(where(resolved))
    if run:
        code = _say_findings(_snapshot(resolved, run, municipality), output)
    else:
        code = _say_checks(_checks(resolved), output)
    raise typer.Exit(code)


def _checks(resolved: Resolved) -> list[Check]:
    """Everything that the engine in use needs."""
    settings = resolved.settings
    if settings.engine == "local":
        return [
            *_store_checks(resolved, machine.store, machine.space),
            machine.libraries(),
            machine.workers(settings.workers),
        ]
    if settings.engine == "docker":
        return [
            *_store_checks(resolved, machine.store, machine.space, machine.containers),
            machine.workers(settings.workers),
        ]
    from imgflow_workflows.doctor import namespace  # noqa: PLC0415 - only what the engine in use needs is loaded
    from imgflow_workflows.engines.site import survey  # noqa: PLC0415

    try:
        site = survey(settings.namespace, settings.kube_context)
    except (BadParametersError, StoreError) as error:
        return [Check("cluster", State.WRONG, str(error), "kubectl cluster-info  # KUBECONFIG, --kube-context")]
    return [*namespace.checks(site), *_store_checks(resolved, machine.store)]


def _store_checks(resolved: Resolved, *checks: Callable[[Store], Check]) -> list[Check]:
    try:
        with opened(located(resolved)) as store:
            return [check(store) for check in checks]
    except (BadParametersError, StoreError) as error:
        mend = f"{resolved.command} config  # what is set, and where"
        return [Check("store", State.WRONG, str(error), mend)]


def _say_checks(checks: list[Check], output: str | None) -> ExitCode:
    wrong = [check for check in checks if check.state is State.WRONG]
    if output in {"json", "yaml"}:
        known = [{**asdict(check), "state": check.state.value} for check in checks]
        document({"ok": not wrong, "checks": known}, output)
    elif output == "name":
        for check in wrong:
            emit(check.name)
    else:
        table(["CHECK", "STATE", "SEEN"], [[check.name, check.state.value, check.seen] for check in checks])
        for check in checks:
            if check.mend:
                emit(f"\n{check.name}: to mend it\n  {printable(check.mend)}")
    if any(check.name == "cluster" for check in wrong):
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED if wrong else ExitCode.DONE


def _snapshot(resolved: Resolved, name: str, municipality: str) -> Snapshot:
    """All that the store and the cluster know of a run, also when only one of them answers.

    Raises ImgflowError when nobody knows it, and what the store raises where only it could say which run is meant.
    """
    settings = resolved.settings
    facts: dict[str, Any] = {
        "run": name,
        "engine": settings.engine,
        "time": time.time(),
        "command": resolved.command,
        "unread": [],
    }
    unknown: ImgflowError | None = None
    try:
        with opened(located(resolved)) as store:
            facts |= _of_store(store, runs.find(store, name, municipality))
    except ImgflowError as error:
        unknown = error
        if error.code is ExitCode.FAILED:  # it is there, and cannot be read
            facts["store_error"] = str(error)
    except (BadParametersError, StoreError) as error:
        if name == runs.LATEST:
            raise
        facts["store_error"] = str(error)
    if facts["engine"] == "argo" and facts["run"] != runs.LATEST:
        facts |= _of_cluster(resolved, facts)
    if unknown and not facts.get("workflow"):
        raise unknown
    return Snapshot.model_validate(facts)


def _of_store(store: Store, run_id: str) -> dict[str, Any]:
    known = runs.read(store, run_id)
    return {"run": run_id, "engine": known.run.engine, "status": known.status, **observation.of_store(store, run_id)}


def _of_cluster(resolved: Resolved, facts: dict[str, Any]) -> dict[str, Any]:
    settings = resolved.settings
    try:
        found = observation.of_cluster(settings.namespace, settings.kube_context, facts["run"])
    except StoreError as error:
        if "status" not in facts:
            raise
        return {"namespace": settings.namespace, "unread": [str(error)]}
    return found | ({"status": phase(found["workflow"])} if found["workflow"] else {})


def _say_findings(snapshot: Snapshot, output: str | None) -> ExitCode:
    found = diagnose(snapshot)
    if output in {"json", "yaml"}:
        status = snapshot.status.value if snapshot.status else None
        known = [asdict(finding) for finding in found]
        about = {"run": snapshot.run, "engine": snapshot.engine, "status": status}
        document({**about, "findings": known, "unread": snapshot.unread}, output)
    elif output == "name":
        for finding in found:
            emit(finding.cause)
    else:
        for line in _in_words(snapshot, found):
            emit(printable(line))
    return ExitCode.FAILED if found else ExitCode.DONE


def _in_words(snapshot: Snapshot, found: list[Finding]) -> Iterator[str]:
    yield f"Run {snapshot.run}: {snapshot.status.value if snapshot.status else 'not known'}"
    if not found:
        yield "Nothing is wrong with it."
    for number, finding in enumerate(found, 1):
        yield ""
        yield f"{number}. {finding.what} ({finding.cause})"
        for one in finding.evidence[:SHOWN]:
            yield f"   seen: {_spelt(one, snapshot.time)}"
        if (more := len(finding.evidence) - SHOWN) > 0:
            yield f"         and {more} more of the same"
        for what in finding.consequences:
            yield f"   so:   {what}"
        for command in finding.mend:
            yield f"   do:   {command}"
    for why in snapshot.unread:
        yield ""
        yield f"Not looked at: {why}"


def _spelt(one: Evidence, now: float) -> str:
    where = f"pod {one.pod}" if one.pod else ""
    where += f" on {one.node}" if one.node else ""
    ago = f"({duration(now - seconds(one.time))} ago)" if one.time else ""
    said = ": ".join(part for part in (where, one.reason, " ".join(one.message.split())) if part)
    return f"{said} {ago}".strip()
