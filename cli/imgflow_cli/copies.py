"""How copying went, for people and for programs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from imgflow_cli.progress import status_line
from imgflow_workflows.faults import ExitCode, ImgflowError
from imgflow_workflows.ingest.copying import Reason, ingest
from imgflow_workflows.words import copied, pace

if TYPE_CHECKING:
    from imgflow_cli.output import Voice
    from imgflow_steps.store import Store
    from imgflow_workflows.ingest.copying import IngestSummary, Source

AGAIN = {Reason.UNREADABLE, Reason.CHANGED, Reason.FETCHED}  # a second try may succeed: the command has failed


def copy(
    source: Source, store: Store, municipality: str, voice: Voice, interrupted: str
) -> tuple[IngestSummary, float]:
    """Copy and show how far it is; gives also the seconds that it took. Raises ImgflowError when ``interrupted``."""
    started = time.monotonic()
    try:
        with status_line(voice) as show:
            summary = ingest(
                source, store, municipality, tell=lambda told: show(copied(told, time.monotonic() - started))
            )
    except KeyboardInterrupt:
        raise ImgflowError(interrupted, "the same command goes on from there", ExitCode.INTERRUPTED) from None
    return summary, time.monotonic() - started


def say_refused(summary: IngestSummary, voice: Voice) -> None:
    """Name what was not copied, but for what never was a photograph."""
    for refusal in summary.refusals:
        if refusal.reason is not Reason.NOT_AN_IMAGE:
            voice.say(f"{refusal.path}: {refusal.reason}: {refusal.message}")


def copied_document(summary: IngestSummary, seconds: float) -> dict[str, Any]:
    """The same for programs; keys are only ever added."""
    return {
        "copied": summary.copied,
        "present": summary.present,
        "bytes": summary.bytes,
        "seconds": round(seconds, 3),
        "images_per_second": round(pace(summary, seconds), 1),
        "refused": {str(reason): count for reason, count in summary.refused.items()},
        "refusals": [
            {"path": refusal.path, "reason": str(refusal.reason), "message": refusal.message}
            for refusal in summary.refusals
        ],
    }
