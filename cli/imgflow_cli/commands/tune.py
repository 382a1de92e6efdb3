"""tune: what a run says about how the next one should be cut, and what its pods should be given."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from imgflow_cli.flags import MunicipalityFlag, OutputFlag, QuietFlag, RunArgument, takes_settings
from imgflow_cli.output import Voice, document, table
from imgflow_steps.store import Store
from imgflow_workflows import tuning
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ExitCode, ImgflowError
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgflow_workflows.tuning import Proposal


@takes_settings(*PLACES)
def tune(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    municipality: MunicipalityFlag = "",
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Propose shard size, layout and resources, from what a run took.

    Nothing is changed. -o yaml prints a values file for `helm upgrade --values`.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    known = state.read(store, state.find(store, run, municipality))
    proposals = tuning.propose(tuning.evidence(resolved.settings, store, known))
    if not proposals:
        raise ImgflowError(
            f"run {known.run.id} computed nothing in its last attempt, so there is nothing to propose",
            f"`{resolved.command} ls` shows one that did",
            ExitCode.FAILED,
        )
    changes = tuning.values(proposals)
    if output == "yaml":
        document(changes, output)
    elif output == "json":
        document(_document(known.run.id, proposals), output)
    else:
        table(["SETTING", "NOW", "PROPOSED", "WHY"], [_line(one) for one in proposals])
        for command in _commands(resolved, known.run.municipality, proposals):
            voice.say(f"next: {command}")


def _line(one: Proposal) -> list[str]:
    return [one.setting, one.now, one.proposed if one.proposed != one.now else "as it is", one.why]


def _document(run: str, proposals: Sequence[Proposal]) -> dict[str, Any]:
    return {
        "run": run,
        "proposals": [
            {"setting": one.setting, "now": one.now, "proposed": one.proposed, "why": one.why} for one in proposals
        ],
        "flags": dict(tuning.flags(proposals)),
        "values": tuning.values(proposals),
    }


def _commands(resolved: Resolved, municipality: str, proposals: Sequence[Proposal]) -> list[str]:
    """What to type to have what was proposed."""
    changed = [one for one in proposals if one.proposed != one.now and not one.setting.startswith("--")]
    commands = []
    if changed:
        sets = ",".join(f"{one.setting}={one.proposed}" for one in changed)
        namespace = resolved.settings.namespace
        commands.append(f"helm upgrade imgflow charts/imgflow --namespace {namespace} --reuse-values --set {sets}")
    if flags := tuning.flags(proposals):
        told = " ".join(f"{flag} {value}" for flag, value in flags.items())
        commands.append(f"{resolved.command} submit --municipality {shlex.quote(municipality)} {told}")
    return commands
