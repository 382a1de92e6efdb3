"""verify: whether a run's pictures are what its pipeline makes of their sources."""

from __future__ import annotations

from typing import Any

import typer

from imgflow_cli.flags import OutputFlag, QuietFlag, RunArgument, SampleFlag, SeedFlag, takes_settings
from imgflow_cli.output import Voice, document, emit, printable, table
from imgflow_cli.progress import status_line
from imgflow_steps.store import Store
from imgflow_workflows.connect import where
from imgflow_workflows.errors import ExitCode
from imgflow_workflows.results.verify import Fault, Finding, Verified
from imgflow_workflows.results.verify import verify as look
from imgflow_workflows.runs import state
from imgflow_workflows.settings import PLACES, Resolved
from imgflow_workflows.text import counted

SHOWN = 100  # findings that are kept; all are counted


@takes_settings(*PLACES)
def verify(
    resolved: Resolved,
    store: Store,
    run: RunArgument,
    sample: SampleFlag = 0,
    seed: SeedFlag = 0,
    output: OutputFlag = None,
    quiet: QuietFlag = False,
) -> None:
    """Make a run's pictures again from sources, rows and parameters, without its models, and list what differs.

    The exit code is 0 when every picture came out with the same bytes, lies so in the store, and its row is the one
    that was written with it; it is 1 otherwise, also where a source is no longer there.
    """
    voice = Voice(quiet=quiet)
    voice.say(where(resolved))
    known = state.read(store, state.find(store, run))
    state.check_ended(store, known, resolved.command)
    found: list[Finding] = []
    with status_line(voice) as show:

        def tell(so_far: Verified, one: Finding | None) -> None:
            show(in_words(so_far))
            if one is None:
                return
            if output == "name":
                emit(printable(one.image))
            elif len(found) < SHOWN:
                found.append(one)

        verified = look(store, known.run, sample=sample, seed=seed, tell=tell)
    if output in {"json", "yaml"}:
        document(_document(known.run.id, verified, found), output)
    elif output != "name":
        if found:
            table(["IMAGE", "FAULT", "SAID"], [[_name(one), one.fault.value, one.said or "-"] for one in found])
        emit(f"{known.run.id}: {in_words(verified)}")
    if verified.faults[Fault.PICTURE] or verified.faults[Fault.GONE]:
        voice.say(f"next: {resolved.command} retry {known.run.id} --repair  # makes such pictures again")
    raise typer.Exit(ExitCode.FAILED if verified.faults else ExitCode.DONE)


def in_words(verified: Verified) -> str:
    """How it stands, in one line."""
    faults = [f"{counted(count, 'image')}: {fault}" for fault, count in verified.faults.items()]
    made = f"{counted(verified.pictures, 'picture')} of {counted(verified.images, 'image')} made again"
    covered = [f"{counted(verified.covered, 'box')} covered in them"] if verified.covered else []
    covered += [f"{counted(verified.manual, 'box')} of them given by people"] if verified.manual else []
    return " · ".join([made, *covered, *(faults or ["the same bytes"])])


def _name(one: Finding) -> str:
    return f"{one.image}~{one.piece}" if one.piece else one.image


def _document(run: str, verified: Verified, found: list[Finding]) -> dict[str, Any]:
    """What ``-o json`` says; keys are only ever added."""
    return {
        "run": run,
        "ok": not verified.faults,
        "images": verified.images,
        "pictures": verified.pictures,
        "covered": verified.covered,
        "manual": verified.manual,
        "faults": {fault.name.lower(): verified.faults[fault] for fault in Fault},
        "findings": [
            {
                "image": one.image,
                "piece": one.piece,
                "fault": one.fault.name.lower(),
                "key": one.key,
                "said": one.said,
            }
            for one in found
        ],
    }
