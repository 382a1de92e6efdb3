"""doctor: what is wrong with this place, or with a run, and the command that mends it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_steps.contract.step import BadParametersError
from imgflow_steps.store import StoreError
from imgflow_workflows.connect import located, of_run, opened, where
from imgflow_workflows.doctor import run_survey
from imgflow_workflows.doctor.checks import Check, State
from imgflow_workflows.doctor.diagnosis import diagnose
from imgflow_workflows.doctor.environment import checks
from imgflow_workflows.doctor.runs import notes
from imgflow_workflows.doctor.snapshot import Snapshot, seconds
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.kube.discovery import CREDENTIALS
from imgflow_workflows.kube.workflow_nodes import phase, standing
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import duration

if TYPE_CHECKING:
    from imgflow_steps.store import Store
    from imgflow_workflows.doctor.findings import Diagnosis, Evidence

SHOWN = 3  # pieces of evidence that people see of a finding; programs see all
RunArgument = Annotated[str, typer.Argument(metavar="[RUN]", help="Diagnose this run; @latest is the newest.")]


@takes_settings(*PLACES, "workers", ask=False)
def doctor(
    resolved: Resolved,
    run: RunArgument = "",
    municipality: MunicipalityFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Show what is wrong, here or with a run, and what fixes it.

    Without a run: whether this machine or the cluster has all that runs need, each check with what was
    seen. With one: why it does not progress or has failed, the most important cause first. The exit code is 0
    when nothing is wrong. No secret is printed.
    """
    try:
        resolved = located(resolved)
        place = where(resolved)
    except (BadParametersError, StoreError):  # told as a check, or as a finding
        place = where(resolved, "unknown")
    Voice(quiet=quiet).say(place)
    if run:
        code = _say_findings(_snapshot(resolved, run, municipality), output)
    else:
        code = _say_checks(checks(resolved), output)
    raise typer.Exit(code)


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
                emit(f"\n{check.name}: to fix it\n  {printable(check.mend)}")
    if not all(check.reached for check in wrong):
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
    known: state.RunState | None = None
    try:
        resolved = located(resolved)
        with opened(resolved) as store:
            known = state.read(store, state.find(store, name, municipality))
            facts |= _of_store(store, known)
    except ImgflowError as error:
        unknown = error
        facts["unknown"] = error.code is ExitCode.USAGE
        if error.code is ExitCode.FAILED:  # it is there, and cannot be read
            facts["store_error"] = str(error)
    except (BadParametersError, StoreError) as error:
        if name == state.LATEST:
            raise
        facts["store_error"] = str(error)
    if facts["engine"] == "argo" and facts["run"] != state.LATEST:
        unread = facts["unread"]
        facts |= _of_cluster(resolved, facts["run"], known)
        facts["unread"] = [*unread, *facts["unread"]]
    facts["secret_works"] = not facts.get("store_error") and resolved.credentials_origin.startswith(CREDENTIALS)
    if unknown and not facts.get("workflow"):
        raise unknown
    return Snapshot.model_validate(facts)


def _of_store(store: Store, known: state.RunState) -> dict[str, Any]:
    run = known.run
    return {"run": run.id, "engine": run.engine, "status": known.status, **run_survey.of_store(store, run.id)}


def _of_cluster(resolved: Resolved, run_id: str, known: state.RunState | None) -> dict[str, Any]:
    """What the cluster says, and where the run stands by what the store says as well."""
    settings = of_run(resolved.settings, known.run) if known else resolved.settings
    try:
        found = run_survey.of_cluster(settings.namespace, settings.kube_context, run_id)
    except StoreError as error:
        if known is None:
            raise
        return {"namespace": settings.namespace, "unread": [str(error)]}
    workflow = found["workflow"]
    if known is None:
        return found | ({"status": phase(workflow)} if workflow else {})
    theirs = standing(workflow, known.run.created) if workflow else None
    return found | {"status": known.beside(theirs).status, "workflow": workflow if theirs else None}


def _say_findings(snapshot: Snapshot, output: str | None) -> ExitCode:
    found = diagnose(snapshot)
    if output in {"json", "yaml"}:
        status = snapshot.status.value if snapshot.status else None
        known = [asdict(finding) for finding in found]
        about = {"run": snapshot.run, "engine": snapshot.engine, "status": status}
        beside = [asdict(one) for one in notes(snapshot)]
        document({**about, "findings": known, "notes": beside, "unread": snapshot.unread}, output)
    elif output == "name":
        for finding in found:
            emit(finding.cause)
    else:
        for line in _in_words(snapshot, found):
            emit(printable(line))
    if snapshot.store_error and any(finding.cause == "store-away" for finding in found):
        return ExitCode.UNREACHABLE
    return ExitCode.FAILED if found else ExitCode.DONE


def _in_words(snapshot: Snapshot, found: list[Diagnosis]) -> Iterator[str]:
    yield f"Run {snapshot.run}: {snapshot.status.value if snapshot.status else 'not known'}"
    beside = notes(snapshot)
    if not found:
        yield "Nothing is wrong with the run itself." if beside else "Nothing is wrong with it."
    numbered = [(f"{number}. ", finding) for number, finding in enumerate(found, 1)]
    for number, finding in [*numbered, *(("", one) for one in beside)]:
        yield ""
        yield f"{number}{finding.what} ({finding.cause})"
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
